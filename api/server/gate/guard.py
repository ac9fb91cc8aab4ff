"""Admission control before routing: host name, origin, API key, rate limit, body size."""

from __future__ import annotations

import ipaddress
import logging
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...errors import KeysError
from ..problems import problem
from ..settings import LOCAL_HOSTS, Settings
from .body_limits import BodyLimits
from .client_address import client_address
from .headers import is_page
from .keys import Access, Key, KeyStore
from .rates import Rates

PROBES = frozenset({"/healthz", "/readyz"})
"""Need no key and are not rate-limited: they reveal nothing about the index."""

SEARCHES = frozenset({"/v1/search", "/v1/search/image", "/v1/captions", "/v1/explain", "/v1/explain/png"})
"""POST routes that change nothing. Any other non-GET request needs the scope `write`."""

READING = frozenset({"GET", "HEAD", "OPTIONS"})
CHALLENGE = 'Bearer realm="crosslook"'

logger = logging.getLogger("crosslook")

_LOCAL = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", re.IGNORECASE)


class Guard:
    """ASGI middleware that checks host names, keys, rates and sizes.

    Without keys, only this machine can connect. But a web page in its browser could reach the server by DNS rebinding,
    submit forms, or time responses; so `Host` must name this machine, and requests from pages of other origins are
    refused. Links from such pages are allowed.
    """

    def __init__(self, app: ASGIApp, settings: Settings, keys: KeyStore) -> None:
        self.app = app
        self.settings = settings
        self._keys = keys
        self._bodies = BodyLimits(settings.upload_bytes)
        self._proxies = tuple(ipaddress.ip_network(proxy) for proxy in settings.proxies)
        self._rates = Rates(settings.rate) if settings.rate else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            rate_headers = self._admit(scope, headers)
        except HTTPException as exc:
            await problem(exc.status_code, exc.detail, dict(exc.headers or {}))(scope, receive, send)
        except KeysError as exc:
            logger.error("%s", exc)  # noqa: TRY400  expected: no traceback
            response = problem(503, "API keys cannot be checked. See the server log.", name="keys-unavailable")
            await response(scope, receive, send)
        else:
            with self._bodies.counted(headers, receive) as counting:
                await self.app(scope, counting, _with_headers(send, rate_headers))

    def _admit(self, scope: Scope, headers: Headers) -> dict[str, str]:
        """Admit a request, and return its rate limit headers.

        Raises:
            HTTPException: the request is refused.
            KeysError: the key file is damaged or cannot be read.
        """
        self._bodies.check(headers)
        path, needs_key = scope["path"], self.settings.needs_keys
        if not needs_key:
            self._check_origin(scope, headers)
        if path in PROBES or is_page(path):
            return {}
        key = self._key(headers) if needs_key else None
        rate_headers = self._count(key.id if key else client_address(scope, self._proxies))
        if needs_key:
            _check_access(key, _required_scope(scope), sent="authorization" in headers)
        if key is not None:
            scope.setdefault("state", {})["key_id"] = key.id
        return rate_headers

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not _LOCAL.fullmatch(hosts[0]):
            raise HTTPException(421, f"Unknown host name. This server answers only to {', '.join(LOCAL_HOSTS)}.")
        origin, mode = headers.get("origin"), headers.get("sec-fetch-mode")
        if origin is None:  # a program, or a browser loading a subresource or following a link
            foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site") and mode != "navigate"
        else:
            foreign = origin not in (*self.settings.cors_origins, f"{scope.get('scheme')}://{hosts[0]}")
        if foreign and scope["method"] != "OPTIONS":
            raise HTTPException(
                403, "Requests from pages of other origins are refused unless cors_origins lists the origin."
            )

    def _key(self, headers: Headers) -> Key | None:
        """The stored key of the request's secret, if it is valid."""
        credentials = headers.getlist("authorization")
        scheme, _, secret = credentials[0].partition(" ") if len(credentials) == 1 else ("", "", "")
        key = self._keys.find(secret.strip())
        return key if scheme.lower() == "bearer" else None

    def _count(self, client: str) -> dict[str, str]:
        if self._rates is None:
            return {}
        allowance = self._rates.count(client)
        if not allowance.granted:
            wait = allowance.headers["Retry-After"]
            detail = f"Rate limit of {self.settings.rate} requests per minute exceeded. Retry in {wait} s."
            raise HTTPException(429, detail, headers=allowance.headers)
        return allowance.headers


def _required_scope(scope: Scope) -> Access:
    return "read" if scope["method"] in READING or scope["path"] in SEARCHES else "write"


def _check_access(key: Key | None, required: Access, *, sent: bool) -> None:
    if key is None:
        detail = "Invalid API key." if sent else "This server requires an API key."
        error = ', error="invalid_token"' if sent else ""
        raise HTTPException(
            401, f"{detail} Send it as Authorization: Bearer KEY", headers={"WWW-Authenticate": CHALLENGE + error}
        )
    if not key.allows(required):
        challenge = f'{CHALLENGE}, error="insufficient_scope", scope="{required}"'
        raise HTTPException(
            403,
            f"The API key lacks the scope {required}. Create one with: crosslook keys add NAME --scope {required}",
            headers={"WWW-Authenticate": challenge},
        )


def _with_headers(send: Send, headers: dict[str, str]) -> Send:
    """Wrap `send` to add headers to the response."""
    if not headers:
        return send

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(headers)
        await send(message)

    return send_with_headers
