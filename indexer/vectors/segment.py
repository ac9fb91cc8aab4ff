"""A FAISS structure over some of a catalog's items. It never changes once it is built, so threads may share it.

On a GPU where there is one, or over all of several. That path follows FAISS's documentation ("Faiss on the GPU") and
has not been run on hardware; GPU indexes are not thread-safe, not even for reads, hence the lock.
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
"""Blocks are not joined to larger ones than this; that takes some milliseconds."""

RESCORED = 10
"""Of a compressed structure's answers, so many times as are wanted are compared by their stored vectors."""

Fetch = Callable[[Ids], Floats]
"""Stored vectors (N, D) of items."""


class Segment:
    """Row r of a FAISS index is item `ids[r]`, ascending; `stamp` is the catalog's when it was built."""

    def __init__(
        self,
        index: Any,  # noqa: ANN401  faiss has no types
        ids: Ids,
        choice: IndexStructure,
        stamp: Stamp,
        *,
        gpu: bool = True,
    ) -> None:
        import faiss  # noqa: PLC0415  loads a large library that listings do not need

        self.index, self.ids, self.choice, self.stamp = index, ids, choice, stamp
        self._faiss = faiss
        self._lock = threading.Lock()
        self._gpu = _on_gpus(index) if gpu and len(ids) and choice.structure != "HNSW" and gpu_count() else None

    @classmethod
    def made(cls, structure: str, ids: Ids, vectors: Floats, stamp: Stamp) -> Segment:
        """Build over the vectors (N, D) of items."""
        return cls(build(structure, vectors), ids, IndexStructure(structure), stamp)

    @classmethod
    def block(cls, ids: Ids, vectors: Floats, stamp: Stamp) -> Segment:
        """A part of what came since a body was built, compared one by one; on the CPU, for it does not live long."""
        return cls(build("exact", vectors), ids, IndexStructure("exact", recall=1.0), stamp, gpu=False)

    def joined(self, other: Segment) -> Segment:
        """A new block that holds what two hold."""
        ids = np.concatenate([self.ids, other.ids])
        vectors = np.concatenate([part.index.reconstruct_n(0, len(part.ids)) for part in (self, other)])
        order = np.argsort(ids, kind="stable")
        return Segment.block(ids[order], vectors[order], other.stamp)

    def rows(self, ids: Ids) -> Ids:
        """Rows of those of some items (ascending ids) that are here."""
        if len(self.ids):  # a block lies in a small part of them
            ids = ids[np.searchsorted(ids, self.ids[0]) : np.searchsorted(ids, self.ids[-1], "right")]
        places = np.searchsorted(self.ids, ids)
        there = places < len(self.ids)
        there[there] = self.ids[places[there]] == ids[there]
        return places[there]

    def search(
        self,
        x: Floats,
        k: int,
        fetch: Fetch,
        *,
        allowed: Ids | None,
        left_out: Ids,
        choice: IndexStructure | None = None,
    ) -> tuple[Floats, Ids]:
        """The k nearest of the allowed items (None for all) that are not left out.

        Shape:
            - x: (B, D); allowed, left_out: (M,), ascending.

        Returns:
            Cosines descending and ids, both (B, K); id -1 where a structure found fewer.
        """
        choice = choice or self.choice
        chosen = None
        if allowed is not None:
            chosen = np.zeros(len(self.ids), bool)
            chosen[self.rows(allowed)] = True
            chosen[self.rows(left_out)] = False
        elif len(left_out) and len(banned := self.rows(left_out)):
            chosen = np.ones(len(self.ids), bool)
            chosen[banned] = False
        count = len(self.ids) if chosen is None else int(chosen.sum())
        if not (k := min(k, count)):
            return np.empty((len(x), 0), np.float32), np.empty((len(x), 0), np.int64)
        scores, rows = self._nearest(x, k, fetch, chosen, count, choice)
        ids = self.ids[rows]
        ids[rows < 0] = -1
        return scores, ids

    def _nearest(
        self,
        x: Floats,
        k: int,
        fetch: Fetch,
        chosen: np.ndarray[Any, np.dtype[np.bool_]] | None,
        count: int,
        choice: IndexStructure,
    ) -> tuple[Floats, Ids]:
        selector, breadth = None, choice.breadth
        if chosen is not None:  # the fewer are chosen, the farther one must look to meet k of them
            selector = self._faiss.IDSelectorBitmap(np.packbits(chosen, bitorder="little"))
            breadth = round(breadth * len(self.ids) / count)
        if choice.structure == "exact":
            return self._run(x, k, None if selector is None else self._faiss.SearchParameters(sel=selector))
        if choice.structure == "HNSW":
            if selector is not None and count <= EXACT_UNTIL:  # one by one, which is exact, and quick for so few
                storage = self._faiss.downcast_index(self.index.storage)
                return storage.search(x, k, params=self._faiss.SearchParameters(sel=selector))
            return self._run(x, k, self._faiss.SearchParametersHNSW(efSearch=max(k, breadth), sel=selector))
        lists = min(breadth, self.index.nlist) if count > EXACT_UNTIL else self.index.nlist
        parameters = self._faiss.SearchParametersIVF(nprobe=max(1, lists), sel=selector)
        if choice.structure == "IVF-SQ":
            return self._run(x, k, parameters)
        return self._rescored(x, k, self._run(x, min(RESCORED * k, count), parameters)[1], fetch)

    def _rescored(self, x: Floats, k: int, rows: Ids, fetch: Fetch) -> tuple[Floats, Ids]:
        """The k best of some rows (B, M) by their stored vectors."""
        wanted, places = np.unique(rows, return_inverse=True)
        vectors = np.zeros((len(wanted), x.shape[1]), np.float32)
        vectors[wanted >= 0] = fetch(self.ids[wanted[wanted >= 0]])
        scores = np.einsum("bd,bmd->bm", x, vectors[places.reshape(rows.shape)])
        scores[rows < 0] = -np.inf
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)

    def _run(self, x: Floats, k: int, parameters: Any) -> tuple[Floats, Ids]:  # noqa: ANN401  faiss has no types
        if self._gpu is not None and (parameters is None or parameters.sel is None):
            with self._lock:
                return self._gpu.search(x, k, params=parameters)
        return self.index.search(x, k, params=parameters)


def grown(blocks: tuple[Segment, ...], block: Segment) -> tuple[Segment, ...]:
    """The blocks and one more; it joins the last while that is not twice its size, so there are few, and no long wait.

    A vector is copied as often as its block doubles: some times, however many there are.
    """
    while blocks and len(blocks[-1].ids) < min(2 * len(block.ids), BLOCK + 1 - len(block.ids)):
        block, blocks = blocks[-1].joined(block), blocks[:-1]
    return (*blocks, block)


def _on_gpus(index: Any) -> Any:  # noqa: ANN401  faiss has no types
    """A copy of an index on the GPU, its vectors shared out where there are several."""
    import faiss  # noqa: PLC0415  as above

    options = faiss.GpuMultipleClonerOptions()
    options.shard = True
    return faiss.index_cpu_to_all_gpus(index, co=options)


def gpu_count() -> int:
    """How many GPUs FAISS can use here; 0 for a build without GPU support."""
    import faiss  # noqa: PLC0415  as above

    return int(faiss.get_num_gpus()) if hasattr(faiss, "StandardGpuResources") else 0
