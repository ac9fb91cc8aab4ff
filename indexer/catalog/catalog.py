"""The catalog: the single source of truth of an index, an SQLite database in WAL mode.

This class opens it, runs transactions and queries, and knows the models. What is stored is read and written by the
functions beside it: `images`, `captions`, `annotations`, `exclusions`, `embeddings`, `contents`, `browse`, `facets`,
`fulltext`; `words` has the forms of texts that are searched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from sqlalchemy import (
    Connection,
    Engine,
    Row,
    Select,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import DatabaseError

from ..errors import CatalogError, CatalogWriteError, EncoderMismatchError, IndexNotFoundError
from . import schema
from .connection import DATABASE, is_writable, open_engine, refusal, write_transaction
from .migrations import prepare
from .paths import is_storable
from .records import (
    EncoderRow,
    Ids,
)

VECTORS = "vectors"


class Catalog:
    """One index directory. Reads may come from any thread; writes are one transaction each."""

    def __init__(
        self, directory: Path, engine: Engine, model: tuple[str, str] | None = None, *, read_only: bool = False
    ) -> None:
        """Use `open` or `for_model`; `model` is a name and a fingerprint."""
        self.directory = directory
        self.read_only = read_only
        self._engine = engine
        self._model = model
        self._held: Connection | None = None

    @classmethod
    def open(cls, directory: Path, *, create: bool = False) -> Catalog:
        """Open the index in a directory, read-only where it cannot be written.

        Raises:
            IndexNotFoundError: there is no index, and `create` is false.
            CatalogVersionError: a newer version of crosslook wrote it.
            CatalogError: the file is not a catalog, or cannot be read.
        """
        file = directory / DATABASE
        if not file.is_file():
            if not create:
                raise IndexNotFoundError(
                    f"no index in {directory}; make one with: crosslook index FOLDER --index {directory}"
                )
            try:
                directory.mkdir(parents=True, exist_ok=True)
            except OSError as exc:
                raise CatalogError(f"cannot make an index in {directory}: {exc.strerror or exc}") from exc
        read_only = not is_writable(file)
        if read_only and not file.is_file():
            raise CatalogError(f"cannot make an index in {directory}: nothing can be written there")
        engine = open_engine(file, read_only=read_only)
        try:
            with engine.connect() as connection:
                prepare(connection, file, read_only=read_only)
        except DatabaseError as exc:
            engine.dispose()
            raise refusal(file, exc) from exc
        except CatalogError:
            engine.dispose()
            raise
        return cls(directory, engine, read_only=read_only)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database connections."""
        self._engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A write transaction: all of it is committed, or nothing.

        Raises:
            CatalogError: the database cannot be written (locked by another program, disk full, read-only).
        """
        self.check_writable()
        try:
            with self._engine.connect() as connection, write_transaction(connection):
                yield connection
        except DatabaseError as exc:
            raise refusal(self.directory / DATABASE, exc) from exc

    @contextmanager
    def snapshot(self) -> Iterator[Catalog]:
        """A consistent view for one thread: commits by others while it is open do not change what is read.

        Raises:
            CatalogError: the database cannot be read.
        """
        if self._held is not None:
            yield self
            return
        view = Catalog(self.directory, self._engine, self._model, read_only=self.read_only)
        with self._connected() as connection:
            connection.exec_driver_sql("BEGIN")
            view._held = connection
            try:
                yield view
            finally:
                connection.rollback()

    def check_writable(self) -> None:
        """Reject a read-only index.

        Raises:
            CatalogWriteError: the index is read-only.
        """
        if self.read_only:
            raise CatalogWriteError(
                f"the index in {self.directory} is read-only: it can be searched, but not changed; "
                "get write permission, or index elsewhere with --index ANOTHER_DIR"
            )

    def check(self) -> None:
        """Run SQLite's integrity check over the whole file.

        Raises:
            CatalogError: the database is damaged.
        """
        faults = [str(row[0]) for row in self.rows(text("PRAGMA quick_check"))]
        if faults != ["ok"]:
            raise CatalogError(
                f"{self.directory / DATABASE} is damaged ({faults[0]}); "
                "restore it from a backup, or index into another directory"
            )

    def check_readable(self) -> None:
        """Check with a fast query that the catalog can be read.

        Raises:
            CatalogError: it cannot be read, or its file was deleted, even where a connection still holds it open.
        """
        if not (self.directory / DATABASE).is_file():
            raise IndexNotFoundError(f"the index in {self.directory} is gone; put it back and start again")
        self.active_encoder()

    # --- models ---

    def encoders(self) -> list[EncoderRow]:
        """The models of this index, the active one first."""
        rows = self.rows(_ENCODERS)
        return [EncoderRow(r.id, r.name, r.fingerprint, r.dimension, r.path, r.active) for r in rows]

    def for_model(self, name: str, fingerprint: str) -> Catalog:
        """The same index with the embeddings of one of its models, even if it is not active.

        It shares this catalog's connections and need not be closed.
        """
        return Catalog(self.directory, self._engine, (name, fingerprint), read_only=self.read_only)

    def active_encoder(self) -> EncoderRow | None:
        """The model whose embeddings are read: the active one, or that of `for_model`; None in an empty index.

        Raises:
            EncoderMismatchError: the index does not hold the model of `for_model`.
        """
        models = self.encoders()
        if self._model is None:
            return next((model for model in models if model.active), None)
        encoder = next((model for model in models if model.fingerprint == self._model[1]), None)
        if encoder is None and models:
            raise self.mismatch(models[0], *self._model)
        return encoder

    def check_encoder(self, name: str, fingerprint: str) -> None:
        """Reject a model other than the active one.

        Raises:
            EncoderMismatchError: another model is active; the message names both, and the command to switch.
        """
        active = self.active_encoder()
        if active is not None and active.fingerprint != fingerprint:
            held = self.for_model(name, fingerprint).active_encoder() or active
            raise EncoderMismatchError(
                f"the index in {self.directory} holds {held.name} ({fingerprint[:12]}), but new pictures are embedded "
                f"with its active model, {active.name} ({active.fingerprint[:12]}); switch with: "
                f"crosslook models switch {held.name} --index {self.directory}"
            )

    def use_encoder(self, name: str, fingerprint: str, dimension: int, path: Path | None = None) -> int:
        """Make a model the active one of an index that has none yet, record its directory, and return its id.

        Args:
            name: the model's name.
            fingerprint: its fingerprint.
            dimension: length of its vectors.
            path: its directory; None for the base model, or where it is unknown.

        Raises:
            EncoderMismatchError: another model is active.
        """
        c, active = schema.encoder.c, self.active_encoder()
        directory = str(path) if path is not None and is_storable(path) else None
        if active is None:
            row = {"name": name, "fingerprint": fingerprint, "dimension": dimension, "active": True, "path": directory}
            with self.transaction() as connection:
                if connection.execute(select(c.id)).first() is None:  # another process may have been first
                    connection.execute(insert(schema.encoder).values(row))
            active = self.encoders()[0]
        self.check_encoder(name, fingerprint)
        if directory not in (None, active.path):
            with self.transaction() as connection:
                connection.execute(update(schema.encoder).where(c.id == active.id).values(path=directory))
        return active.id

    def mismatch(self, held: EncoderRow, name: str, fingerprint: str) -> EncoderMismatchError:
        """The error for an index that another model made; it says how to go on with the one at hand."""
        known = next((row.name for row in self.encoders() if row.fingerprint == fingerprint), None)
        if known is not None:
            advice = f"it holds the second as well, so switch with: crosslook models switch {known}"
        elif held.path is None and held.name.startswith(name):  # the base model of an earlier version
            advice = "to embed the pictures with the new one, run: crosslook models add base"
        else:
            advice = (
                "to embed the pictures with the second as well, or if the first has moved, run: "
                "crosslook models add MODEL_DIR"
            )
        return EncoderMismatchError(
            f"the index in {self.directory} was made by model {held.name} ({held.fingerprint[:12]}), not by {name} "
            f"({fingerprint[:12]}); {advice} --index {self.directory}"
        )

    def vacuum(self) -> None:
        """Rewrite the database without its free pages, which SQLite otherwise keeps for reuse.

        Raises:
            CatalogError: another program uses the database, or the disk has no room for a second copy.
        """
        try:
            with self._engine.connect() as connection:
                connection.exec_driver_sql("VACUUM")
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        except DatabaseError as exc:
            raise refusal(self.directory / DATABASE, exc) from exc

    def require_encoder(self) -> EncoderRow:
        """The model whose embeddings are read.

        Raises:
            CatalogError: the index is empty.
        """
        active = self.active_encoder()
        if active is None:
            raise CatalogError(f"the index in {self.directory} is empty; fill it with: crosslook index FOLDER")
        return active

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """A connection to read with: the snapshot's own, if this is one."""
        try:
            if self._held is not None:
                yield self._held
            else:
                with self._engine.connect() as connection:
                    yield connection
        except DatabaseError as exc:
            raise refusal(self.directory / DATABASE, exc) from exc

    def rows(self, query: object, **values: object) -> Sequence[Row[tuple[object, ...]]]:
        """Every row of a query.

        Args:
            query: any select.
            values: values of its `bindparam`s.

        Raises:
            CatalogError: the database cannot be read.
        """
        with self._connected() as connection:
            return connection.execute(query, values).all()  # type: ignore[call-overload]  # any select

    def partitions(self, query: object) -> Iterator[Sequence[Row[tuple[object, ...]]]]:
        """The rows of a query, ten thousand at a time."""
        with self._connected() as connection:
            result = connection.execute(query, execution_options={"stream_results": True})  # type: ignore[call-overload]  # any select
            yield from result.partitions(10_000)

    def ids(self, query: Select[tuple[int]], **values: object) -> Ids:
        """The single integer column of a query, in its order; faster than `rows`.

        Args:
            query: a select of one integer column.
            values: values of its `bindparam`s.
        """
        with self._connected() as connection:
            return np.fromiter(connection.execute(query, values).scalars(), np.int64)


# Part of every search; building the statement takes longer than running it.
_ENCODERS = select(schema.encoder).order_by(schema.encoder.c.active.desc(), schema.encoder.c.id)
