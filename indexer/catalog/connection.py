"""Open the catalog's database file, and turn SQLite's errors into messages."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool, QueuePool

from ..errors import CatalogError, CatalogWriteError
from .words import folded

DATABASE = "catalog.db"
"""Name of the catalog's file in an index directory."""

BUSY_SECONDS = 60.0
"""How long a writer waits for another one. Committing a batch takes a fraction of that."""

_RERUN = "run the same command again; everything committed so far is kept"
_RESTORE = "restore it from a backup, or index into another directory"
_MESSAGES = {
    sqlite3.SQLITE_FULL: "cannot write {file}: the disk is full; free some space, then " + _RERUN,
    sqlite3.SQLITE_IOERR: "disk error on {file} ({reason}); check that the disk is healthy and not full, then "
    + _RERUN,
    sqlite3.SQLITE_BUSY: "{file} is still locked by another program after {seconds:g} s; wait for it, or stop it",
    sqlite3.SQLITE_READONLY: "cannot write {file} ({reason}); get write permission, then " + _RERUN,
    sqlite3.SQLITE_CANTOPEN: "cannot open {file}; check the permissions of the file and its folder",
    sqlite3.SQLITE_CORRUPT: "{file} is damaged ({reason}); " + _RESTORE,
    sqlite3.SQLITE_NOTADB: "{file} is not a catalog ({reason}); " + _RESTORE,
}
_CANNOT_WRITE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY}

_NO_LOCKS = "win32-none" if os.name == "nt" else "unix-none"


def is_writable(file: Path) -> bool:
    """Whether the file, if it exists, and its folder, where SQLite keeps its log, can both be written."""
    return os.access(file.parent, os.W_OK) and (not file.exists() or os.access(file, os.W_OK))


def open_engine(file: Path, *, read_only: bool) -> Engine:
    """Create an engine for a database file of any name. The first query opens the file."""
    if read_only:  # no pool: the way to open the file can change from one query to the next
        return create_engine("sqlite://", creator=lambda: _reader(file), poolclass=NullPool)
    # An unlimited pool: threads are limited where they are started, and health probes must not queue behind them.
    return create_engine("sqlite://", creator=lambda: _writer(file), poolclass=QueuePool, pool_size=0)


def refusal(file: Path, error: DatabaseError) -> CatalogError:
    """Turn an error of SQLite into one whose message says what to do."""
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF  # the upper bits refine the primary code
    template = _MESSAGES.get(code, "{file}: {reason}")
    error_class = CatalogWriteError if code in _CANNOT_WRITE else CatalogError
    return error_class(template.format(file=file, reason=error.orig, seconds=BUSY_SECONDS))


@contextmanager
def write_transaction(connection: Connection) -> Iterator[None]:
    """Run a transaction that holds the write lock from its start, so that no other writer can come between."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def add_functions(connection: sqlite3.Connection) -> None:
    """Let queries call `words.folded`, for values such as cameras, of which few are different."""

    @lru_cache(maxsize=4096)
    def null_or_folded(text: str | None) -> str | None:
        return None if text is None else folded(text)

    connection.create_function("folded", 1, null_or_folded, deterministic=True)


def _writer(file: Path) -> sqlite3.Connection:
    # No isolation level: the catalog begins transactions itself, because the driver's would not cover DDL.
    connection = sqlite3.connect(file, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None)
    add_functions(connection)
    _enable_wal(connection)
    # Not NORMAL: a power cut could undo a commit that a FAISS file, or a reply to the user, already relies on.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _enable_wal(connection: sqlite3.Connection) -> None:
    """Set WAL mode, with retries: of two processes that set it at once, SQLite fails one without any timeout."""
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

    SQLite creates `-wal` and `-shm` beside the file even to read. Where it cannot, there are three cases. If both
    exist, they are read. If neither exists, or the log is empty, the file is complete and is opened as `immutable`. If
    only the log exists (a run was killed, and the folder copied), it is read without locks, with its index in memory,
    because `immutable` would ignore it.

    Source: https://sqlite.org/wal.html, "Read-Only Databases" and "Use of WAL Without Shared-Memory".
    """
    log, shared_memory = (file.with_name(file.name + suffix) for suffix in ("-wal", "-shm"))
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
    add_functions(connection)
    if _NO_LOCKS in options:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    return connection
