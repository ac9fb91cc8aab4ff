"""Measure the time of each stage of a query."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Collects milliseconds by stage; `total` is the time since it was created."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._stages: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block as a stage; repeated stages add up."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._stages[name] = self._stages.get(name, 0.0) + 1000 * (time.perf_counter() - start)

    def milliseconds(self) -> dict[str, float]:
        """Milliseconds of every stage so far, and of the total."""
        total = 1000 * (time.perf_counter() - self._start)
        return {name: round(value, 2) for name, value in {**self._stages, "total": total}.items()}
