"""The vector index of a catalog: a cache that is rebuilt when it is lost, stale or damaged.

It has two parts. The main segment is a FAISS structure chosen by size, built once and kept in a file. The tail holds
the items added since, read from the catalog and searched exactly; removed items are left out of the results. So a few
new pictures among a million cost nothing, and an index does not change while it is searched.

In a server that is open during a long indexing run the tail grows until the run ends and rebuilds the files, which the
server then opens. A commit costs reading what it added; but each search compares the whole tail, which takes about
30 ms for every 100,000 pictures.
"""

from __future__ import annotations

import numpy as np

from encoders import Floats

from ..catalog.catalog import Catalog
from ..catalog.embeddings import read_vectors, vector_ids, vector_stamp, vectors_of
from ..catalog.records import Ids, Kind, Stamp
from .files import is_valid, read_description, read_segment, write_segment
from .segment import Segment, append_block, gpu_count
from .structure import EXACT_UNTIL, RECALL, RECALL_AT, IndexStructure, perturbed, spread, structure_for, tune

TAIL = 0.05
"""The main segment is rebuilt when more than this share of its items was added or removed since."""

SAMPLE = 200
"""The number of queries of each kind with which recall is measured."""

_NONE: Ids = np.empty(0, np.int64)


class VectorIndex:
    """Nearest vectors by inner product; those of a catalog have length 1, so it is the cosine.

    Threads can share it. `stamp` is that of the catalog when the index was last brought up to date.
    """

    def __init__(
        self, catalog: Catalog, kind: Kind, main: Segment, tail: tuple[Segment, ...] = (), removed: Ids = _NONE
    ) -> None:
        """Use `open` or `rebuild`.

        Args:
            catalog: the source of the vectors.
            kind: images or captions.
            main: the segment that was built.
            tail: blocks of the items added since.
            removed: ids in `main` or `tail` that the catalog no longer has, ascending.
        """
        self._catalog, self._kind, self._main, self._tail, self._removed = catalog, kind, main, tail, removed
        self.stamp = main.stamp

    def __len__(self) -> int:
        return len(self._main.ids) + self._added - len(self._removed)

    @property
    def _added(self) -> int:
        return sum(len(block.ids) for block in self._tail)

    @property
    def structure(self) -> IndexStructure:
        """The structure of the main segment, with its measured recall."""
        return self._main.structure

    @property
    def changed(self) -> float:
        """The items added or removed since the main segment was built, as a share of it."""
        return (self._added + len(self._removed)) / max(1, len(self._main.ids))

    # --- opening and building ---

    @classmethod
    def open(cls, catalog: Catalog, kind: Kind) -> VectorIndex:
        """Open the files and read what was added since. A search is waiting, so nothing slow is built.

        Without usable files, or if too much was added since, every vector is read and compared exactly.
        """
        main = read_segment(catalog, kind)
        index = None if main is None else cls(catalog, kind, main).refreshed()
        if index is None or (index.changed > TAIL and len(index) <= EXACT_UNTIL):
            return cls._build(catalog, kind, "exact")
        return index

    @staticmethod
    def is_current(catalog: Catalog, kind: Kind) -> bool:
        """Whether the files are intact, of the structure for this size, and up to date within `TAIL`."""
        description = read_description(catalog, kind)
        if description is None or not description.digests or not is_valid(catalog, kind, description):
            return False
        stamp = vector_stamp(catalog, kind)
        fits = description.structure.structure == structure_for(stamp.count, gpu=gpu_count() > 0)
        return fits and stamp.changes - description.stamp.changes <= TAIL * description.stamp.count

    @classmethod
    def rebuild(cls, catalog: Catalog, kind: Kind, *, target: float = RECALL) -> VectorIndex:
        """Build the structure for this size from the catalog, measure its recall, and write the files.

        Args:
            catalog: the source of the vectors.
            kind: images or captions.
            target: recall at 10 for which the search parameter is tuned.
        """
        return cls._build(catalog, kind, None, target)

    @classmethod
    def _build(cls, catalog: Catalog, kind: Kind, name: str | None, target: float = RECALL) -> VectorIndex:
        with catalog.snapshot() as snapshot:
            stamp, (ids, vectors) = vector_stamp(snapshot, kind), read_vectors(snapshot, kind)
        main = Segment.build(name or structure_for(len(ids), gpu=gpu_count() > 0), ids, vectors, stamp)
        index = cls(catalog, kind, main)
        exact = main.structure.structure == "exact"
        main.structure = IndexStructure("exact", recall=1.0) if exact else index._tuned(vectors, target)
        if stamp.fingerprint and (not exact or len(ids) <= EXACT_UNTIL):
            write_segment(catalog, kind, main, vectors)
        return index

    def _tuned(self, vectors: Floats, target: float) -> IndexStructure:
        """Tune the breadth for queries near the stored vectors, and for vectors of the other kind."""
        samples = [perturbed(spread(vectors, SAMPLE))]
        other = Kind.CAPTION if self._kind is Kind.IMAGE else Kind.IMAGE
        ids = vector_ids(self._catalog, other)
        if len(ids):
            samples.append(vectors_of(self._catalog, other, ids[:: len(ids) // SAMPLE + 1]))

        def fetch(ids: Ids) -> Floats:
            return vectors[np.searchsorted(self._main.ids, ids)]

        def search(structure: IndexStructure, queries: Floats) -> Ids:
            hits = self._main.search(queries, RECALL_AT, fetch, allowed=None, excluded=_NONE, structure=structure)[1]
            return np.where(hits < 0, -1, np.searchsorted(self._main.ids, hits))

        return tune(self._main.structure.structure, search, vectors, samples, target)

    def refreshed(self) -> VectorIndex:
        """An index that is up to date: this one if nothing has changed, else a new one that shares its segments."""
        catalog, kind = self._catalog, self._kind
        if vector_stamp(catalog, kind) == self.stamp:
            return self
        description = read_description(catalog, kind)
        if description is not None and description.stamp != self._main.stamp:
            main = read_segment(catalog, kind)  # another process has rebuilt it
            if main is not None:
                return VectorIndex(catalog, kind, main).refreshed()
        with catalog.snapshot() as snapshot:
            stamp = vector_stamp(snapshot, kind)
            if stamp.fingerprint == self.stamp.fingerprint and stamp.changes >= self.stamp.changes:
                return self._advanced(snapshot, stamp)
        return self.open(catalog, kind)

    def _advanced(self, snapshot: Catalog, stamp: Stamp) -> VectorIndex:
        """This index with the items added and removed until a later stamp, that of the snapshot."""
        held = [segment.ids for segment in (self._main, *self._tail)]
        highest = max((int(ids[-1]) for ids in held if len(ids)), default=0)
        added, removed = vector_ids(snapshot, self._kind, above=highest), self._removed
        if not stamp.changes - self.stamp.changes == len(added) == stamp.count - self.stamp.count:
            # Some were removed or came back, so all ids must be read.
            known, ids = np.sort(np.concatenate(held)), vector_ids(snapshot, self._kind)
            added, removed = np.setdiff1d(ids, known, assume_unique=True), np.setdiff1d(known, ids, assume_unique=True)
        tail = self._tail
        if len(added):
            tail = append_block(tail, Segment.block(added, vectors_of(snapshot, self._kind, added), stamp))
        index = VectorIndex(self._catalog, self._kind, self._main, tail, removed)
        index.stamp = stamp
        return index

    # --- searching ---

    def search(self, queries: Floats, k: int, *, allowed: Ids | None = None, hidden: Ids = _NONE) -> tuple[Floats, Ids]:
        """Find the nearest items.

        Args:
            queries: vectors of length 1.
            k: hits for each query, at least 1; fewer are returned if there are not so many items.
            allowed: ids to search among; None for all. Up to 50,000 of them are compared one by one, which is exact.
            hidden: ids to leave out.

        Shape:
            - queries: (B, D); allowed, hidden: (M,), ascending.

        Returns:
            Cosines (B, K) descending, and ids (B, K).
        """
        x = np.ascontiguousarray(queries, np.float32)
        excluded = np.union1d(self._removed, hidden) if len(self._removed) else hidden
        results = [
            segment.search(x, k, self._fetch, allowed=allowed, excluded=excluded)
            for segment in (self._main, *self._tail)
        ]
        if not self._tail:
            return _full(*results[0])
        scores, ids = (np.concatenate(side, axis=1) for side in zip(*results, strict=True))
        scores = np.where(ids < 0, -np.inf, scores)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return _full(np.take_along_axis(scores, order, 1), np.take_along_axis(ids, order, 1))

    def _fetch(self, ids: Ids) -> Floats:
        return vectors_of(self._catalog, self._kind, ids)


def _full(scores: Floats, ids: Ids) -> tuple[Floats, Ids]:
    """Keep the columns in which every query has a hit."""
    full = int((ids >= 0).sum(1).min(initial=ids.shape[1]))
    return np.ascontiguousarray(scores[:, :full]), np.ascontiguousarray(ids[:, :full])
