"""The vector index of a catalog: a cache that can be lost, stale or damaged, and is then made anew.

It has two parts. The body is a FAISS structure chosen by size, built once and kept in a file. The tail holds what came
since, is searched exactly, and is read from the catalog. What went since is left out of the body's answers. So a few
new pictures among a million cost nothing, and nothing is changed while it is searched.
"""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from encoders import Floats

from .body import Body, gpu_count
from .catalog import VECTORS, Catalog, Ids, Stamp
from .choice import EXACT_UNTIL, RECALL, RECALL_AT, Choice, beside, choose, spread, tune
from .records import Kind

TAIL = 0.05
"""When a larger share of the body came or went since it was built, it is built anew."""

SAMPLE = 200
"""Queries of each kind that recall is measured with."""

_NONE: Ids = np.empty(0, np.int64)


class VectorIndex:
    """Nearest vectors by inner product; those of a catalog have length 1, so it is the cosine.

    Threads may share it. `stamp` is the catalog's that it is in step with.
    """

    def __init__(self, catalog: Catalog, kind: Kind, body: Body, tail: tuple[Ids, Floats], gone: Ids) -> None:
        """Use `open`, `update` or `rebuild`.

        Args:
            catalog: where the vectors come from.
            kind: which of them.
            body: what was built.
            tail: ids (M,) and vectors (M, D) of what came since.
            gone: ids in the body that are no more.
        """
        self._catalog, self._kind, self._body, self._gone = catalog, kind, body, gone
        self._tail_vectors = tail[1]
        self._tail = Body.made("exact", *tail, body.stamp)
        self.stamp = body.stamp

    def __len__(self) -> int:
        return len(self._body.ids) + len(self._tail.ids) - len(self._gone)

    @property
    def choice(self) -> Choice:
        """The structure that serves, with its measured recall."""
        return self._body.choice

    @property
    def changed(self) -> float:
        """Share of the body that came or went since it was built."""
        return (len(self._tail.ids) + len(self._gone)) / max(1, len(self._body.ids))

    # --- making ---

    @classmethod
    def open(cls, catalog: Catalog, kind: Kind) -> VectorIndex:
        """Read the file and what came since. Nothing that takes long is built: a search is waiting.

        Where there is no usable file, or far too much came since, every vector is read and compared exactly.
        """
        body = _read(catalog, kind)
        found = None if body is None else cls(catalog, kind, body, (_NONE, _no_vectors(body)), _NONE).refreshed()
        if found is None or (found.changed > TAIL and len(found) <= EXACT_UNTIL):
            return cls._built(catalog, kind, "exact")
        return found

    @classmethod
    def update(cls, catalog: Catalog, kind: Kind) -> None:
        """Build anew what the size asks for, where the files are of no use or too much changed since they were made."""
        document, now = _description(catalog, kind), catalog.vector_stamp(kind)
        if document is not None:
            stamp, choice = Stamp(**document["stamp"]), Choice(**document["choice"])
            changed = now.changes - stamp.changes
            right = choice.structure == choose(now.count, gpu=gpu_count() > 0)
            if right and 0 <= changed <= TAIL * stamp.count and _whole(catalog, kind, document):
                return
        cls.rebuild(catalog, kind)

    @classmethod
    def rebuild(cls, catalog: Catalog, kind: Kind, *, asked: float = RECALL) -> VectorIndex:
        """Build from the catalog the structure that the size asks for, measure its recall, and write the file.

        Args:
            catalog: where the vectors are.
            kind: which of them.
            asked: recall at 10 for which the search parameter is set.
        """
        return cls._built(catalog, kind, choose(catalog.vector_stamp(kind).count, gpu=gpu_count() > 0), asked)

    @classmethod
    def _built(cls, catalog: Catalog, kind: Kind, structure: str, asked: float = RECALL) -> VectorIndex:
        stamp = catalog.vector_stamp(kind)
        ids, vectors = catalog.vectors(kind)
        body = Body.made(structure, ids, vectors, stamp)
        found = cls(catalog, kind, body, (_NONE, vectors[:0]), _NONE)
        if structure == "exact":
            body.choice = Choice(structure, recall=1.0)
        else:
            body.choice = found._tuned(vectors, asked)
        if stamp.fingerprint and (structure != "exact" or len(ids) <= EXACT_UNTIL):
            _write(catalog, kind, body)
        return found

    def _tuned(self, vectors: Floats, asked: float) -> Choice:
        """The breadth with which items are found that lie beside the stored ones, and those of the other kind."""
        samples = [beside(spread(vectors, SAMPLE))]
        other = Kind.CAPTION if self._kind is Kind.IMAGE else Kind.IMAGE
        ids = self._catalog.vector_ids(other)
        if len(ids):
            samples.append(self._catalog.vectors_of(other, ids[:: len(ids) // SAMPLE + 1]))

        def fetch(ids: Ids) -> Floats:
            return vectors[np.searchsorted(self._body.ids, ids)]

        def search(choice: Choice, queries: Floats) -> Ids:
            found = self._body.search(queries, RECALL_AT, fetch, allowed=None, left_out=_NONE, choice=choice)[1]
            return np.where(found < 0, -1, np.searchsorted(self._body.ids, found))

        return tune(self._body.choice.structure, search, vectors, samples, asked)

    def refreshed(self) -> VectorIndex:
        """In step with the catalog: this index if nothing changed, else a new one that shares what it can."""
        catalog, kind = self._catalog, self._kind
        stamp = catalog.vector_stamp(kind)
        if stamp == self.stamp:
            return self
        body = self._body
        if _written(catalog, kind) not in (None, body.stamp):
            body = _read(catalog, kind) or body  # another process has built anew
        if body.stamp.fingerprint != stamp.fingerprint:
            return self.open(catalog, kind)
        came, gone = _difference(catalog, kind, body, stamp)
        kept = self._tail.rows(came)
        vectors = np.empty((len(came), self._tail_vectors.shape[1]), np.float32)
        old = np.isin(came, self._tail.ids, assume_unique=True)
        vectors[old], vectors[~old] = self._tail_vectors[kept], catalog.vectors_of(kind, came[~old])
        found = VectorIndex(catalog, kind, body, (came, vectors), gone)
        found.stamp = stamp
        return found

    # --- searching ---

    def search(self, queries: Floats, k: int, *, allowed: Ids | None = None, hidden: Ids = _NONE) -> tuple[Floats, Ids]:
        """Find the nearest items.

        Args:
            queries: vectors of length 1.
            k: how many a query, at least 1; fewer come back where there are not so many.
            allowed: ids to choose among; None for all. Up to 50,000 of them are compared one by one, which is exact.
            hidden: ids to leave out.

        Shape:
            - queries: (B, D); allowed, hidden: (M,), ascending.

        Returns:
            Cosines (B, K) descending, and ids (B, K).
        """
        x = np.ascontiguousarray(queries, np.float32)
        left_out = np.union1d(self._gone, hidden) if len(hidden) else self._gone
        body = self._body.search(x, k, self._fetch, allowed=allowed, left_out=left_out)
        if not len(self._tail.ids):
            return _full(*body)
        tail = self._tail.search(x, k, self._fetch, allowed=allowed, left_out=hidden)
        scores, ids = np.concatenate([body[0], tail[0]], axis=1), np.concatenate([body[1], tail[1]], axis=1)
        scores = np.where(ids < 0, -np.inf, scores)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return _full(np.take_along_axis(scores, order, 1), np.take_along_axis(ids, order, 1))

    def _fetch(self, ids: Ids) -> Floats:
        return self._catalog.vectors_of(self._kind, ids)


def _full(scores: Floats, ids: Ids) -> tuple[Floats, Ids]:
    """The columns in which every query has found something."""
    full = int((ids >= 0).sum(1).min(initial=ids.shape[1]))
    return np.ascontiguousarray(scores[:, :full]), np.ascontiguousarray(ids[:, :full])


def vector_choice(catalog: Catalog, kind: Kind) -> Choice | None:
    """What the file of a kind holds, without reading it; None where there is none."""
    document = _description(catalog, kind)
    return None if document is None else Choice(**document["choice"])


def _no_vectors(body: Body) -> Floats:
    return np.empty((0, body.index.d), np.float32)


def _difference(catalog: Catalog, kind: Kind, body: Body, stamp: Stamp) -> tuple[Ids, Ids]:
    """Ids that came and that went since a body was built, ascending."""
    above = catalog.vector_ids(kind, above=body.stamp.top)
    if stamp.changes - body.stamp.changes == len(above) == stamp.count - body.stamp.count:
        return above, _NONE  # each change was one of these; no need to read a million ids
    ids = catalog.vector_ids(kind)
    return np.setdiff1d(ids, body.ids, assume_unique=True), np.setdiff1d(body.ids, ids, assume_unique=True)


# --- files: NAME.json says which NAME-CHANGES.faiss and .npy belong to it; it is written last, and renamed ---


SUFFIXES = (".faiss", ".npy")


def _name(kind: Kind, fingerprint: str) -> str:
    return f"{kind}-{fingerprint[:16]}"


def _stem(catalog: Catalog, kind: Kind, stamp: Stamp) -> Path:
    return catalog.directory / VECTORS / f"{_name(kind, stamp.fingerprint)}-{stamp.changes}"


def _description(catalog: Catalog, kind: Kind) -> dict[str, Any] | None:
    encoder = catalog.active_encoder()
    if encoder is None:
        return None
    path = catalog.directory / VECTORS / f"{_name(kind, encoder.fingerprint)}.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        Stamp(**document["stamp"]), Choice(**document["choice"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return document


def _whole(catalog: Catalog, kind: Kind, document: dict[str, Any]) -> bool:
    """Whether both files are there, as long as they were written."""
    stem = _stem(catalog, kind, Stamp(**document["stamp"]))
    try:
        return document["bytes"] == [stem.with_suffix(suffix).stat().st_size for suffix in SUFFIXES]
    except OSError:
        return False


def _written(catalog: Catalog, kind: Kind) -> Stamp | None:
    document = _description(catalog, kind)
    return None if document is None else Stamp(**document["stamp"])


def _read(catalog: Catalog, kind: Kind) -> Body | None:
    """The body in the file; None if it is missing, damaged, or of another catalog."""
    import faiss  # noqa: PLC0415  as in `body`

    document = _description(catalog, kind)
    if document is None:
        return None
    stamp, choice = Stamp(**document["stamp"]), Choice(**document["choice"])
    now = catalog.vector_stamp(kind)
    if stamp.changes > now.changes:  # an older catalog was put back
        return None
    stem = _stem(catalog, kind, stamp)
    try:
        index = faiss.read_index(str(stem.with_suffix(".faiss")))
        ids = np.load(stem.with_suffix(".npy"), allow_pickle=False)
    except (RuntimeError, MemoryError, OSError, ValueError, EOFError):
        return None
    dimension = catalog.active_encoder()
    sound = (
        index.ntotal == len(ids) == stamp.count
        and dimension is not None
        and index.d == max(1, dimension.dimension)
        and index.metric_type == faiss.METRIC_INNER_PRODUCT
    )
    return Body(index, ids, choice, stamp) if sound else None


def _write(catalog: Catalog, kind: Kind, body: Body) -> None:
    """Write the files under new names, say so, and remove the old ones; a disk that refuses costs only the cache."""
    import faiss  # noqa: PLC0415  as in `body`

    folder, name = catalog.directory / VECTORS, _name(kind, body.stamp.fingerprint)
    stem = _stem(catalog, kind, body.stamp)
    temporary = folder / f"{name}.{os.getpid()}-{threading.get_ident()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        faiss.write_index(body.index, str(temporary))
        temporary.replace(stem.with_suffix(".faiss"))
        with temporary.open("wb") as file:
            np.save(file, body.ids)
        temporary.replace(stem.with_suffix(".npy"))
        sizes = [stem.with_suffix(suffix).stat().st_size for suffix in SUFFIXES]
        document = {"stamp": asdict(body.stamp), "choice": asdict(body.choice), "bytes": sizes}
        temporary.write_text(json.dumps(document) + "\n")
        temporary.replace(folder / f"{name}.json")
    except (OSError, RuntimeError):
        temporary.unlink(missing_ok=True)
        return
    for old in folder.glob(f"{name}*"):
        if old.stem not in (name, stem.name) or old.name == f"{name}.faiss":
            with suppress(OSError):
                old.unlink()
