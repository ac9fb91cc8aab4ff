"""Every request gets an id, one line in the log, and is counted; whatever fails below is answered here."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from http import HTTPMethod

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from ..metrics import Metrics
from ..problems import ending, unforeseen

HEADER = "X-Request-ID"
ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
NO_ROUTE = "none"
LEFT = 499  # nginx's number for a client that went away before it was answered

logger = logging.getLogger("crosslook.requests")
faults = logging.getLogger("crosslook")


class RequestLog:
    """ASGI middleware, outside all others: what they refuse is seen too."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and note how it was answered."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        request_id = given if ID.fullmatch(given) else secrets.token_hex(8)
        began, status = time.perf_counter(), LEFT

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        with bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, named)
            except asyncio.CancelledError:  # the server was told to end, and this takes longer than it may
                if status != LEFT:
                    raise
                await ending()(scope, receive, named)
            except Exception:
                faults.exception("an error that was not foreseen")
                if status != LEFT:  # half an answer is out: the server closes the connection
                    raise
                await unforeseen()(scope, receive, named)
            finally:
                self._note(scope, status, time.perf_counter() - began)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", NO_ROUTE)
        method = scope["method"] if scope["method"] in HTTPMethod.__members__ else "other"
        self.metrics.request(route, method, status, seconds)
        facts = {"method": method, "route": route, "status": status, "ms": round(1000 * seconds, 1)}
        key = scope.get("state", {}).get("key_id")
        level = logging.WARNING if status >= 500 else logging.INFO
        logger.log(level, "request", extra=facts if key is None else facts | {"key": key})
