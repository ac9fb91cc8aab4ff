"""The vector index of a catalog: a cache that can be lost, stale or damaged, and is then made anew.

It has two parts. The body is a FAISS structure chosen by size, built once and kept in a file. The tail holds what came
since, is searched exactly, and is read from the catalog. What went since is left out of the answers. So a few new
pictures among a million cost nothing, and nothing is changed while it is searched.

The tail of a server that is open during a long indexing run grows until the run ends, builds the body anew, and the
server takes that up. What a commit adds is read, and no more; but each search compares the whole tail, which takes some
30 ms for every 100,000 pictures.
"""

from __future__ import annotations

import numpy as np

from encoders import Floats

from ..catalog.catalog import Catalog
from ..catalog.embeddings import read_vectors, vector_ids, vector_stamp, vectors_of
from ..catalog.records import Ids, Kind, Stamp
from .files import describe, read_segment, serves, write_segment
from .segment import Segment, gpu_count, grown
from .structure import EXACT_UNTIL, RECALL, RECALL_AT, IndexStructure, beside, choose, spread, tune

TAIL = 0.05
"""When a larger share of the body came or went since it was built, it is built anew."""

SAMPLE = 200
"""Queries of each kind that recall is measured with."""

_NONE: Ids = np.empty(0, np.int64)


class VectorIndex:
    """Nearest vectors by inner product; those of a catalog have length 1, so it is the cosine.

    Threads may share it. `stamp` is the catalog's that it is in step with.
    """

    def __init__(
        self, catalog: Catalog, kind: Kind, body: Segment, tail: tuple[Segment, ...] = (), gone: Ids = _NONE
    ) -> None:
        """Use `open` or `rebuild`.

        Args:
            catalog: where the vectors come from.
            kind: which of them.
            body: what was built.
            tail: blocks of what came since.
            gone: ids of the body or the tail that are no more, ascending.
        """
        self._catalog, self._kind, self._body, self._tail, self._gone = catalog, kind, body, tail, gone
        self.stamp = body.stamp

    def __len__(self) -> int:
        return len(self._body.ids) + self._came - len(self._gone)

    @property
    def _came(self) -> int:
        return sum(len(block.ids) for block in self._tail)

    @property
    def choice(self) -> IndexStructure:
        """The structure that serves, with its measured recall."""
        return self._body.choice

    @property
    def changed(self) -> float:
        """Share of the body that came or went since it was built."""
        return (self._came + len(self._gone)) / max(1, len(self._body.ids))

    # --- making ---

    @classmethod
    def open(cls, catalog: Catalog, kind: Kind) -> VectorIndex:
        """Read the file and what came since. Nothing that takes long is built: a search is waiting.

        Where there is no usable file, or far too much came since, every vector is read and compared exactly.
        """
        body = read_segment(catalog, kind)
        found = None if body is None else cls(catalog, kind, body).refreshed()
        if found is None or (found.changed > TAIL and len(found) <= EXACT_UNTIL):
            return cls._built(catalog, kind, "exact")
        return found

    @staticmethod
    def is_current(catalog: Catalog, kind: Kind) -> bool:
        """Whether the files are of use, are what the size asks for, and not much changed since they were made."""
        there = describe(catalog, kind)
        if there is None or not there.digests or not serves(catalog, kind, there):
            return False
        now = vector_stamp(catalog, kind)
        right = there.choice.structure == choose(now.count, gpu=gpu_count() > 0)
        return right and now.changes - there.stamp.changes <= TAIL * there.stamp.count

    @classmethod
    def rebuild(cls, catalog: Catalog, kind: Kind, *, asked: float = RECALL) -> VectorIndex:
        """Build from the catalog the structure that the size asks for, measure its recall, and write the file.

        Args:
            catalog: where the vectors are.
            kind: which of them.
            asked: recall at 10 for which the search parameter is set.
        """
        return cls._built(catalog, kind, None, asked)

    @classmethod
    def _built(cls, catalog: Catalog, kind: Kind, structure: str | None, asked: float = RECALL) -> VectorIndex:
        with catalog.snapshot() as now:
            stamp, (ids, vectors) = vector_stamp(now, kind), read_vectors(now, kind)
        body = Segment.made(structure or choose(len(ids), gpu=gpu_count() > 0), ids, vectors, stamp)
        found = cls(catalog, kind, body)
        exact = body.choice.structure == "exact"
        body.choice = IndexStructure("exact", recall=1.0) if exact else found._tuned(vectors, asked)
        if stamp.fingerprint and (not exact or len(ids) <= EXACT_UNTIL):
            write_segment(catalog, kind, body, vectors)
        return found

    def _tuned(self, vectors: Floats, asked: float) -> IndexStructure:
        """The breadth with which items are found that lie beside the stored ones, and those of the other kind."""
        samples = [beside(spread(vectors, SAMPLE))]
        other = Kind.CAPTION if self._kind is Kind.IMAGE else Kind.IMAGE
        ids = vector_ids(self._catalog, other)
        if len(ids):
            samples.append(vectors_of(self._catalog, other, ids[:: len(ids) // SAMPLE + 1]))

        def fetch(ids: Ids) -> Floats:
            return vectors[np.searchsorted(self._body.ids, ids)]

        def search(choice: IndexStructure, queries: Floats) -> Ids:
            found = self._body.search(queries, RECALL_AT, fetch, allowed=None, left_out=_NONE, choice=choice)[1]
            return np.where(found < 0, -1, np.searchsorted(self._body.ids, found))

        return tune(self._body.choice.structure, search, vectors, samples, asked)

    def refreshed(self) -> VectorIndex:
        """In step with the catalog: this index if nothing changed, else a new one that shares what it can."""
        catalog, kind = self._catalog, self._kind
        if vector_stamp(catalog, kind) == self.stamp:
            return self
        there = describe(catalog, kind)
        if there is not None and there.stamp != self._body.stamp:
            body = read_segment(catalog, kind)  # another process has built anew
            if body is not None:
                return VectorIndex(catalog, kind, body).refreshed()
        with catalog.snapshot() as now:
            stamp = vector_stamp(now, kind)
            if stamp.fingerprint == self.stamp.fingerprint and stamp.changes >= self.stamp.changes:
                return self._followed(now, stamp)
        return self.open(catalog, kind)

    def _followed(self, now: Catalog, stamp: Stamp) -> VectorIndex:
        """This index and what came and went until a later stamp of the catalog, which stands as it was then."""
        parts = [part.ids for part in (self._body, *self._tail)]
        highest = max((int(ids[-1]) for ids in parts if len(ids)), default=0)
        came, gone = vector_ids(now, self._kind, above=highest), self._gone
        if not stamp.changes - self.stamp.changes == len(came) == stamp.count - self.stamp.count:
            # Other changes than these, so a million ids have to be read.
            held, ids = np.sort(np.concatenate(parts)), vector_ids(now, self._kind)
            came, gone = np.setdiff1d(ids, held, assume_unique=True), np.setdiff1d(held, ids, assume_unique=True)
        tail = self._tail
        if len(came):
            tail = grown(tail, Segment.block(came, vectors_of(now, self._kind, came), stamp))
        found = VectorIndex(self._catalog, self._kind, self._body, tail, gone)
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
        left_out = np.union1d(self._gone, hidden) if len(self._gone) else hidden
        parts = [
            part.search(x, k, self._fetch, allowed=allowed, left_out=left_out) for part in (self._body, *self._tail)
        ]
        if not self._tail:
            return _full(*parts[0])
        scores, ids = (np.concatenate(side, axis=1) for side in zip(*parts, strict=True))
        scores = np.where(ids < 0, -np.inf, scores)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return _full(np.take_along_axis(scores, order, 1), np.take_along_axis(ids, order, 1))

    def _fetch(self, ids: Ids) -> Floats:
        return vectors_of(self._catalog, self._kind, ids)


def _full(scores: Floats, ids: Ids) -> tuple[Floats, Ids]:
    """The columns in which every query has found something."""
    full = int((ids >= 0).sum(1).min(initial=ids.shape[1]))
    return np.ascontiguousarray(scores[:, :full]), np.ascontiguousarray(ids[:, :full])
