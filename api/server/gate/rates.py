"""Rate limits per client: a sliding window in memory."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

WINDOW_SECONDS = 60
EVICTION_THRESHOLD = 10_000
"""Number of clients above which idle ones are evicted, to bound memory."""


@dataclass(frozen=True)
class Allowance:
    """Whether a request is granted, and the rate limit headers of its answer."""

    granted: bool
    headers: dict[str, str]


class Rates:
    """Counts requests per minute and client. Not thread-safe: for the event loop only."""

    def __init__(self, rate: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._times: dict[str, deque[float]] = {}
        self._threshold = EVICTION_THRESHOLD

    def count(self, client: str) -> Allowance:
        """Count a request if the limit allows it; refused requests do not count."""
        now = self._clock()
        if len(self._times) >= self._threshold:
            self._evict(now)
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

    def _evict(self, now: float) -> None:
        """Forget clients without a request in the window."""
        self._times = {client: times for client, times in self._times.items() if times[-1] > now - WINDOW_SECONDS}
        self._threshold = max(EVICTION_THRESHOLD, 2 * len(self._times))
