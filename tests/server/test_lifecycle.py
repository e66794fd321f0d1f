"""Test the responses of a process that is shutting down."""

from __future__ import annotations

from tests.bodies import BODY, JSON
from tests.connections import application, connect, converse, piece


async def test_a_leaving_process_is_not_ready_and_still_answers() -> None:
    app = application()
    app.runtime.lifecycle.leaving = True
    async with connect(app) as client:
        for path in ("/readyz", "/v2/health/ready", "/v2/models/softmax/ready"):
            reply = await client.get(path)
            assert (reply.status_code, reply.json()["ready"]) == (503, False)
        assert (await client.get("/livez")).status_code == 200
        reply = await client.post("/softmax", content=BODY, headers=JSON)
        assert (reply.status_code, reply.headers["Connection"]) == (200, "close")


async def test_a_drained_process_rejects_operations_only() -> None:
    app = application()
    app.runtime.lifecycle.leaving = app.runtime.lifecycle.refusing = True
    async with connect(app) as client:
        reply = await client.post("/softmax", content=BODY, headers=JSON)
        assert (reply.status_code, reply.json()["type"]) == (503, "/problems/draining")
        assert 1 <= int(reply.headers["Retry-After"]) <= 5
        assert (await client.get("/livez")).status_code == 200


async def test_a_drained_process_rejects_before_it_reads_a_body() -> None:
    app = application()
    app.runtime.lifecycle.refusing = True
    start, _ = await converse(app, "/softmax", [piece(b"", more=True)])
    assert start["status"] == 503
