"""Answers that are slow to find, and so are kept while the index stays as it is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from .worker_pool import BusyError

PATIENCE = 2.0
"""Seconds that a request waits for what another one is finding, before it is told to come back."""

WAITERS = 4
"""Requests that may wait so at the same time, for each of them holds a thread that searches could use."""

AGAIN_SECONDS = 10
"""When to come back: what is found alone takes long."""

V = TypeVar("V")


class AnswerCache(Generic[V]):
    """The last few answers of one kind, by what was asked, each with the state of the index that it is true of."""

    def __init__(self, most: int, *, alone: bool = False) -> None:
        """Start with none.

        Args:
            most: how many are kept.
            alone: whether finding one takes so long that a second at the same time would only slow both.
        """
        self._most, self._alone = most, alone
        self._answers: dict[Hashable, tuple[object, V]] = {}
        self._lock = threading.Lock()
        self._finding = threading.Lock()
        self._places = threading.BoundedSemaphore(WAITERS)

    def get(self, asked: Hashable, state: object, find: Callable[[], V]) -> V:
        """The answer that is kept, or a new one.

        Raises:
            BusyError: another request is finding one, and that is done `alone`.
        """
        found = self._kept(asked, state)
        if found is not None:
            return found[1]
        return self._found_alone(asked, state, find) if self._alone else self._found(asked, state, find)

    def _kept(self, asked: Hashable, state: object) -> tuple[object, V] | None:
        with self._lock:
            there = self._answers.get(asked)
        return there if there is not None and there[0] == state else None

    def _found(self, asked: Hashable, state: object, find: Callable[[], V]) -> V:
        found = find()
        with self._lock:
            self._answers.pop(asked, None)
            self._answers = dict([*self._answers.items(), (asked, (state, found))][-self._most :])
        return found

    def _found_alone(self, asked: Hashable, state: object, find: Callable[[], V]) -> V:
        if not self._turn():
            raise BusyError("another request is finding this now", AGAIN_SECONDS)
        try:
            there = self._kept(asked, state)  # found by whoever was waited for
            return self._found(asked, state, find) if there is None else there[1]
        finally:
            self._finding.release()

    def _turn(self) -> bool:
        """Wait for whoever is finding an answer; whether that ended in time."""
        if not self._places.acquire(blocking=False):
            return False
        try:
            return self._finding.acquire(timeout=PATIENCE)
        finally:
            self._places.release()
