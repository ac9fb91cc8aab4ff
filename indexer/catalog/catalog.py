"""The catalog: the one truth of an index, an SQLite database in WAL mode."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    CompoundSelect,
    Connection,
    Engine,
    Row,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    false,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.exc import DatabaseError

from encoders import Floats, TextFeatures
from encoders.features import pack_states, unpack_all

from ..errors import CatalogError, CatalogVersionError, EncoderMismatchError, IndexNotFoundError
from . import schema
from .connection import DATABASE, is_writable, open_engine, refusal
from .filters import condition
from .migrations import upgrade
from .paths import at_or_below, is_storable
from .records import (
    BANK,
    CaptionRecord,
    CatalogStats,
    EncoderRow,
    FailureRecord,
    Ids,
    ImageRecord,
    Kind,
    LocationRecord,
    Stamp,
)

VECTORS = "vectors"
_CHUNK = 500  # ids in one query; SQLite's limit on variables is far above
_MANY_PATHS = 200  # from here on reading every location costs less than asking for each; SQLite's limit is 1,000


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
        """Open the index in a directory; where nothing can be written, to read alone.

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
        read_only = not is_writable(file)
        if read_only and not file.is_file():
            raise CatalogError(f"cannot make an index in {directory}: nothing can be written there")
        engine = open_engine(file, read_only=read_only)
        try:
            with engine.connect() as connection:
                _check_version(connection, file, read_only=read_only)
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
        """Let go of the database."""
        self._engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A write transaction: all of it, or none.

        Raises:
            CatalogError: the database refuses (locked by another program, disk full, read-only).
        """
        self.check_writable()
        try:
            with self._engine.connect() as connection, _begin(connection):
                yield connection
        except DatabaseError as exc:
            raise refusal(self.directory / DATABASE, exc) from exc

    @contextmanager
    def snapshot(self) -> Iterator[Catalog]:
        """The catalog as it stands, for one thread: all that is read of it fits together, whoever commits meanwhile.

        Raises:
            CatalogError: the database refuses.
        """
        if self._held is not None:
            yield self
            return
        seen = Catalog(self.directory, self._engine, self._model, read_only=self.read_only)
        with self._connected() as connection:
            connection.exec_driver_sql("BEGIN")
            seen._held = connection
            try:
                yield seen
            finally:
                connection.rollback()

    def check_writable(self) -> None:
        """Refuse to change what can only be read.

        Raises:
            CatalogError: neither the catalog nor anything beside it can be written.
        """
        if self.read_only:
            raise CatalogError(
                f"the index in {self.directory} is read-only; it can be searched, but not changed: "
                "give yourself permission to write there, or index elsewhere with --index ANOTHER_DIR"
            )

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

    def check_there(self) -> None:
        """Look whether the catalog can be read now, at next to no cost.

        Raises:
            CatalogError: it cannot, or its file is gone: what a connection still holds open is not an index any more.
        """
        if not (self.directory / DATABASE).is_file():
            raise IndexNotFoundError(f"the index in {self.directory} is gone; put it back, and start again")
        self.active_encoder()

    # --- models ---

    def encoders(self) -> list[EncoderRow]:
        """Every model that has embeddings here, the active one first."""
        rows = self._rows(_ENCODERS)
        return [EncoderRow(r.id, r.name, r.fingerprint, r.dimension, r.path, r.active) for r in rows]

    def for_model(self, name: str, fingerprint: str) -> Catalog:
        """The same index as one of its models sees it, whichever is active: vectors are read and written for that one.

        It shares the connections of this one, so it need not be closed.
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
        found = next((model for model in models if model.fingerprint == self._model[1]), None)
        if found is None and models:
            raise self.mismatch(models[0], *self._model)
        return found

    def check_encoder(self, name: str, fingerprint: str) -> None:
        """Refuse a model that is not the active one.

        Raises:
            EncoderMismatchError: names both models and the way out.
        """
        active = self.active_encoder()
        if active is not None and active.fingerprint != fingerprint:
            held = self.for_model(name, fingerprint).active_encoder() or active
            raise EncoderMismatchError(
                f"{held.name} ({fingerprint[:12]}) is in the index in {self.directory}, but {active.name} "
                f"({active.fingerprint[:12]}) is active, and new pictures are embedded by that one; change over with: "
                f"crosslook models switch {held.name} --index {self.directory}"
            )

    def use_encoder(self, name: str, fingerprint: str, dimension: int, path: Path | None = None) -> int:
        """Make a model this index's own, if it has none yet, note where it lies, and return its row.

        Args:
            name: what it is called.
            fingerprint: what it is known by.
            dimension: of its vectors.
            path: its directory; None for the base model, or where that is not known.

        Raises:
            EncoderMismatchError: another model is active.
        """
        c, active = schema.encoder.c, self.active_encoder()
        place = str(path) if path is not None and is_storable(path) else None
        if active is None:
            row = {"name": name, "fingerprint": fingerprint, "dimension": dimension, "active": True, "path": place}
            with self.transaction() as connection:
                if connection.execute(select(c.id)).first() is None:  # another process may have been first
                    connection.execute(insert(schema.encoder).values(row))
            active = self.encoders()[0]
        self.check_encoder(name, fingerprint)
        if place not in (None, active.path):
            with self.transaction() as connection:
                connection.execute(update(schema.encoder).where(c.id == active.id).values(path=place))
        return active.id

    def mismatch(self, held: EncoderRow, name: str, fingerprint: str) -> EncoderMismatchError:
        """What to say where one model is wanted and another is there."""
        return EncoderMismatchError(
            f"the index in {self.directory} was made by model {held.name} ({held.fingerprint[:12]}), not by {name} "
            f"({fingerprint[:12]}); this tells where the first one lies now, or embeds the pictures with the other as "
            f"well: crosslook models add MODEL_DIR --index {self.directory}"
        )

    def unembedded(self, kind: Kind) -> Ids:
        """Ids of the images or captions that this model has not embedded, ascending."""
        encoder, item = self.active_encoder(), schema.image if kind is Kind.IMAGE else schema.caption
        query = select(item.c.id).order_by(item.c.id)
        if encoder is not None:
            query = query.where(~_is_embedded(encoder.id, kind, item.c.id))
        return np.array([row.id for row in self._rows(query)], np.int64)

    def bytes_an_item(self, kind: Kind) -> float:
        """What a vector and its states take with this model, on the average of up to a thousand of them."""
        encoder = self.active_encoder()
        if encoder is None:
            return 0.0
        c = schema.states.c
        some = select(func.length(c.states).label("n")).where((c.encoder_id == encoder.id) & (c.kind == kind))
        mean = self._rows(select(func.avg(some.limit(1000).subquery().c.n).label("mean")))[0].mean
        return 0.0 if mean is None else 2 * encoder.dimension + float(mean)

    def vacuum(self) -> None:
        """Write the database anew without its free pages, which otherwise wait to be used again.

        Raises:
            CatalogError: another program uses it, or the disk has no room for a second copy.
        """
        try:
            with self._engine.connect() as connection:
                connection.exec_driver_sql("VACUUM")
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        except DatabaseError as exc:
            raise refusal(self.directory / DATABASE, exc) from exc

    def _encoder(self) -> EncoderRow:
        active = self.active_encoder()
        if active is None:
            raise CatalogError(f"the index in {self.directory} is empty; fill it with: crosslook index FOLDER")
        return active

    # --- reading ---

    def rows(self, query: object) -> Sequence[Row[tuple[object, ...]]]:
        """What a query of another module of this room finds.

        Raises:
            CatalogError: the database refuses.
        """
        return self._rows(query)

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """A connection to read with: that of the snapshot, if this is one."""
        try:
            if self._held is not None:
                yield self._held
            else:
                with self._engine.connect() as connection:
                    yield connection
        except DatabaseError as exc:
            raise refusal(self.directory / DATABASE, exc) from exc

    def _rows(self, query: object, **values: object) -> Sequence[Row[tuple[object, ...]]]:
        with self._connected() as connection:
            return connection.execute(query, values).all()  # type: ignore[call-overload]  # any select

    def _parts(self, query: object) -> Iterator[Sequence[Row[tuple[object, ...]]]]:
        """Rows a few thousand at a time, for queries with many."""
        with self._connected() as connection:
            found = connection.execute(query, execution_options={"stream_results": True})  # type: ignore[call-overload]  # any select
            yield from found.partitions(10_000)

    def ids(self, query: Select[tuple[int]], **values: object) -> Ids:
        """The one column of a query, in its order; a hundred thousand without a Row for each.

        Args:
            query: with one column of integers.
            values: what its `bindparam`s stand for.
        """
        with self._connected() as connection:
            return np.fromiter(connection.execute(query, values).scalars(), np.int64)

    def images(self, ids: Sequence[int]) -> dict[int, ImageRecord]:
        """Images by id, with the places where they lie."""
        places: dict[int, list[Row[tuple[object, ...]]]] = {}
        found: dict[int, ImageRecord] = {}
        for part in _chunks(ids):
            for row in self._rows(_PLACES, ids=part):
                places.setdefault(row.image_id, []).append(row)
            for row in self._rows(_IMAGES, ids=part):
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

    def bank_ids(self) -> Ids:
        """Ids of the captions that belong to no image and that this model has embedded, ascending."""
        c = schema.caption.c
        where = c.image_id.is_(None) & self._embedded_captions()
        return np.array([row.id for row in self._rows(select(c.id).where(where).order_by(c.id))], np.int64)

    def has_captions(self, at_least: int = 1) -> bool:
        """Whether images have so many captions that this model has embedded."""
        c = schema.caption.c
        own = c.image_id.is_not(None) & self._embedded_captions()
        return len(self._rows(select(c.id).where(own).limit(at_least))) == at_least

    def _embedded_captions(self) -> ColumnElement[bool]:
        encoder = self.active_encoder()
        return _is_embedded(0 if encoder is None else encoder.id, Kind.CAPTION, schema.caption.c.id)

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
        query = select(c.item_id, c.vector).where((c.encoder_id == encoder.id) & (c.kind == kind)).order_by(c.item_id)
        ids, vectors = [np.empty(0, np.int64)], [np.empty((0, encoder.dimension), np.float32)]
        for part in self._parts(query):
            ids.append(np.array([row.item_id for row in part], np.int64))
            vectors.append(_unpack([row.vector for row in part], encoder.dimension))
        return np.concatenate(ids), np.concatenate(vectors)

    def vectors_of(self, kind: Kind, ids: Ids) -> Floats:
        """Vectors (K, D) of some items, in the order of their ids; zero for an item that is gone."""
        encoder = self.active_encoder()
        if encoder is None or not len(ids):
            return np.empty((0, encoder.dimension if encoder else 0), np.float32)
        c = schema.embedding.c
        found: dict[int, bytes] = {}
        for part in _chunks(ids.tolist()):
            where = (c.encoder_id == encoder.id) & (c.kind == kind) & c.item_id.in_(part)
            found |= {row.item_id: row.vector for row in self._rows(select(c.item_id, c.vector).where(where))}
        nothing = bytes(2 * encoder.dimension)
        return _unpack([found.get(item, nothing) for item in ids.tolist()], encoder.dimension)

    def vector_ids(self, kind: Kind, *, above: int = 0) -> Ids:
        """Ids of the items that have a vector, ascending, of those above an id."""
        encoder = self.active_encoder()
        if encoder is None:
            return np.empty(0, np.int64)
        c = schema.embedding.c
        where = (c.encoder_id == encoder.id) & (c.kind == kind) & (c.item_id > above)
        return self.ids(select(c.item_id).where(where).order_by(c.item_id))

    def vector_stamp(self, kind: Kind) -> Stamp:
        """What tells whether a kind's vectors are as they were; quick, however many there are."""
        encoder = self.active_encoder()
        if encoder is None:
            return Stamp()
        rows = self._rows(_TALLY, encoder=encoder.id, kind=kind)
        return Stamp(encoder.fingerprint, *(int(x) for x in rows[0])) if rows else Stamp(encoder.fingerprint)

    def state(self) -> tuple[object, ...]:
        """What tells whether images or their places came, went or changed; quick, however many there are."""
        return self.vector_stamp(Kind.IMAGE), int(self._rows(select(schema.edition.c.count))[0][0])  # type: ignore[call-overload]  # a number

    def features(self, kind: Kind, ids: Sequence[int]) -> tuple[Floats, Sequence[Floats]]:
        """What the reranker needs of some items, in the order of their ids.

        Returns:
            Vectors (K, D), and K region grids (P, C) or token states (T, C).

        Raises:
            CatalogError: there is no such item.
        """
        there, vectors, states = self.features_there(kind, ids)
        for item in set(ids).difference(there):
            raise CatalogError(f"the index in {self.directory} has no {kind} with id {item}")
        return vectors, states

    def features_there(self, kind: Kind, ids: Sequence[int]) -> tuple[list[int], Floats, Sequence[Floats]]:
        """As `features`, of those items that are there, and their ids: what a search has found may be gone by now."""
        if not ids:
            return [], np.empty((0, 0), np.float32), []
        encoder = self._encoder()
        found = {
            int(row.item_id): row
            for part in _chunks(ids)
            for row in self._rows(_FEATURES, encoder=encoder.id, kind=kind, ids=part)
        }
        there = [item for item in ids if item in found]
        rows = [found[item] for item in there]
        return there, _unpack([row.vector for row in rows], encoder.dimension), unpack_all([row.states for row in rows])

    def image_ids_where(self, expressions: Sequence[str]) -> Ids:
        """Ids of the images that fulfil every expression, ascending.

        Raises:
            FilterError: an expression does not parse; it says which part.
        """
        query = select(schema.image.c.id).order_by(schema.image.c.id)
        for expression in expressions:
            query = query.where(condition(expression))
        return self.ids(query)

    def hidden_image_ids(self) -> Ids:
        """Ids of the images whose files are all missing, or that lie nowhere as yet, ascending."""
        return np.union1d(self.ids(_MISSING), self.ids(_PLACELESS))

    def is_settled(self) -> bool:
        """Whether no run has left anything for `settling.py`."""
        return not self._rows(select(schema.unsettled.c.image_id).limit(1))

    def missing_count(self) -> int:
        """How many locations were gone when their folder was last indexed."""
        c = schema.location.c
        return int(self._rows(select(func.count().label("n")).where(c.missing_since.is_not(None)))[0].n)

    def count_below(self, path: Path) -> int:
        """How many images have a file at or below a path that was not missing when its folder was last indexed."""
        c, place = schema.location.c, str(path)
        if not is_storable(place):
            return 0
        here = c.missing_since.is_(None) & at_or_below(c.path, place)
        return int(self._rows(select(func.count(c.image_id.distinct()).label("n")).where(here))[0].n)

    def counts(self) -> dict[str, int]:
        """How many images and captions there are."""
        tables = (schema.image, schema.caption)
        return {t.name: int(self._rows(select(func.count().label("n")).select_from(t))[0].n) for t in tables}

    def locations(self, below: Collection[str] | None = None) -> dict[str, LocationRecord]:
        """Files that the catalog knows, by path.

        Args:
            below: those at or below these paths are wanted; with very many of them all files come. None for all.
        """
        c = schema.location.c
        missing = c.missing_since.is_not(None)
        query = select(c.path, c.image_id, c.size, c.mtime_ns, c.sidecar_mtime_ns, missing)
        if below is not None and len(below) <= _MANY_PATHS:
            query = query.where(or_(false(), *(at_or_below(c.path, path) for path in below if is_storable(path))))
        return {record.path: record for record in map(LocationRecord._make, self._rows(query))}

    def roots(self) -> list[str]:
        """The folders and files that `crosslook index` was given, sorted."""
        return [str(row.path) for row in self._rows(select(schema.root.c.path).order_by(schema.root.c.path))]

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
            roots=tuple(self.roots()),
        )

    # --- writing ---

    def add_bank(self, texts: Sequence[str], features: TextFeatures) -> None:
        """Add captions that belong to no image; what is there already stays as it is."""
        with self.transaction() as connection:
            self.write_captions(connection, [(BANK, None, text) for text in texts], features)

    def write_captions(
        self, connection: Connection, captions: Sequence[tuple[str, int | None, str]], features: TextFeatures
    ) -> int:
        """Add captions with their embeddings in the same transaction; return how many were new.

        One that is there already, but that this model has not embedded, gets its embedding.

        Args:
            connection: an open transaction.
            captions: source, image id (None for a bank), text.
            features: what the text tower says about each, in order.
        """
        encoder_id, added, c = self._encoder().id, 0, schema.caption.c
        for (source, image_id, words), vector, tokens in zip(captions, features.vectors, features.tokens, strict=True):
            row = insert(schema.caption).prefix_with("OR IGNORE").values(text=words, image_id=image_id, source=source)
            caption_id = connection.execute(row.returning(c.id)).scalar_one_or_none()
            if caption_id is not None:
                added += 1
            else:
                same = (c.text == words) & (c.source == source) & c.image_id.is_not_distinct_from(image_id)
                bare = select(c.id).where(same & ~_is_embedded(encoder_id, Kind.CAPTION, c.id))
                caption_id = connection.execute(bare).scalar_one_or_none()
            if caption_id is not None:
                self.write_embedding(connection, encoder_id, Kind.CAPTION, caption_id, vector, tokens)
        return added

    def add_embeddings(self, kind: Kind, ids: Sequence[int], vectors: Floats, states: Sequence[Floats]) -> int:
        """Store what this model says of items that are there, in one transaction; return of how many it was new.

        An item that went meanwhile, or that another process has embedded, is passed over.
        """
        encoder_id, item = self._encoder().id, schema.image if kind is Kind.IMAGE else schema.caption
        with self.transaction() as connection:
            bare = select(item.c.id).where(item.c.id.in_(ids) & ~_is_embedded(encoder_id, kind, item.c.id))
            wanted = {row.id for row in connection.execute(bare)}
            for item_id, vector, grid in zip(ids, vectors, states, strict=True):
                if item_id in wanted:
                    self.write_embedding(connection, encoder_id, kind, item_id, vector, grid)
        return len(wanted)

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
        """Images that lie nowhere any more, and will not be found elsewhere by a run that was cut short."""
        placed, u = select(schema.location.c.image_id), schema.unsettled.c
        displaced = select(u.image_id).where(u.was_at.is_not(None))
        c = schema.image.c
        return [row.id for row in connection.execute(select(c.id).where(c.id.not_in(placed) & c.id.not_in(displaced)))]

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
        every = select(schema.encoder.c.id)  # the keys begin with it: without it, all of them are read
        for table in (schema.embedding, schema.states):
            c = table.c
            connection.execute(delete(table).where(c.encoder_id.in_(every) & (c.kind == kind) & c.item_id.in_(ids)))


def hidden_images() -> CompoundSelect[tuple[int]]:
    """Ids of the images whose files are all missing, or that lie nowhere as yet: few, each found by an index."""
    return _missing_images().union(_placeless_images())


def _missing_images() -> Select[tuple[int]]:
    c, other = schema.location.c, schema.location.alias().c
    # Two counts that indexes answer by themselves; whether one of the others is present, the table would have to.
    everywhere = select(func.count()).where(other.image_id == c.image_id).scalar_subquery()
    gone = select(c.image_id).where(c.missing_since.is_not(None)).group_by(c.image_id)
    return gone.having(func.count() == everywhere)


def _placeless_images() -> Select[tuple[int]]:
    noted, there = schema.unsettled.c, schema.location.alias().c
    placed = exists(select(there.id).where(there.image_id == noted.image_id))
    return select(noted.image_id).where(noted.was_at.is_not(None) & ~placed)


def _unpack(blobs: Sequence[bytes], dimension: int) -> Floats:
    return np.frombuffer(b"".join(blobs), "<f2").reshape(len(blobs), dimension).astype(np.float32)


def _is_embedded(encoder_id: int, kind: Kind, item: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether a model has embedded an item."""
    c = schema.embedding.c
    return exists().where((c.encoder_id == encoder_id) & (c.kind == kind) & (c.item_id == item))


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


def _check_version(connection: Connection, file: Path, *, read_only: bool) -> None:
    """Make the tables of a new catalog, bring an older one up to date, and refuse a newer one."""

    def version() -> int:
        both = "SELECT user_version, (SELECT count(*) FROM sqlite_master) FROM pragma_user_version"
        found, tables = connection.exec_driver_sql(both).one()  # at once: another process may be making the catalog
        if found > schema.VERSION:
            raise CatalogVersionError(
                f"{file} was written by a newer crosslook (catalog version {found}, this one reads {schema.VERSION}); "
                "update crosslook"
            )
        if found == 0 and tables:
            raise CatalogError(f"{file} is a database, but not a crosslook catalog; give another --index")
        return int(found)

    found = version()
    if found == schema.VERSION:
        return
    if read_only and found == 0:
        raise IndexNotFoundError(f"the index in {file.parent} is empty, and nothing can be written there")
    if read_only:
        raise CatalogError(
            f"{file} is of an older version and has to be brought up to date, but nothing can be written there; "
            "give yourself permission, or copy the index to where you have it"
        )
    with _begin(connection):
        found = version()  # again: another process may have been first
        if found == 0:
            schema.metadata.create_all(connection)
            for statement in schema.derived_statements() + schema.EDITION_STATEMENTS:
                connection.exec_driver_sql(statement)
            connection.exec_driver_sql(f"PRAGMA user_version = {schema.VERSION}")
        else:
            upgrade(connection, found)


def _of_kind(table: Table) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return table.c.encoder_id == bindparam("encoder"), table.c.kind == bindparam("kind")


# What every search asks, built once: building takes longer than asking.
_SOME: BindParameter[int] = bindparam("ids", expanding=True)
_ENCODERS = select(schema.encoder).order_by(schema.encoder.c.active.desc(), schema.encoder.c.id)
_IMAGES = select(schema.image).where(schema.image.c.id.in_(_SOME))
_PLACES = select(schema.location).where(schema.location.c.image_id.in_(_SOME)).order_by(schema.location.c.path)
_MISSING = _missing_images().order_by(schema.location.c.image_id)
_PLACELESS = _placeless_images()
_TALLY = select(
    schema.tally.c.count,
    schema.tally.c.changes,
    select(func.coalesce(func.max(schema.embedding.c.item_id), 0)).where(*_of_kind(schema.embedding)).scalar_subquery(),
).where(*_of_kind(schema.tally))
_FEATURES = (
    select(schema.embedding.c.item_id, schema.embedding.c.vector, schema.states.c.states)
    .join_from(
        schema.embedding,
        schema.states,
        and_(*(schema.states.c[key] == schema.embedding.c[key] for key in ("encoder_id", "kind", "item_id"))),
    )
    .where(*_of_kind(schema.embedding), schema.embedding.c.item_id.in_(_SOME))
)
