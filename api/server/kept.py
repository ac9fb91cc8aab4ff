"""Answers that are slow to find: kept while the index stays as it is, and found by one request at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from .work import BusyError

V = TypeVar("V")


class Kept(Generic[V]):
    """The last few answers of one kind, by what was asked, each with the state of the index that it is true of."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._answers: dict[Hashable, tuple[object, V]] = {}
        self._lock = threading.Lock()
        self._finding = threading.Lock()

    def get(self, asked: Hashable, state: object, find: Callable[[], V]) -> V:
        """The answer that is kept, or a new one.

        Raises:
            BusyError: another request is finding one; a second at the same time would only slow both.
        """
        with self._lock:
            there = self._answers.get(asked)
        if there is not None and there[0] == state:
            return there[1]
        if not self._finding.acquire(blocking=False):
            raise BusyError
        try:
            found = find()
        finally:
            self._finding.release()
        with self._lock:
            self._answers.pop(asked, None)
            self._answers = dict([*self._answers.items(), (asked, (state, found))][-self._most :])
        return found
