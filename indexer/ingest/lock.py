"""One indexer at a time: a lock that the operating system holds, and takes back when its process dies.

Searches do not take it; what is written in one transaction, such as a caption bank or the change to another model,
needs none either.
"""

from __future__ import annotations

import errno
import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from ..catalog.catalog import Catalog
from ..errors import CatalogError, IndexBusyError

LOCK = "indexing.lock"
"""The file stays where it is, with the last holder's process id in it; what counts is the lock on it."""

P = ParamSpec("P")
R = TypeVar("R")


def indexing_lock(directory: Path, name: str = LOCK) -> AbstractContextManager[None]:
    """Keep other indexers, rebuilds and removals away from an index, or two from adding one model.

    Args:
        directory: the index; it must exist.
        name: of the lock.

    Raises:
        IndexBusyError: another one holds the lock; says which process.
        CatalogError: the folder cannot be written.
    """
    return file_lock(directory, name, "being indexed")


@contextmanager
def file_lock(directory: Path, name: str, doing: str) -> Iterator[None]:
    """Hold a lock in an index; what each of them keeps apart is for its users to say.

    Args:
        directory: the index; it must exist.
        name: of the file that is locked.
        doing: what is being done to the index by whoever holds it, for the message.

    Raises:
        IndexBusyError: another one holds the lock; says which process.
        CatalogError: the folder cannot be written.
    """
    try:
        file = os.open(directory / name, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as exc:
        raise CatalogError(
            f"the index in {directory} cannot be written ({exc.strerror or exc}); it can be searched, but not changed"
        ) from exc
    try:
        if not _lock(file):
            raise IndexBusyError(f"{directory} is {doing} by {_holder(file)}; wait for it, or stop it")
        with suppress(OSError):  # on a full disk the lock holds all the same, without a name on it
            os.ftruncate(file, 0)
            os.write(file, str(os.getpid()).encode())
        yield
    finally:
        os.close(file)


def locked(work: Callable[Concatenate[Catalog, P], R]) -> Callable[Concatenate[Catalog, P], R]:
    """Let a function that changes a catalog hold the lock while it runs; a catalog that is read-only is refused."""

    @functools.wraps(work)
    def alone(catalog: Catalog, /, *args: P.args, **kwargs: P.kwargs) -> R:
        catalog.check_writable()
        with indexing_lock(catalog.directory):
            return work(catalog, *args, **kwargs)

    return alone


def _holder(file: int) -> str:
    """Who holds the lock, as far as the file tells; for an instant after it was taken the file tells nothing."""
    os.lseek(file, 0, os.SEEK_SET)
    written = os.read(file, 20).decode("ascii", "replace")
    return f"process {written}" if written.isdigit() else "another process"


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> bool:
        """Locks forbid reading on Windows, so the one byte that is locked lies far behind the process id."""
        os.lseek(file, 1 << 30, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        os.lseek(file, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _lock(file: int) -> bool:
        """Where a file system knows no locks there is none; SQLite's transactions keep the catalog whole there too."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            return exc.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EAGAIN)
        return True
