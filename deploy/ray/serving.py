"""The application as a Ray Serve deployment: serve run deploy/ray/serve.yaml."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ray
from ray import serve

from service.api.app import create_app

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

NODE = b"x-ray-node"
"""Header with the node of the replica that answered."""

REQUEST_ID = b"x-request-id"


class OnNode:
    """ASGI middleware that adds the node of the replica to every response.

    The proxy of Ray Serve gives each request an id and adds it to the response, so the same id is removed here.
    """

    def __init__(self, app: ASGIApp, node: str) -> None:
        self.app = app
        self.node = node.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add the header to its response."""
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
    """Return the application of one replica, with settings from its SOFTMAX_* variables."""
    return OnNode(create_app(), ray.get_runtime_context().get_node_id())


app = serve.deployment(serve.ingress(build)(), name="softmax").bind()
