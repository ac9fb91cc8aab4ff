"""Security headers of every response.

API responses, including the indexed files, may load and run nothing. The web page may load what this server serves, and
images that its own scripts create.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAGE = "/"
STATIC = "/static/"
"""Paths of the web page and its assets: they need no key, because they contain nothing from the index."""

COMMON_POLICY = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
API_POLICY = f"default-src 'none'; {COMMON_POLICY}; sandbox"
PAGE_POLICY = f"default-src 'self'; img-src 'self' blob: data:; object-src 'none'; {COMMON_POLICY}"

COMMON_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def is_page(path: str) -> bool:
    """Whether a path belongs to the web page or its assets."""
    return path == PAGE or path.startswith(STATIC)


def security_headers(path: str) -> dict[str, str]:
    """The security headers of a response at a path."""
    return COMMON_HEADERS | {"Content-Security-Policy": PAGE_POLICY if is_page(path) else API_POLICY}


class SecurityHeaders:
    """Outermost ASGI middleware, so that errors carry the headers too."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers; API responses get `Cache-Control: no-store` unless their route sets another."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(security_headers(scope["path"]))
                if not is_page(scope["path"]):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, send_with_headers)
