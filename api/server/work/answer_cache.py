"""A cache for slow answers, valid while the index is unchanged."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from .worker_pool import BusyError

PATIENCE = 2.0
"""Seconds a request waits for another that computes the same answer, before it is refused."""

WAITERS = 4
"""Most requests waiting at once, since each occupies a worker thread."""

AGAIN_SECONDS = 10
"""Retry time after a refusal."""

V = TypeVar("V")


class AnswerCache(Generic[V]):
    """The most recent answers by key, each with the index state it was computed from."""

    def __init__(self, size: int, *, alone: bool = False) -> None:
        """Create an empty cache.

        Args:
            size: maximum number of answers.
            alone: compute only one answer at a time, for computations that would slow each other down.
        """
        self._size, self._alone = size, alone
        self._answers: dict[Hashable, tuple[object, V]] = {}
        self._lock = threading.Lock()
        self._computing = threading.Lock()
        self._waiters = threading.BoundedSemaphore(WAITERS)

    def get(self, key: Hashable, state: object, compute: Callable[[], V]) -> V:
        """The cached answer, or a newly computed one.

        Raises:
            BusyError: with `alone`, if another request is computing an answer.
        """
        cached = self._cached(key, state)
        if cached is not None:
            return cached[1]
        return self._compute_alone(key, state, compute) if self._alone else self._compute(key, state, compute)

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

    def _compute_alone(self, key: Hashable, state: object, compute: Callable[[], V]) -> V:
        if not self._wait_turn():
            raise BusyError("Another request is computing this answer.", AGAIN_SECONDS)
        try:
            cached = self._cached(key, state)  # by the request that was waited for
            return self._compute(key, state, compute) if cached is None else cached[1]
        finally:
            self._computing.release()

    def _wait_turn(self) -> bool:
        """Wait until no other request computes an answer; False if that takes too long."""
        if not self._waiters.acquire(blocking=False):
            return False
        try:
            return self._computing.acquire(timeout=PATIENCE)
        finally:
            self._waiters.release()
