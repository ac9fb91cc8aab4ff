"""A cache for slow answers, valid while the index is unchanged."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from .worker_pool import BusyError

WAIT_SECONDS = 2.0
"""How long a request waits for another one's computation before it is refused."""

MAX_WAITING = 4
"""Maximum number of waiting requests: each occupies a worker thread."""

RETRY_SECONDS = 10
"""`Retry-After` of a refusal."""

V = TypeVar("V")


class AnswerCache(Generic[V]):
    """The most recent answers by key, each with the state of the index it was computed from."""

    def __init__(self, size: int, *, exclusive: bool = False) -> None:
        """Create an empty cache.

        Args:
            size: maximum number of answers.
            exclusive: compute only one answer at a time, for computations that would slow each other down.
        """
        self._size, self._exclusive = size, exclusive
        self._answers: dict[Hashable, tuple[object, V]] = {}
        self._lock = threading.Lock()
        self._computing = threading.Lock()
        self._waiters = threading.BoundedSemaphore(MAX_WAITING)

    def get(self, key: Hashable, state: object, compute: Callable[[], V]) -> V:
        """The cached answer, or a newly computed one.

        Raises:
            BusyError: with `exclusive`, if another request is computing an answer.
        """
        cached = self._cached(key, state)
        if cached is not None:
            return cached[1]
        return self._compute_exclusively(key, state, compute) if self._exclusive else self._compute(key, state, compute)

    def _cached(self, key: Hashable, state: object) -> tuple[object, V] | None:
        with self._lock:
            entry = self._answers.get(key)
        return entry if entry is not None and entry[0] == state else None

    def _compute(self, key: Hashable, state: object, compute: Callable[[], V]) -> V:
        answer = compute()
        with self._lock:
            self._answers.pop(key, None)
            self._answers = dict([*self._answers.items(), (key, (state, answer))][-self._size :])
        return answer

    def _compute_exclusively(self, key: Hashable, state: object, compute: Callable[[], V]) -> V:
        if not self._wait_turn():
            raise BusyError("Another request is computing this answer.", RETRY_SECONDS)
        try:
            cached = self._cached(key, state)  # by the request just waited for
            return self._compute(key, state, compute) if cached is None else cached[1]
        finally:
            self._computing.release()

    def _wait_turn(self) -> bool:
        """Wait until no other request computes an answer; False if that takes too long."""
        if not self._waiters.acquire(blocking=False):
            return False
        try:
            return self._computing.acquire(timeout=WAIT_SECONDS)
        finally:
            self._waiters.release()
