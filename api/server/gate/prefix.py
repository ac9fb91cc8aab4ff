"""Serves everything below a path that a proxy shows to clients, such as /photos, whether or not it removes the path.

The page's own addresses are relative. For `Location` and the servers in OpenAPI, the prefix is ASGI's `root_path`.
"""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from .headers import PAGE, security_headers

HEADER = "X-Forwarded-Prefix"
"""The prefix that a proxy removed. It need not be trusted: it only changes addresses in the answer to its sender."""

_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]{1,100}){1,10}")


class Prefix:
    """ASGI middleware that removes the prefix from a request's path, and leaves it in `root_path`.

    Args:
        app: the application.
        root_path: the prefix; if empty, that of the ASGI server or of the proxy's header.
    """

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self.app, self._root_path = app, root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request without the prefix; the prefix alone is redirected to the page."""
        prefix = self._prefix(scope) if scope["type"] == "http" else ""
        if not prefix:
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        while path.startswith(f"{prefix}/"):  # twice, if the ASGI server has put it before that of the proxy
            path = path.removeprefix(prefix)
        if path == prefix:
            query = scope["query_string"].decode("latin-1")
            address = f"{prefix}/?{query}" if query else f"{prefix}/"
            await RedirectResponse(address, 308, security_headers(PAGE))(scope, receive, send)
            return
        await self.app({**scope, "path": path, "root_path": prefix}, receive, send)

    def _prefix(self, scope: Scope) -> str:
        prefix = self._root_path or scope.get("root_path", "").rstrip("/")
        if not prefix:
            sent = Headers(scope=scope).get(HEADER, "").rstrip("/")
            prefix = sent if _PREFIX.fullmatch(sent) else ""
        return prefix
