"""What a request must pass before anything looks at it: who asks, by which name, and how much is sent."""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .problems import problem
from .settings import LOCAL_HOSTS, Settings

OPEN_PATHS = frozenset({"/healthz"})


class Guard:
    """ASGI middleware: API key or local name, and a limit on request bodies.

    Without a key only this machine can connect, but a web page in its browser could still be pointed here by a
    name it controls (DNS rebinding); so the `Host` header must be a name of this machine.
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
        refusal = self._refusal(headers, scope["path"])
        if refusal is not None:
            status, detail = refusal
            challenge = {"WWW-Authenticate": "Bearer"} if status == 401 else None  # RFC 9110, 11.6.1
            await problem(status, detail, challenge)(scope, receive, send)
            return
        await self.app(scope, self._limited(receive), send)

    def _refusal(self, headers: Headers, path: str) -> tuple[int, str] | None:
        key = self.settings.api_key
        if key is None:
            host = urlsplit(f"//{headers.get('host', '')}").hostname
            if host not in LOCAL_HOSTS:
                return 421, f"this server answers to {', '.join(LOCAL_HOSTS)} only"
        elif path not in OPEN_PATHS:
            scheme, _, given = headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), key.encode()):
                return 401, "send the server's key as 'Authorization: Bearer KEY'"
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
