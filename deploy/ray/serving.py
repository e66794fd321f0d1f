"""The application as a Ray Serve deployment: serve run deploy/ray/serve.yaml."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ray
from ray import serve

from service.api.app import create_app

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

NODE = b"x-ray-node"
"""The header that names the node of the replica that answered."""

REQUEST_ID = b"x-request-id"


class OnNode:
    """ASGI middleware: says on every reply which node it comes from.

    The proxy of Ray Serve gives every request an id and repeats it on the reply, so the same id is taken off here.
    """

    def __init__(self, app: ASGIApp, node: str) -> None:
        self.app = app
        self.node = node.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, and puts the header on its reply."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        given = dict(scope["headers"]).get(REQUEST_ID)

        async def send_with_node(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [header for header in message.get("headers", ()) if tuple(header) != (REQUEST_ID, given)]
                message = {**message, "headers": [*headers, (NODE, self.node)]}
            await send(message)

        return await self.app(scope, receive, send_with_node)


def build() -> ASGIApp:
    """The application of one replica, with settings from its SOFTMAX_* variables."""
    return OnNode(create_app(), ray.get_runtime_context().get_node_id())


app = serve.deployment(serve.ingress(build)(), name="softmax").bind()
