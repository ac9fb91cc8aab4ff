"""A FAISS index over some of a catalog's items. It is immutable, so threads may share it.

It runs on the GPU if there is one, sharded if there are several. That path follows FAISS's documentation ("Faiss on
the GPU") and has not been run on hardware; GPU indexes are not thread-safe, even for reads, hence the lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from encoders import Floats

from ..catalog.records import Ids, Stamp
from .structure import EXACT_UNTIL, IndexStructure, build

BLOCK = 8192
"""The most vectors in a merged block; merging that many takes a few milliseconds."""

RESCORED = 10
"""A compressed structure returns this many times k candidates, which are ranked by their stored vectors."""

Fetch = Callable[[Ids], Floats]
"""Stored vectors (N, D) of items."""


class Segment:
    """A FAISS index whose row r is item `ids[r]`, ascending; `stamp` is that of the catalog when it was built."""

    def __init__(
        self,
        index: Any,  # noqa: ANN401  faiss has no types
        ids: Ids,
        structure: IndexStructure,
        stamp: Stamp,
        *,
        gpu: bool = True,
    ) -> None:
        import faiss  # noqa: PLC0415  loads a large library that listings do not need

        self.index, self.ids, self.structure, self.stamp = index, ids, structure, stamp
        self._faiss = faiss
        self._lock = threading.Lock()
        self._gpu = _on_gpus(index) if gpu and len(ids) and structure.structure != "HNSW" and gpu_count() else None

    @classmethod
    def build(cls, name: str, ids: Ids, vectors: Floats, stamp: Stamp) -> Segment:
        """Build a structure over the vectors (N, D) of items."""
        return cls(build(name, vectors), ids, IndexStructure(name), stamp)

    @classmethod
    def block(cls, ids: Ids, vectors: Floats, stamp: Stamp) -> Segment:
        """A block of recently added items, compared one by one; on the CPU, because it is short-lived."""
        return cls(build("exact", vectors), ids, IndexStructure("exact", recall=1.0), stamp, gpu=False)

    def joined(self, other: Segment) -> Segment:
        """Merge two blocks into a new one."""
        ids = np.concatenate([self.ids, other.ids])
        vectors = np.concatenate([part.index.reconstruct_n(0, len(part.ids)) for part in (self, other)])
        order = np.argsort(ids, kind="stable")
        return Segment.block(ids[order], vectors[order], other.stamp)

    def rows(self, ids: Ids) -> Ids:
        """The rows of those items (ascending ids) that this segment holds."""
        if len(self.ids):  # a block covers a small range of ids
            ids = ids[np.searchsorted(ids, self.ids[0]) : np.searchsorted(ids, self.ids[-1], "right")]
        rows = np.searchsorted(self.ids, ids)
        held = rows < len(self.ids)
        held[held] = self.ids[rows[held]] == ids[held]
        return rows[held]

    def search(
        self,
        x: Floats,
        k: int,
        fetch: Fetch,
        *,
        allowed: Ids | None,
        excluded: Ids,
        structure: IndexStructure | None = None,
    ) -> tuple[Floats, Ids]:
        """Find the k nearest of the allowed items (None for all) that are not excluded.

        Shape:
            - x: (B, D); allowed, excluded: (M,), ascending.

        Returns:
            Cosines descending and ids, both (B, K); id -1 where a structure found fewer.
        """
        structure = structure or self.structure
        selected = None
        if allowed is not None:
            selected = np.zeros(len(self.ids), bool)
            selected[self.rows(allowed)] = True
            selected[self.rows(excluded)] = False
        elif len(excluded) and len(excluded_rows := self.rows(excluded)):
            selected = np.ones(len(self.ids), bool)
            selected[excluded_rows] = False
        count = len(self.ids) if selected is None else int(selected.sum())
        if not (k := min(k, count)):
            return np.empty((len(x), 0), np.float32), np.empty((len(x), 0), np.int64)
        scores, rows = self._nearest(x, k, fetch, selected, count, structure)
        ids = self.ids[rows]
        ids[rows < 0] = -1
        return scores, ids

    def _nearest(
        self,
        x: Floats,
        k: int,
        fetch: Fetch,
        selected: np.ndarray[Any, np.dtype[np.bool_]] | None,
        count: int,
        structure: IndexStructure,
    ) -> tuple[Floats, Ids]:
        selector, breadth = None, structure.breadth
        if selected is not None:  # the fewer are selected, the more must be visited to find k of them
            selector = self._faiss.IDSelectorBitmap(np.packbits(selected, bitorder="little"))
            breadth = round(breadth * len(self.ids) / count)
        if structure.structure == "exact":
            return self._run(x, k, None if selector is None else self._faiss.SearchParameters(sel=selector))
        if structure.structure == "HNSW":
            if selector is not None and count <= EXACT_UNTIL:  # one by one: exact, and fast for so few
                storage = self._faiss.downcast_index(self.index.storage)
                return storage.search(x, k, params=self._faiss.SearchParameters(sel=selector))
            return self._run(x, k, self._faiss.SearchParametersHNSW(efSearch=max(k, breadth), sel=selector))
        lists = min(breadth, self.index.nlist) if count > EXACT_UNTIL else self.index.nlist
        parameters = self._faiss.SearchParametersIVF(nprobe=max(1, lists), sel=selector)
        if structure.structure == "IVF-SQ":
            return self._run(x, k, parameters)
        return self._rescored(x, k, self._run(x, min(RESCORED * k, count), parameters)[1], fetch)

    def _rescored(self, x: Floats, k: int, rows: Ids, fetch: Fetch) -> tuple[Floats, Ids]:
        """The k best of some rows (B, M) by their stored vectors."""
        distinct, places = np.unique(rows, return_inverse=True)
        vectors = np.zeros((len(distinct), x.shape[1]), np.float32)
        vectors[distinct >= 0] = fetch(self.ids[distinct[distinct >= 0]])
        scores = np.einsum("bd,bmd->bm", x, vectors[places.reshape(rows.shape)])
        scores[rows < 0] = -np.inf
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)

    def _run(self, x: Floats, k: int, parameters: Any) -> tuple[Floats, Ids]:  # noqa: ANN401  faiss has no types
        if self._gpu is not None and (parameters is None or parameters.sel is None):
            with self._lock:
                return self._gpu.search(x, k, params=parameters)
        return self.index.search(x, k, params=parameters)


def append_block(blocks: tuple[Segment, ...], block: Segment) -> tuple[Segment, ...]:
    """Add a block, merging it with the last one while that is less than twice its size: few blocks, and short merges.

    A vector is copied each time its block doubles, so only a few times however many vectors there are.
    """
    while blocks and len(blocks[-1].ids) < min(2 * len(block.ids), BLOCK + 1 - len(block.ids)):
        block, blocks = blocks[-1].joined(block), blocks[:-1]
    return (*blocks, block)


def _on_gpus(index: Any) -> Any:  # noqa: ANN401  faiss has no types
    """Copy an index to the GPU, sharded if there are several."""
    import faiss  # noqa: PLC0415  as above

    options = faiss.GpuMultipleClonerOptions()
    options.shard = True
    return faiss.index_cpu_to_all_gpus(index, co=options)


def gpu_count() -> int:
    """The number of GPUs that FAISS can use; 0 for a build without GPU support."""
    import faiss  # noqa: PLC0415  as above

    return int(faiss.get_num_gpus()) if hasattr(faiss, "StandardGpuResources") else 0
