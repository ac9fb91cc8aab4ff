"""What a request must pass before anything looks at it: by which name, with which key, how often, and how much."""

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
from .client_address import client_of
from .headers import is_page
from .keys import Access, Key, KeyStore
from .rates import Rates

PROBES = frozenset({"/healthz", "/readyz"})
"""Anyone may ask these, as often as they like: they tell nothing of the index."""

SEARCHES = frozenset({"/v1/search", "/v1/search/image", "/v1/captions", "/v1/explain", "/v1/explain/png"})
"""What is sent, and changes nothing. Whatever else is no GET needs a key that may write."""

READING = frozenset({"GET", "HEAD", "OPTIONS"})
CHALLENGE = 'Bearer realm="crosslook"'

logger = logging.getLogger("crosslook")

_LOCAL = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", re.IGNORECASE)


class Guard:
    """ASGI middleware: names, keys, rates, sizes.

    Where no key is asked for, only this machine can connect; but a web page in its browser could be pointed here by a
    name it controls (DNS rebinding), send a form here, or ask much and measure how long it takes, so `Host` must be a
    name of this machine, and a request must not come from another origin's page. A link on one may lead here.
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
            told = self._admit(scope, headers)
        except HTTPException as exc:
            await problem(exc.status_code, exc.detail, dict(exc.headers or {}))(scope, receive, send)
        except KeysError as exc:
            logger.error("%s", exc)  # noqa: TRY400  the message says it all
            fault = problem(503, "no key can be checked now; the server's log tells more", name="keys-unavailable")
            await fault(scope, receive, send)
        else:
            with self._bodies.counted(headers, receive) as counting:
                await self.app(scope, counting, _telling(send, told))

    def _admit(self, scope: Scope, headers: Headers) -> dict[str, str]:
        """Let a request pass, and return what its answer tells about the rate."""
        self._bodies.check(headers)
        path, asks = scope["path"], self.settings.asks_keys
        if not asks:
            self._check_names(scope, headers)
        if path in PROBES or is_page(path):
            return {}
        key = self._key(headers) if asks else None
        told = self._count(key.id if key else client_of(scope, self._proxies))
        if asks:
            _check_access(key, _needed(scope), given="authorization" in headers)
        if key is not None:
            scope.setdefault("state", {})["key_id"] = key.id
        return told

    def _check_names(self, scope: Scope, headers: Headers) -> None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not _LOCAL.fullmatch(hosts[0]):
            raise HTTPException(421, f"this server answers to {', '.join(LOCAL_HOSTS)} only")
        origin, mode = headers.get("origin"), headers.get("sec-fetch-mode")
        if origin is None:  # a program, or a browser that asks for a part of a page, or follows a link
            foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site") and mode != "navigate"
        else:
            foreign = origin not in (*self.settings.cors_origins, f"{scope.get('scheme')}://{hosts[0]}")
        if foreign and scope["method"] != "OPTIONS":
            raise HTTPException(403, "a page of another origin may not ask anything; its origin is not in cors_origins")

    def _key(self, headers: Headers) -> Key | None:
        """The key that a request shows, if it is one."""
        given = headers.getlist("authorization")
        scheme, _, secret = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        found = self._keys.find(secret.strip())
        return found if scheme.lower() == "bearer" else None

    def _count(self, client: str) -> dict[str, str]:
        if self._rates is None:
            return {}
        allowance = self._rates.count(client)
        if not allowance.granted:
            wait = allowance.headers["Retry-After"]
            detail = f"more than {self.settings.rate} requests in a minute; ask again in {wait} s"
            raise HTTPException(429, detail, headers=allowance.headers)
        return allowance.headers


def _needed(scope: Scope) -> Access:
    return "read" if scope["method"] in READING or scope["path"] in SEARCHES else "write"


def _check_access(key: Key | None, needed: Access, *, given: bool) -> None:
    if key is None:
        detail = "this is no valid API key" if given else "this server wants an API key"
        error = ', error="invalid_token"' if given else ""
        raise HTTPException(
            401, f"{detail}; send Authorization: Bearer KEY", headers={"WWW-Authenticate": CHALLENGE + error}
        )
    if not key.allows(needed):
        challenge = f'{CHALLENGE}, error="insufficient_scope", scope="{needed}"'
        raise HTTPException(
            403,
            f"this needs a key that may {needed}, and yours may not: crosslook keys add NAME --scope {needed}",
            headers={"WWW-Authenticate": challenge},
        )


def _telling(send: Send, told: dict[str, str]) -> Send:
    """Add headers to what is answered."""
    if not told:
        return send

    async def telling(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(told)
        await send(message)

    return telling
