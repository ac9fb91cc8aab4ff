"""How often a client may ask: a window that moves, in memory."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

WINDOW_SECONDS = 60
MANY = 10_000
"""Clients that are remembered before those that were silent for a window are looked for and forgotten."""


@dataclass(frozen=True)
class Allowance:
    """What a client has left after a request."""

    granted: bool
    headers: dict[str, str]


class Rates:
    """Requests a minute for each client. For one thread, that of the event loop."""

    def __init__(self, rate: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._times: dict[str, deque[float]] = {}
        self._look_at = MANY

    def count(self, client: str) -> Allowance:
        """Count a request, and say whether it may be worked on; what is refused is not counted."""
        now = self._clock()
        if len(self._times) >= self._look_at:
            self._forget(now)
        times = self._times.setdefault(client, deque())
        while times and times[0] <= now - WINDOW_SECONDS:
            times.popleft()
        granted = len(times) < self._rate
        if granted:
            times.append(now)
        wait = str(max(1, math.ceil(times[0] + WINDOW_SECONDS - now)))
        headers = {
            "RateLimit-Policy": f'"client";q={self._rate};w={WINDOW_SECONDS}',
            "RateLimit": f'"client";r={self._rate - len(times)};t={wait}',
        }
        return Allowance(granted, headers if granted else headers | {"Retry-After": wait})

    def _forget(self, now: float) -> None:
        """Those who were silent for a window: strangers would fill the memory."""
        self._times = {client: times for client, times in self._times.items() if times[-1] > now - WINDOW_SECONDS}
        self._look_at = max(MANY, 2 * len(self._times))
