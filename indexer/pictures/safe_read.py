"""Reading files that may be anything: no pipe is waited for, no file is larger than memory allows."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..errors import DecodeError, ReadError

MAX_BYTES = 2**30
"""Files beyond this are not read; those in memory at one time, over all threads, are no more than this together."""


class MemoryBudget:
    """Bytes that threads share: who needs more than is left waits, first come, first served."""

    def __init__(self, total: int) -> None:
        self.total = self.left = total
        self._changed = threading.Condition()
        self._turn = threading.Lock()

    @contextmanager
    def reserve(self, amount: int) -> Iterator[None]:
        """Have `amount` of it, at most all, for as long as the block lasts."""
        amount = min(amount, self.total)
        with self._turn, self._changed:
            self._changed.wait_for(lambda: self.left >= amount)
            self.left -= amount
        try:
            yield
        finally:
            with self._changed:
                self.left += amount
                self._changed.notify_all()


_IN_MEMORY = MemoryBudget(MAX_BYTES)  # of the process, because its memory is


@contextmanager
def read_file(path: Path, *, limit: int = MAX_BYTES) -> Iterator[bytes]:
    """A file's content, counted as memory in use for as long as the block lasts.

    What is written to the file meanwhile is not waited for: no more is read than it held when it was opened.

    Raises:
        ReadError: it is gone, or may not be read.
        DecodeError: it is no regular file, is empty, or is larger than `limit`.
    """
    with ExitStack() as held:
        try:
            file = held.enter_context(open(path, "rb", opener=_without_waiting))
            status = os.fstat(file.fileno())
            if (reason := describe_irregular(status.st_mode)) is not None:
                raise DecodeError(reason)
            if status.st_size > limit:
                raise DecodeError(f"its {status.st_size:,} bytes are more than the limit of {limit:,}")
            held.enter_context(_IN_MEMORY.reserve(status.st_size))
            data = file.read(status.st_size)
        except OSError as exc:
            raise ReadError(describe_read_error(exc)) from exc
        except MemoryError as exc:
            raise DecodeError("it does not fit into memory") from exc
        if not data:
            raise DecodeError("the file is empty")
        yield data


def describe_read_error(error: OSError) -> str:
    """What to say of a file that the system does not let be read."""
    return f"cannot be read: {error.strerror or error}"


def describe_irregular(mode: int) -> str | None:
    """What a file is that is none to be read, from its `st_mode`; None for a regular file."""
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    kind = stat.S_IFMT(mode)
    return None if kind == stat.S_IFREG else f"not a file but {kinds.get(kind, 'something else')}"


def _without_waiting(path: str, flags: int) -> int:
    """Opening a pipe would wait for its other end."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
