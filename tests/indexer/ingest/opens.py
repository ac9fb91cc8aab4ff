"""Record which files Python opens, by an audit hook."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from indexer.ingest.lock import LOCK

_listening: list[str] | None = None


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _listening is not None and isinstance(arguments[0], (str, bytes)):
        _listening.append(os.fsdecode(arguments[0]))


sys.addaudithook(_hear)  # once: a hook cannot be taken away again


def opened(work: Callable[[], object]) -> list[str]:
    """Return the names of files that Python opens in a call, except the lock and the descriptions of vector indexes."""
    global _listening  # noqa: PLW0603  the hook outlives every test
    _listening = []
    try:
        work()
        ours = ("vectors", LOCK)
        return [name for name in _listening if Path(name).name not in ours and Path(name).parent.name not in ours]
    finally:
        _listening = None
