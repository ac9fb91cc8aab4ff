"""Answers HEAD like GET, without the body.

Source: RFC 9110, section 9.3.2.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS_ONLY = "crosslook.headers_only"
"""Scope key that tells responses with a costly body to send headers only."""


class Head:
    """ASGI middleware that turns HEAD into GET for the routes."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle HEAD as GET and drop the body."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        scope.update({"method": "GET", HEADERS_ONLY: True})
        try:
            await self.app(scope, receive, without_body)
        finally:
            scope["method"] = "HEAD"  # as the request log reports it
