"""Read and store vectors and states by model, and find what a model has not embedded yet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
)

from encoders import Floats
from encoders.features import pack_states, unpack_all

from ..errors import CatalogError
from . import schema
from .catalog import Catalog
from .records import (
    Ids,
    Kind,
    Stamp,
    chunks,
)


def unembedded_ids(catalog: Catalog, kind: Kind) -> Ids:
    """Ids of the images or captions that this model has not embedded, ascending."""
    encoder, item = catalog.active_encoder(), schema.image if kind is Kind.IMAGE else schema.caption
    query = select(item.c.id).order_by(item.c.id)
    if encoder is not None:
        query = query.where(~is_embedded(encoder.id, kind, item.c.id))
    return np.array([row.id for row in catalog.rows(query)], np.int64)


def bytes_per_item(catalog: Catalog, kind: Kind) -> float:
    """Mean size in bytes of a vector with its states, over up to a thousand items of this model."""
    encoder = catalog.active_encoder()
    if encoder is None:
        return 0.0
    c = schema.states.c
    some = select(func.length(c.states).label("n")).where((c.encoder_id == encoder.id) & (c.kind == kind))
    mean = catalog.rows(select(func.avg(some.limit(1000).subquery().c.n).label("mean")))[0].mean
    return 0.0 if mean is None else 2 * encoder.dimension + float(mean)


def read_vectors(catalog: Catalog, kind: Kind) -> tuple[Ids, Floats]:
    """Every vector of a kind: ids (N,) ascending, and vectors (N, D). No second copy is in memory meanwhile."""
    with catalog.snapshot() as snapshot:  # so that the count holds
        encoder = snapshot.active_encoder()
        if encoder is None:
            return np.empty(0, np.int64), np.empty((0, 0), np.float32)
        c, end = schema.embedding.c, 0
        of_kind = (c.encoder_id == encoder.id) & (c.kind == kind)
        count = int(snapshot.rows(select(func.count().label("n")).select_from(schema.embedding).where(of_kind))[0].n)
        ids, vectors = np.empty(count, np.int64), np.empty((count, encoder.dimension), np.float32)
        query = select(c.item_id, c.vector).where(of_kind).order_by(c.item_id)
        for part in snapshot.partitions(query):
            start, end = end, end + len(part)
            ids[start:end] = [row.item_id for row in part]
            vectors[start:end] = _unpack([row.vector for row in part], encoder.dimension)
        return ids, vectors


def vectors_of(catalog: Catalog, kind: Kind, ids: Ids) -> Floats:
    """Vectors (K, D) in the order of the ids; zeros for an item that has been deleted."""
    encoder = catalog.active_encoder()
    if encoder is None or not len(ids):
        return np.empty((0, encoder.dimension if encoder else 0), np.float32)
    c = schema.embedding.c
    vectors: dict[int, bytes] = {}
    for part in chunks(ids.tolist()):
        where = (c.encoder_id == encoder.id) & (c.kind == kind) & c.item_id.in_(part)
        vectors |= {row.item_id: row.vector for row in catalog.rows(select(c.item_id, c.vector).where(where))}
    zeros = bytes(2 * encoder.dimension)
    return _unpack([vectors.get(item, zeros) for item in ids.tolist()], encoder.dimension)


def vector_ids(catalog: Catalog, kind: Kind, *, above: int = 0) -> Ids:
    """Ids of the items with a vector, ascending; only those above an id."""
    encoder = catalog.active_encoder()
    if encoder is None:
        return np.empty(0, np.int64)
    c = schema.embedding.c
    where = (c.encoder_id == encoder.id) & (c.kind == kind) & (c.item_id > above)
    return catalog.ids(select(c.item_id).where(where).order_by(c.item_id))


def vector_stamp(catalog: Catalog, kind: Kind) -> Stamp:
    """A stamp that changes whenever a vector of this kind is added or deleted; constant time."""
    encoder = catalog.active_encoder()
    if encoder is None:
        return Stamp()
    rows = catalog.rows(_TALLY, encoder=encoder.id, kind=kind)
    return Stamp(encoder.fingerprint, *(int(x) for x in rows[0])) if rows else Stamp(encoder.fingerprint)


def features_of(catalog: Catalog, kind: Kind, ids: Sequence[int]) -> tuple[Floats, Sequence[Floats]]:
    """Vectors and states of some items, in the order of their ids.

    Returns:
        Vectors (K, D), and K region grids (P, C) or token states (T, C).

    Raises:
        CatalogError: an item does not exist, or this model has not embedded it.
    """
    stored, vectors, states = stored_features(catalog, kind, ids)
    for item in set(ids).difference(stored):
        raise CatalogError(f"the index in {catalog.directory} has no {kind} with id {item}")
    return vectors, states


def stored_features(catalog: Catalog, kind: Kind, ids: Sequence[int]) -> tuple[list[int], Floats, Sequence[Floats]]:
    """As `features_of`, but leave out deleted items, and return the ids of the others first."""
    if not ids:
        return [], np.empty((0, 0), np.float32), []
    encoder = catalog.require_encoder()
    rows = {
        int(row.item_id): row
        for part in chunks(ids)
        for row in catalog.rows(_FEATURES, encoder=encoder.id, kind=kind, ids=part)
    }
    stored = [item for item in ids if item in rows]
    vectors = _unpack([rows[item].vector for item in stored], encoder.dimension)
    return stored, vectors, unpack_all([rows[item].states for item in stored])


def add_embeddings(catalog: Catalog, kind: Kind, ids: Sequence[int], vectors: Floats, states: Sequence[Floats]) -> int:
    """Store the vectors and states of existing items in one transaction; return how many were new.

    Items that were deleted meanwhile, or that another process has embedded, are skipped.
    """
    encoder_id, item = catalog.require_encoder().id, schema.image if kind is Kind.IMAGE else schema.caption
    with catalog.transaction() as connection:
        unembedded = select(item.c.id).where(item.c.id.in_(ids) & ~is_embedded(encoder_id, kind, item.c.id))
        missing = {row.id for row in connection.execute(unembedded)}
        for item_id, vector, grid in zip(ids, vectors, states, strict=True):
            if item_id in missing:
                write_embedding(connection, encoder_id, kind, item_id, vector, grid)
    return len(missing)


def write_embedding(
    connection: Connection, encoder_id: int, kind: Kind, item_id: int, vector: Floats, grid: Floats
) -> None:
    """Store a vector (D,) as float16 and its states (P or T, C) as int8."""
    key = {"encoder_id": encoder_id, "kind": kind.value, "item_id": item_id}
    connection.execute(insert(schema.embedding).values(**key, vector=vector.astype("<f2").tobytes()))
    connection.execute(insert(schema.states).values(**key, states=pack_states(grid)))


def forget_embeddings(connection: Connection, kind: Kind, ids: Sequence[object]) -> None:
    """Delete every model's vectors and states of some items."""
    encoder_ids = select(schema.encoder.c.id)  # the primary keys begin with it: without it, whole tables are read
    for table in (schema.embedding, schema.states):
        c = table.c
        connection.execute(delete(table).where(c.encoder_id.in_(encoder_ids) & (c.kind == kind) & c.item_id.in_(ids)))


def _unpack(blobs: Sequence[bytes], dimension: int) -> Floats:
    return np.frombuffer(b"".join(blobs), "<f2").reshape(len(blobs), dimension).astype(np.float32)


def is_embedded(encoder_id: int, kind: Kind, item: ColumnElement[int]) -> ColumnElement[bool]:
    """SQL condition: the model has embedded the item."""
    c = schema.embedding.c
    return exists().where((c.encoder_id == encoder_id) & (c.kind == kind) & (c.item_id == item))


def _of_kind(table: Table) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return table.c.encoder_id == bindparam("encoder"), table.c.kind == bindparam("kind")


# Statements of every search are built once: building one takes longer than running it.
_IDS: BindParameter[int] = bindparam("ids", expanding=True)
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
    .where(*_of_kind(schema.embedding), schema.embedding.c.item_id.in_(_IDS))
)
