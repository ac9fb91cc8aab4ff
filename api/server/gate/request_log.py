"""Assigns request ids, logs and counts every request, and answers unexpected errors."""

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
from ..problems import internal_error, shutting_down

HEADER = "X-Request-ID"
ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
NO_ROUTE = "none"
READINESS = "/readyz"
"""The probe whose 503 says that the server is still loading; the reason of any other fault is logged by itself."""

DISCONNECTED = 499  # nginx's status for a client that disconnected before the response

logger = logging.getLogger("crosslook.requests")
error_logger = logging.getLogger("crosslook")


class RequestLog:
    """ASGI middleware that wraps the guard, so that refused requests are logged too."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, and log its status and duration."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sent_id = Headers(scope=scope).get(HEADER, "")
        request_id = sent_id if ID.fullmatch(sent_id) else secrets.token_hex(8)
        started, status = time.perf_counter(), DISCONNECTED

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        with bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, send_with_id)
            except asyncio.CancelledError:  # at shutdown: the request took longer than the server waits
                if status != DISCONNECTED:
                    raise
                await shutting_down()(scope, receive, send_with_id)
            except Exception:
                error_logger.exception("unexpected error")
                if status != DISCONNECTED:  # the response has begun: the server closes the connection
                    raise
                await internal_error()(scope, receive, send_with_id)
            finally:
                self._record(scope, status, time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", NO_ROUTE)
        method = scope["method"] if scope["method"] in HTTPMethod.__members__ else "other"
        self.metrics.request(route, method, status, seconds)
        fields = {"method": method, "route": route, "status": status, "ms": round(1000 * seconds, 1)}
        key = scope.get("state", {}).get("key_id")
        level = logging.WARNING if status >= 500 and route != READINESS else logging.INFO
        logger.log(level, "request", extra=fields if key is None else fields | {"key": key})
