"""The time of each stage of a query."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Collects milliseconds by stage; `total` runs from its making."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._stages: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage; one that runs twice adds up."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._stages[name] = self._stages.get(name, 0.0) + 1000 * (time.perf_counter() - began)

    def milliseconds(self) -> dict[str, float]:
        """Every stage so far, and the total."""
        total = 1000 * (time.perf_counter() - self._began)
        return {name: round(value, 2) for name, value in {**self._stages, "total": total}.items()}
