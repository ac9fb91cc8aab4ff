"""Which files a piece of work opens, as the interpreter's audit tells."""

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
    """Names of the files that Python opened meanwhile, but for the lock and what describes a vector index.

    SQLite and FAISS open theirs by themselves.
    """
    global _listening  # noqa: PLW0603  the hook outlives every test
    _listening = []
    try:
        work()
        ours = ("vectors", LOCK)
        return [name for name in _listening if Path(name).name not in ours and Path(name).parent.name not in ours]
    finally:
        _listening = None
