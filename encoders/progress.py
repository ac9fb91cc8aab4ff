"""How long-running work reports its progress, in every package."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with the name of the phase, the number of items done, and the number of items in all."""


def no_progress(_phase: str, _done: int, _total: int) -> None:
    """Report nothing."""
