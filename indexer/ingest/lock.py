"""The lock that keeps two indexers from one index. The operating system releases it when its process ends.

Searches do not take the lock, nor does anything that is a single transaction, such as switching to another model.
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
"""Name of the locked file. It stays when the lock is released, and contains the process id of the last holder."""

P = ParamSpec("P")
R = TypeVar("R")


def indexing_lock(directory: Path, name: str = LOCK) -> AbstractContextManager[None]:
    """Keep other indexing runs, rebuilds and removals out of an index; under another name, runs that add one model.

    Args:
        directory: the index; it must exist.
        name: file name of the lock.

    Raises:
        IndexBusyError: another process holds the lock; the message names it.
        CatalogError: the directory cannot be written.
    """
    return file_lock(directory, name, "being indexed")


@contextmanager
def file_lock(directory: Path, name: str, activity: str) -> Iterator[None]:
    """Hold an exclusive lock on a file in an index directory.

    Args:
        directory: the index; it must exist.
        name: file name of the lock.
        activity: what its holder does, for the message, such as `being indexed`.

    Raises:
        IndexBusyError: another process holds the lock; the message names it.
        CatalogError: the directory cannot be written.
    """
    try:
        file = os.open(directory / name, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as exc:
        raise CatalogError(
            f"the index in {directory} cannot be written ({exc.strerror or exc}); it can be searched, but not changed"
        ) from exc
    try:
        if not _lock(file):
            raise IndexBusyError(f"{directory} is {activity} by {_holder(file)}; wait for it, or stop it")
        with suppress(OSError):  # on a full disk the process id is missing, but the lock holds
            os.ftruncate(file, 0)
            os.write(file, str(os.getpid()).encode())
        yield
    finally:
        os.close(file)


def locked(function: Callable[Concatenate[Catalog, P], R]) -> Callable[Concatenate[Catalog, P], R]:
    """Decorate a function that changes a catalog: it holds the lock, and rejects a read-only catalog."""

    @functools.wraps(function)
    def wrapper(catalog: Catalog, /, *args: P.args, **kwargs: P.kwargs) -> R:
        catalog.check_writable()
        with indexing_lock(catalog.directory):
            return function(catalog, *args, **kwargs)

    return wrapper


def _holder(file: int) -> str:
    """Name the process that holds the lock; it writes its id just after taking the lock."""
    os.lseek(file, 0, os.SEEK_SET)
    content = os.read(file, 20).decode("ascii", "replace")
    return f"process {content}" if content.isdigit() else "another process"


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> bool:
        """Try to lock a file. Windows forbids reading a locked byte, so it is one far behind the process id."""
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
        """Try to lock a file; True also on a file system without locks, where SQLite's transactions must suffice."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            return exc.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.EAGAIN)
        return True
