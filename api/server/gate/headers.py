"""What every answer tells browsers: to believe its type, to run nothing, to frame nothing, to tell nobody.

API answers, files of the index among them, may load and run nothing at all, whatever they turn out to hold. The web
page may use what this server serves, and pictures that its own script made.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAGE = "/"
STATIC = "/static/"
"""Where the web page and what it is made of lie: they hold nothing of the index, and are served to anyone."""

NOTHING = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
API_POLICY = f"default-src 'none'; {NOTHING}; sandbox"
PAGE_POLICY = f"default-src 'self'; img-src 'self' blob: data:; object-src 'none'; {NOTHING}"

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def is_page(path: str) -> bool:
    """Whether a path is the web page's, or of something that it is made of."""
    return path == PAGE or path.startswith(STATIC)


def security_headers(path: str) -> dict[str, str]:
    """What an answer at a path carries."""
    return ALWAYS | {"Content-Security-Policy": PAGE_POLICY if is_page(path) else API_POLICY}


class SecurityHeaders:
    """ASGI middleware, outside all others: refusals and faults are answers too."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers to what goes out; API answers are not kept unless their route says so."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(security_headers(scope["path"]))
                if not is_page(scope["path"]):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, guarded)
