"""How the catalog's file is opened, to write or to read alone, and what SQLite means when it refuses."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool, QueuePool

from ..errors import CatalogError, CatalogWriteError

DATABASE = "catalog.db"
"""The catalog's file in an index directory."""

BUSY_SECONDS = 60.0
"""How long a writer waits for another one; a batch is committed in a fraction of that."""

_AGAIN = "then run the same command again: what was committed is kept"
_SENTENCES = {
    sqlite3.SQLITE_FULL: "{file} cannot grow: the disk is full; free some space, " + _AGAIN,
    sqlite3.SQLITE_IOERR: "{file}: the disk refuses ({said}); it is full or failing; see to it, " + _AGAIN,
    sqlite3.SQLITE_BUSY: "{file} is locked by another program since {seconds:g} s; wait for it, or stop it",
    sqlite3.SQLITE_READONLY: "{file} cannot be written ({said}); give yourself permission, " + _AGAIN,
    sqlite3.SQLITE_CANTOPEN: "{file} cannot be opened; look at the permissions of the file and its folder",
    sqlite3.SQLITE_CORRUPT: "{file} is damaged ({said}); restore it, or index again elsewhere",
    sqlite3.SQLITE_NOTADB: "{file} cannot be used as a catalog ({said}); restore it, or index again elsewhere",
}
_CANNOT_WRITE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY}

_NO_LOCKS = "win32-none" if os.name == "nt" else "unix-none"


def is_writable(file: Path) -> bool:
    """Whether a database may be written: the file, if there is one, and its folder, where SQLite keeps its log."""
    return os.access(file.parent, os.W_OK) and (not file.exists() or os.access(file, os.W_OK))


def open_engine(file: Path, *, read_only: bool) -> Engine:
    """An engine over a database file, whatever its name; nothing is opened before the first query."""
    if read_only:  # no pool: how the file must be read can change from one query to the next
        return create_engine("sqlite://", creator=lambda: _reader(file), poolclass=NullPool)
    # Nobody waits for a connection, and each is kept: threads are limited where they are made, and probes must not
    # queue behind them.
    return create_engine("sqlite://", creator=lambda: _writer(file), poolclass=QueuePool, pool_size=0)


def refusal(file: Path, error: DatabaseError) -> CatalogError:
    """What SQLite says, as a sentence with the way out."""
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF  # the rest of the bits are details
    sentence = _SENTENCES.get(code, "{file}: {said}")
    kind = CatalogWriteError if code in _CANNOT_WRITE else CatalogError
    return kind(sentence.format(file=file, said=error.orig, seconds=BUSY_SECONDS))


@contextmanager
def write_transaction(connection: Connection) -> Iterator[None]:
    """A transaction that may write from its first moment, so that no other writer can come between."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def _writer(file: Path) -> sqlite3.Connection:
    # No isolation level: the catalog says when a transaction begins; the driver would leave DDL outside.
    connection = sqlite3.connect(file, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None)
    _keep_log(connection)
    # Not NORMAL: a power cut would take back what the FAISS file, or the user, has already been told.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _keep_log(connection: sqlite3.Connection) -> None:
    """Bring a new file to WAL mode; of two that do so together SQLite refuses one at once, whatever the timeout."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def _reader(file: Path) -> sqlite3.Connection:
    """Open a database in WAL mode without writing anything.

    SQLite wants to make `-wal` and `-shm` beside the file, even to read. Where it cannot, there are three cases. Both
    are there: they are read. None is there, or the log is empty: the file is all there is, and `immutable` says so.
    Only the log is there (a run was killed, and the folder copied): it is read without locks, with an index of it in
    memory, for `immutable` would ignore what it holds.

    Source: https://sqlite.org/wal.html, "Read-Only Databases" and "Use of WAL Without Shared-Memory".
    """
    log, shared = (file.with_name(file.name + ending) for ending in ("-wal", "-shm"))
    logged = log.is_file() and log.stat().st_size > 0
    options = "mode=ro"
    if not os.access(file.parent, os.W_OK) and not (logged and shared.exists()):
        options += f"&vfs={_NO_LOCKS}" if logged else "&immutable=1"
    connection = sqlite3.connect(
        f"{Path(os.path.abspath(file)).as_uri()}?{options}",
        uri=True,
        timeout=BUSY_SECONDS,
        check_same_thread=False,
        isolation_level=None,
    )
    if _NO_LOCKS in options:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    return connection
