"""Open the catalog's database, read-write or read-only, and translate SQLite's errors."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool, QueuePool

from ..errors import CatalogError

DATABASE = "catalog.db"
"""The catalog's file in an index directory."""

BUSY_SECONDS = 60.0
"""How long a writer waits for another; committing a batch takes a fraction of that."""

_AGAIN = "then run the same command again: what was committed is kept"
_MESSAGES = {
    sqlite3.SQLITE_FULL: "{file} cannot grow: the disk is full; free some space, " + _AGAIN,
    sqlite3.SQLITE_IOERR: "{file}: the disk refuses ({said}); it is full or failing; see to it, " + _AGAIN,
    sqlite3.SQLITE_BUSY: "{file} is locked by another program since {seconds:g} s; wait for it, or stop it",
    sqlite3.SQLITE_READONLY: "{file} cannot be written ({said}); give yourself permission, " + _AGAIN,
    sqlite3.SQLITE_CANTOPEN: "{file} cannot be opened; look at the permissions of the file and its folder",
    sqlite3.SQLITE_CORRUPT: "{file} is damaged ({said}); restore it, or index again elsewhere",
    sqlite3.SQLITE_NOTADB: "{file} cannot be used as a catalog ({said}); restore it, or index again elsewhere",
}

_NO_LOCKS = "win32-none" if os.name == "nt" else "unix-none"


def is_writable(file: Path) -> bool:
    """Whether a database can be written: its file, if it exists, and its folder, which holds SQLite's log."""
    return os.access(file.parent, os.W_OK) and (not file.exists() or os.access(file, os.W_OK))


def open_engine(file: Path, *, read_only: bool) -> Engine:
    """Create an engine for a database file; the file is opened by the first query."""
    if read_only:  # no pool: how the file must be opened can change between queries
        return create_engine("sqlite://", creator=lambda: _reader(file), poolclass=NullPool)
    # Unlimited: threads are bounded where they are created, and health probes must not queue behind them.
    return create_engine("sqlite://", creator=lambda: _writer(file), poolclass=QueuePool, pool_size=0)


def refusal(file: Path, error: DatabaseError) -> CatalogError:
    """Translate an error of SQLite into one that says what to do."""
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF  # the higher bits are the extended code
    message = _MESSAGES.get(code, "{file}: {said}")
    return CatalogError(message.format(file=file, said=error.orig, seconds=BUSY_SECONDS))


def _writer(file: Path) -> sqlite3.Connection:
    # No isolation level: the catalog begins transactions itself; the driver would leave DDL outside of them.
    connection = sqlite3.connect(file, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None)
    _enable_wal(connection)
    # Not NORMAL: a power cut could undo a commit that the FAISS file, or the user, already relies on.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _enable_wal(connection: sqlite3.Connection) -> None:
    """Switch a new file to WAL mode. Of two processes that do so at once SQLite refuses one, whatever the timeout."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _reader(file: Path) -> sqlite3.Connection:
    """Open a database in WAL mode without writing anything.

    SQLite creates `-wal` and `-shm` beside the file even to read. Where it cannot, there are three cases. Both exist:
    they are read. Neither exists, or the log is empty: the file is complete, and is opened as `immutable`. Only the
    log exists (a run was killed, and the folder copied): it is read without locks and with its index in memory,
    because `immutable` would ignore it.

    Source: https://sqlite.org/wal.html, "Read-Only Databases" and "Use of WAL Without Shared-Memory".
    """
    log, shared_memory = (file.with_name(file.name + ending) for ending in ("-wal", "-shm"))
    has_log = log.is_file() and log.stat().st_size > 0
    options = "mode=ro"
    if not os.access(file.parent, os.W_OK) and not (has_log and shared_memory.exists()):
        options += f"&vfs={_NO_LOCKS}" if has_log else "&immutable=1"
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
