"""What a request must pass before anything looks at it: who asks, by which name, and how much is sent."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .problems import problem
from .settings import LOCAL_HOSTS, Settings


class Guard:
    """ASGI middleware: a local name, and a limit on request bodies.

    Where only this machine can connect, a web page in its browser could still be pointed here by a name it controls
    (DNS rebinding); so the `Host` header must be a name of this machine.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(headers)
        if refusal is not None:
            await problem(*refusal)(scope, receive, send)
            return
        await self.app(scope, self._limited(receive), send)

    def _refusal(self, headers: Headers) -> tuple[int, str] | None:
        if self.settings.local and urlsplit(f"//{headers.get('host', '')}").hostname not in LOCAL_HOSTS:
            return 421, f"this server answers to {', '.join(LOCAL_HOSTS)} only"
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self.settings.upload_bytes:
            return 413, self._too_large()
        return None

    def _limited(self, receive: Receive) -> Receive:
        """Count what arrives: a request need not tell its length, or tell it truly."""
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.settings.upload_bytes:
                raise HTTPException(413, self._too_large())
            return message

        return limited

    def _too_large(self) -> str:
        return f"the request is larger than {self.settings.upload_bytes // 1024**2} MB"
