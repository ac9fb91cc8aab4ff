"""HEAD is answered as GET would be, without the body. Source: RFC 9110, section 9.3.2."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

ONLY = "crosslook.headers_only"
"""Set in the scope, for answers whose body is costly."""


class Head:
    """ASGI middleware, next to the routes, which know GET alone."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask as GET, and leave out what is more than the headers."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        scope.update({"method": "GET", ONLY: True})
        try:
            await self.app(scope, receive, without_body)
        finally:
            scope["method"] = "HEAD"  # for the log
