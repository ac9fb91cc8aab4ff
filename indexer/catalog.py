"""The catalog: the one truth of an index, an SQLite database in WAL mode."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    Select,
    create_engine,
    delete,
    event,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import DatabaseError

from encoders import Floats, TextFeatures, pack_states, unpack_states

from . import schema
from .errors import CatalogError, CatalogVersionError, EncoderMismatchError, IndexNotFoundError
from .filters import condition
from .records import CaptionRecord, CatalogStats, EncoderRow, FailureRecord, ImageRecord, Kind, LocationRecord
from .scan import is_storable
from .upgrades import upgrade

DATABASE = "catalog.db"
VECTORS = "vectors"
_CHUNK = 500  # ids in one query; SQLite's limit on variables is far above

Ids = npt.NDArray[np.int64]


class Catalog:
    """One index directory. Reads may come from any thread; writes are one transaction each."""

    def __init__(self, directory: Path, engine: Engine) -> None:
        self.directory = directory
        self._engine = engine

    @classmethod
    def open(cls, directory: Path, *, create: bool = False) -> Catalog:
        """Open the index in a directory.

        Raises:
            IndexNotFoundError: there is none, and `create` is off.
            CatalogVersionError: a newer crosslook wrote it.
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
        engine = create_engine(f"sqlite:///{file}", connect_args={"timeout": 60})
        event.listen(engine, "connect", _configure)
        try:
            with engine.connect() as connection:
                _check_version(connection, file)
        except DatabaseError as exc:
            engine.dispose()
            raise CatalogError(
                f"{file} cannot be used as a catalog ({exc.orig}); restore it, or index again elsewhere"
            ) from exc
        except CatalogError:
            engine.dispose()
            raise
        return cls(directory, engine)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A write transaction: all of it, or none.

        Raises:
            CatalogError: the database refuses (locked by another program, disk full, read-only).
        """
        try:
            with self._engine.connect() as connection, _begin(connection):
                yield connection
        except DatabaseError as exc:
            raise CatalogError(f"{self.directory / DATABASE}: {exc.orig}") from exc

    def check(self) -> None:
        """Let SQLite look for damage in the whole file.

        Raises:
            CatalogError: there is some.
        """
        found = [str(row[0]) for row in self._rows(text("PRAGMA quick_check"))]
        if found != ["ok"]:
            raise CatalogError(
                f"{self.directory / DATABASE} is damaged ({found[0]}); restore it, or index again elsewhere"
            )

    # --- models ---

    def active_encoder(self) -> EncoderRow | None:
        """The model whose embeddings are searched."""
        query = select(schema.encoder).where(schema.encoder.c.active)
        row = self._rows(query)
        return EncoderRow(row[0].id, row[0].name, row[0].fingerprint, row[0].dimension) if row else None

    def check_encoder(self, name: str, fingerprint: str) -> None:
        """Refuse a model that is not the one of this index.

        Raises:
            EncoderMismatchError: names both models and the ways out.
        """
        active = self.active_encoder()
        if active is not None and active.fingerprint != fingerprint:
            raise EncoderMismatchError(
                f"the index in {self.directory} was made by model {active.name} ({active.fingerprint[:12]}), "
                f"not by {name} ({fingerprint[:12]}); give that model with --model, or embed the pictures anew with: "
                "crosslook index FOLDER --index ANOTHER_DIR"
            )

    def use_encoder(self, name: str, fingerprint: str, dimension: int) -> int:
        """Make a model this index's own, if it has none yet, and return its row.

        Raises:
            EncoderMismatchError: the index belongs to another model.
        """
        self.check_encoder(name, fingerprint)
        active = self.active_encoder()
        if active is not None:
            return active.id
        with self.transaction() as connection:
            row = {"name": name, "fingerprint": fingerprint, "dimension": dimension, "active": True}
            new = insert(schema.encoder).values(row).returning(schema.encoder.c.id)
            return connection.execute(new).scalar_one()

    def _encoder_id(self) -> int:
        active = self.active_encoder()
        if active is None:
            raise CatalogError(f"the index in {self.directory} is empty; fill it with: crosslook index FOLDER")
        return active.id

    # --- reading ---

    def _rows(self, query: object) -> Sequence[Row[tuple[object, ...]]]:
        try:
            with self._engine.connect() as connection:
                return connection.execute(query).all()  # type: ignore[call-overload]  # any select
        except DatabaseError as exc:
            raise CatalogError(f"{self.directory / DATABASE}: {exc.orig}") from exc

    def ids(self, query: Select[tuple[int]]) -> Ids:
        """The one column of a query, in its order; a hundred thousand without a Row for each."""
        try:
            with self._engine.connect() as connection:
                return np.fromiter(connection.execute(query).scalars(), np.int64)
        except DatabaseError as exc:
            raise CatalogError(f"{self.directory / DATABASE}: {exc.orig}") from exc

    def images(self, ids: Sequence[int]) -> dict[int, ImageRecord]:
        """Images by id, with the places where they lie."""
        c = schema.image.c
        places: dict[int, list[Row[tuple[object, ...]]]] = {}
        found: dict[int, ImageRecord] = {}
        for part in _chunks(ids):
            where = schema.location.c.image_id.in_(part)
            for row in self._rows(select(schema.location).where(where).order_by(schema.location.c.path)):
                places.setdefault(row.image_id, []).append(row)
            for row in self._rows(select(schema.image).where(c.id.in_(part))):
                here = places.get(row.id, [])
                present = [Path(p.path) for p in here if p.missing_since is None]
                paths = tuple(Path(p.path) for p in here)
                found[row.id] = ImageRecord(
                    row.id, present[0] if present else None, paths, row.width, row.height, row.format, row.taken_at
                )
        return found

    def captions(self, ids: Sequence[int]) -> dict[int, CaptionRecord]:
        """Captions by id."""
        c = schema.caption.c
        rows = [r for part in _chunks(ids) for r in self._rows(select(schema.caption).where(c.id.in_(part)))]
        return {r.id: CaptionRecord(r.id, r.text, r.image_id, r.source) for r in rows}

    def captions_of(self, image_id: int) -> list[CaptionRecord]:
        """An image's own captions."""
        c = schema.caption.c
        rows = self._rows(select(schema.caption).where(c.image_id == image_id).order_by(c.id))
        return [CaptionRecord(r.id, r.text, r.image_id, r.source) for r in rows]

    def caption_ids(self, *, bank: bool) -> Ids:
        """Ids of the captions that belong to images, or of those that form the bank, ascending."""
        c = schema.caption.c
        query = select(c.id).where(_in_bank(bank=bank)).order_by(c.id)
        return np.array([row.id for row in self._rows(query)], np.int64)

    def caption_count(self, *, bank: bool) -> int:
        """How many captions belong to images, or form the bank."""
        query = select(func.count().label("n")).select_from(schema.caption).where(_in_bank(bank=bank))
        return int(self._rows(query)[0].n)

    def image_id_for(self, path: Path, *, size: int, mtime_ns: int) -> int | None:
        """The image at a path, if the file is still as it was when it was indexed."""
        if not is_storable(path):
            return None
        c = schema.location.c
        where = (c.path == str(path)) & (c.size == size) & (c.mtime_ns == mtime_ns)
        rows = self._rows(select(c.image_id).where(where))
        return int(rows[0].image_id) if rows else None

    def vectors(self, kind: Kind) -> tuple[Ids, Floats]:
        """All vectors of a kind: ids (N,) ascending, vectors (N, D)."""
        encoder = self.active_encoder()
        if encoder is None:
            return np.empty(0, np.int64), np.empty((0, 0), np.float32)
        c = schema.embedding.c
        where = (c.encoder_id == encoder.id) & (c.kind == kind)
        rows = self._rows(select(c.item_id, c.vector).where(where).order_by(c.item_id))
        blob = b"".join(row.vector for row in rows)
        halves = np.frombuffer(blob, "<f2").reshape(len(rows), encoder.dimension)
        return np.array([row.item_id for row in rows], np.int64), halves.astype(np.float32)

    def vector_stamp(self, kind: Kind) -> tuple[int, int]:
        """Count and highest id of a kind's vectors. Ids are never used again, so equal stamps mean equal vectors."""
        encoder = self.active_encoder()
        if encoder is None:
            return 0, 0
        c = schema.embedding.c
        where = (c.encoder_id == encoder.id) & (c.kind == kind)
        row = self._rows(
            select(func.count().label("n"), func.coalesce(func.max(c.item_id), 0).label("top")).where(where)
        )[0]
        return int(row.n), int(row.top)

    def features(self, kind: Kind, ids: Sequence[int]) -> tuple[Floats, list[Floats]]:
        """What the reranker needs of some items, in the order of their ids.

        Returns:
            Vectors (K, D), and K region grids (P, C) or token states (T, C).

        Raises:
            CatalogError: there is no such item.
        """
        vector, states, encoder_id = schema.embedding.c, schema.states.c, self._encoder_id()
        both = schema.embedding.join(
            schema.states,
            (states.encoder_id == vector.encoder_id)
            & (states.kind == vector.kind)
            & (states.item_id == vector.item_id),
        )
        found: dict[int, tuple[Floats, Floats]] = {}
        for part in _chunks(ids):
            where = (vector.encoder_id == encoder_id) & (vector.kind == kind) & vector.item_id.in_(part)
            for row in self._rows(select(vector.item_id, vector.vector, states.states).select_from(both).where(where)):
                found[row.item_id] = np.frombuffer(row.vector, "<f2").astype(np.float32), unpack_states(row.states)
        for item in ids:
            if item not in found:
                raise CatalogError(f"the index in {self.directory} has no {kind} with id {item}")
        vectors = [found[item][0] for item in ids]
        return np.stack(vectors) if vectors else np.empty((0, 0), np.float32), [found[item][1] for item in ids]

    def image_ids_where(self, expressions: Sequence[str]) -> Ids:
        """Ids of the images that fulfil every expression, ascending.

        Raises:
            FilterError: an expression does not parse; it says which part.
        """
        query = select(schema.image.c.id).order_by(schema.image.c.id)
        for expression in expressions:
            query = query.where(condition(expression))
        return self.ids(query)

    def present_image_ids(self) -> Ids:
        """Ids of the images that lie at one place at least that is not missing, ascending."""
        c = schema.location.c
        return self.ids(select(c.image_id).where(c.missing_since.is_(None)).distinct().order_by(c.image_id))

    def missing_count(self) -> int:
        """How many locations were gone when their folder was last indexed."""
        c = schema.location.c
        return int(self._rows(select(func.count().label("n")).where(c.missing_since.is_not(None)))[0].n)

    def locations(self) -> dict[str, LocationRecord]:
        """Every file that the catalog knows, by path."""
        rows = self._rows(select(schema.location))
        return {
            r.path: LocationRecord(
                r.path, r.image_id, r.size, r.mtime_ns, r.sidecar_mtime_ns, r.missing_since is not None
            )
            for r in rows
        }

    def content_hashes(self) -> dict[str, int]:
        """Every image's id by the SHA-256 of its file."""
        return {r.content_hash: r.id for r in self._rows(select(schema.image.c.content_hash, schema.image.c.id))}

    def caption_texts(self, source: str) -> set[tuple[int | None, str]]:
        """Image id and text of all captions from a source."""
        c = schema.caption.c
        return {(r.image_id, r.text) for r in self._rows(select(c.image_id, c.text).where(c.source == source))}

    def failures(self) -> list[FailureRecord]:
        """Files that could not be indexed."""
        rows = self._rows(select(schema.failure).order_by(schema.failure.c.path))
        return [FailureRecord(r.path, r.reason, r.size, r.mtime_ns) for r in rows]

    def stats(self) -> CatalogStats:
        """What the index holds; `bytes_on_disk` counts every file of its directory."""
        counts = {
            t.name: int(self._rows(select(func.count().label("n")).select_from(t))[0].n)
            for t in (schema.image, schema.location, schema.failure)
        }
        c = schema.caption.c
        by_source = self._rows(select(c.source, func.count().label("n")).group_by(c.source).order_by(c.source))
        files = (f for f in self.directory.rglob("*") if f.is_file())
        return CatalogStats(
            images=counts["image"],
            locations=counts["location"],
            missing=self.missing_count(),
            captions={row.source: int(row.n) for row in by_source},
            failures=counts["failure"],
            encoder=self.active_encoder(),
            bytes_on_disk=sum(file.stat().st_size for file in files),
        )

    # --- writing ---

    def add_bank(self, texts: Sequence[str], features: TextFeatures) -> None:
        """Add captions that belong to no image; what is there already stays as it is."""
        with self.transaction() as connection:
            self.write_captions(connection, [("bank", None, text) for text in texts], features)

    def write_captions(
        self, connection: Connection, captions: Sequence[tuple[str, int | None, str]], features: TextFeatures
    ) -> int:
        """Add captions with their embeddings in the same transaction; return how many were new.

        Args:
            connection: an open transaction.
            captions: source, image id (None for a bank), text.
            features: what the text tower says about each, in order.
        """
        encoder_id, added = self._active_id(connection), 0
        for (source, image_id, words), vector, tokens in zip(captions, features.vectors, features.tokens, strict=True):
            row = insert(schema.caption).prefix_with("OR IGNORE").values(text=words, image_id=image_id, source=source)
            caption_id = connection.execute(row.returning(schema.caption.c.id)).scalar_one_or_none()
            if caption_id is not None:
                added += 1
                self.write_embedding(connection, encoder_id, Kind.CAPTION, caption_id, vector, tokens)
        return added

    def _active_id(self, connection: Connection) -> int:
        return int(connection.execute(select(schema.encoder.c.id).where(schema.encoder.c.active)).scalar_one())

    def write_embedding(
        self, connection: Connection, encoder_id: int, kind: Kind, item_id: int, vector: Floats, grid: Floats
    ) -> None:
        """Store a vector (D,) as float16 and its states (P or T, C) as int8."""
        key = {"encoder_id": encoder_id, "kind": kind.value, "item_id": item_id}
        connection.execute(insert(schema.embedding).values(**key, vector=vector.astype("<f2").tobytes()))
        connection.execute(insert(schema.states).values(**key, states=pack_states(grid)))

    def mark_missing(self, connection: Connection, paths: Sequence[str], since: str | None) -> None:
        """Note since when some locations are gone, or with None that they are back."""
        for part in _chunks(paths):
            where = schema.location.c.path.in_(part)
            connection.execute(update(schema.location).where(where).values(missing_since=since))

    def orphans(self, connection: Connection) -> list[int]:
        """Images that lie nowhere any more."""
        placed = select(schema.location.c.image_id)
        return [row.id for row in connection.execute(select(schema.image.c.id).where(schema.image.c.id.not_in(placed)))]

    def forget_images(self, connection: Connection, ids: Sequence[int]) -> list[str]:
        """Remove images with their captions and embeddings; return their content hashes."""
        hashes: list[str] = []
        c = schema.image.c
        for part in _chunks(ids):
            owned = connection.execute(select(schema.caption.c.id).where(schema.caption.c.image_id.in_(part)))
            self.forget_captions(connection, [row.id for row in owned])
            hashes += [row.content_hash for row in connection.execute(select(c.content_hash).where(c.id.in_(part)))]
            self._forget_embeddings(connection, Kind.IMAGE, part)
            connection.execute(delete(schema.image).where(c.id.in_(part)))
        return hashes

    def forget_captions(self, connection: Connection, ids: Sequence[int]) -> None:
        """Remove captions with their embeddings."""
        for part in _chunks(ids):
            self._forget_embeddings(connection, Kind.CAPTION, part)
            connection.execute(delete(schema.caption).where(schema.caption.c.id.in_(part)))

    def _forget_embeddings(self, connection: Connection, kind: Kind, ids: Sequence[object]) -> None:
        for table in (schema.embedding, schema.states):
            connection.execute(delete(table).where((table.c.kind == kind) & table.c.item_id.in_(ids)))


def _in_bank(*, bank: bool) -> ColumnElement[bool]:
    """Captions of no image form the bank."""
    return schema.caption.c.image_id.is_(None) if bank else schema.caption.c.image_id.is_not(None)


def _chunks(items: Sequence[int] | Sequence[str]) -> Iterator[list[int] | list[str]]:
    values = [item.item() if isinstance(item, np.integer) else item for item in items]
    return (values[i : i + _CHUNK] for i in range(0, len(values), _CHUNK))  # type: ignore[misc]  # one kind in, one out


@contextmanager
def _begin(connection: Connection) -> Iterator[None]:
    """A transaction that may write from its first moment, so that no other writer can come between."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def _configure(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # `_begin` says when a transaction begins; the driver would leave DDL outside
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _check_version(connection: Connection, file: Path) -> None:
    """Make the tables of a new catalog, bring an older one up to date, and refuse a newer one."""

    def version() -> int:
        found = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
        if found > schema.VERSION:
            raise CatalogVersionError(
                f"{file} was written by a newer crosslook (catalog version {found}, this one reads {schema.VERSION}); "
                "update crosslook"
            )
        if found == 0 and connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one():
            raise CatalogError(f"{file} is a database, but not a crosslook catalog; give another --index")
        return found

    if version() == schema.VERSION:
        return
    with _begin(connection):
        found = version()  # again: another process may have been first
        if found == 0:
            schema.metadata.create_all(connection)
            for statement in schema.keyword_statements():
                connection.exec_driver_sql(statement)
            connection.exec_driver_sql(f"PRAGMA user_version = {schema.VERSION}")
        else:
            upgrade(connection, found)
