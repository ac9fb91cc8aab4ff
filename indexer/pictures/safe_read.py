"""Read untrusted files without blocking on pipes, and within a memory budget that all threads share."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..errors import DecodeError, ReadError

MAX_BYTES = 2**30
"""Maximum bytes of a file, and of all files that threads hold in memory at one time."""


class MemoryBudget:
    """A number of bytes that threads share. A thread that needs more than is left waits; first come, first served."""

    def __init__(self, total: int) -> None:
        self.total = self.left = total
        self._changed = threading.Condition()
        self._turn = threading.Lock()

    @contextmanager
    def reserve(self, amount: int) -> Iterator[None]:
        """Hold `amount` bytes, capped at the total, for the duration of the block."""
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


_IN_MEMORY = MemoryBudget(MAX_BYTES)  # one per process


@contextmanager
def read_file(path: Path, *, limit: int = MAX_BYTES) -> Iterator[bytes]:
    """Read a file, and reserve memory for it for the duration of the block.

    Reads no more bytes than the file had when it was opened, even if it grows meanwhile.

    Raises:
        ReadError: the file does not exist, or cannot be read.
        DecodeError: it is not a regular file, is empty, or is larger than `limit`.
    """
    with ExitStack() as resources:
        try:
            file = resources.enter_context(open(path, "rb", opener=_open_nonblocking))
            status = os.fstat(file.fileno())
            if (reason := describe_irregular(status.st_mode)) is not None:
                raise DecodeError(reason)
            if status.st_size > limit:
                raise DecodeError(f"too large ({status.st_size:,} bytes); the limit is {limit:,}")
            resources.enter_context(_IN_MEMORY.reserve(status.st_size))
            data = file.read(status.st_size)
        except OSError as exc:
            raise ReadError(describe_read_error(exc)) from exc
        except ValueError as exc:  # a NUL in its name
            raise ReadError(f"cannot be read: {exc}") from exc
        except MemoryError as exc:
            raise DecodeError("does not fit into memory") from exc
        if not data:
            raise DecodeError("the file is empty")
        yield data


def describe_read_error(error: OSError) -> str:
    """Describe why a file could not be read."""
    return f"cannot be read: {error.strerror or error}"


def describe_irregular(mode: int) -> str | None:
    """Describe a file that is not regular, by its `st_mode`; None for a regular file."""
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    kind = stat.S_IFMT(mode)
    return None if kind == stat.S_IFREG else f"not a regular file but {kinds.get(kind, 'something else')}"


def _open_nonblocking(path: str, flags: int) -> int:
    """Open a file without waiting for the other end of a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
