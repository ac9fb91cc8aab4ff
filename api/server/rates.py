"""How often a client may ask: a window that moves, in memory."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

WINDOW_SECONDS = 60
MANY = 10_000
"""Clients that are remembered before those that were silent for a window are looked for and forgotten."""


@dataclass(frozen=True)
class Allowance:
    """What a client has left after a request."""

    granted: bool
    headers: dict[str, str]


class Rates:
    """Requests a minute for each client."""

    def __init__(self, rate: int) -> None:
        self._item = RateLimitItemPerMinute(rate)
        self._storage = MemoryStorage()
        self._limiter = MovingWindowRateLimiter(self._storage)
        self._look_at = MANY

    def count(self, client: str) -> Allowance:
        """Count a request, and say whether it may be worked on; what is refused is not counted."""
        self._forget()
        granted = self._limiter.hit(self._item, client)
        resets, left = self._limiter.get_window_stats(self._item, client)
        wait = str(max(1, math.ceil(resets - time.time())))
        headers = {
            "RateLimit-Policy": f'"client";q={self._item.amount};w={WINDOW_SECONDS}',
            "RateLimit": f'"client";r={left};t={wait}',
        }
        return Allowance(granted, headers if granted else headers | {"Retry-After": wait})

    def _forget(self) -> None:
        """The library empties a silent client's window, but keeps the client: strangers would fill the memory."""
        if len(self._storage.events) < self._look_at:
            return
        for client in [client for client, requests in list(self._storage.events.items()) if not requests]:
            self._storage.clear(client)
        self._look_at = max(MANY, 2 * len(self._storage.events))
