"""Answers that are slow to find, and so are kept while the index stays as it is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from .work import BusyError

V = TypeVar("V")


class Kept(Generic[V]):
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

    def get(self, asked: Hashable, state: object, find: Callable[[], V]) -> V:
        """The answer that is kept, or a new one.

        Raises:
            BusyError: another request is finding one, and that is done `alone`.
        """
        with self._lock:
            there = self._answers.get(asked)
        if there is not None and there[0] == state:
            return there[1]
        found = self._found_alone(find) if self._alone else find()
        with self._lock:
            self._answers.pop(asked, None)
            self._answers = dict([*self._answers.items(), (asked, (state, found))][-self._most :])
        return found

    def _found_alone(self, find: Callable[[], V]) -> V:
        if not self._finding.acquire(blocking=False):
            raise BusyError
        try:
            return find()
        finally:
            self._finding.release()
