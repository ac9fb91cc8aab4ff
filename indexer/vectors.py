"""The FAISS index of a catalog's vectors: a cache that can be lost, stale or damaged, and is then made anew.

Exact inner product, on the GPU where there is one. The GPU path follows FAISS's documentation ("Faiss on the
GPU") and has not been run on hardware; GPU indexes are not thread-safe, not even for reads, hence the lock.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np

from encoders import Floats

from .catalog import VECTORS, Catalog, Ids
from .records import Kind


class VectorIndex:
    """Nearest vectors by inner product; vectors have length 1, so it is the cosine."""

    def __init__(self, index: Any) -> None:  # noqa: ANN401  faiss has no types
        """Args: a faiss.IndexIDMap over an IndexFlatIP, its ids the primary keys."""
        import faiss  # noqa: PLC0415  loads a large library that listings do not need

        self._faiss = faiss
        self._index = index
        self._ids: Ids = faiss.vector_to_array(index.id_map).astype(np.int64)
        self._lock = threading.Lock()
        self._resources: Any = None
        self._gpu: Any = None
        if gpu_count() > 0 and len(self):
            self._resources = faiss.StandardGpuResources()
            self._gpu = faiss.index_cpu_to_gpu(self._resources, 0, index)

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def stamp(self) -> tuple[int, int]:
        """Count and highest id, to be compared with `Catalog.vector_stamp`."""
        return len(self._ids), int(self._ids.max(initial=0))

    @classmethod
    def open(cls, catalog: Catalog, kind: Kind) -> VectorIndex:
        """Load the file if it is in step with the catalog, else build it from the catalog and write it."""
        encoder = catalog.active_encoder()
        index = _read(_path(catalog, kind, encoder.fingerprint), encoder.dimension) if encoder else None
        if index is not None:
            found = cls(index)
            if found.stamp == catalog.vector_stamp(kind):
                return found
        return cls.rebuild(catalog, kind)

    @classmethod
    def rebuild(cls, catalog: Catalog, kind: Kind) -> VectorIndex:
        """Build from the catalog, and write the file under a temporary name first.

        An index that cannot be written (a read-only disk) still serves from memory.
        """
        import faiss  # noqa: PLC0415  as above

        ids, vectors = catalog.vectors(kind)
        index = faiss.IndexIDMap(faiss.IndexFlatIP(max(1, vectors.shape[1])))
        if len(ids):
            index.add_with_ids(np.ascontiguousarray(vectors), ids)
        encoder = catalog.active_encoder()
        if encoder is not None:
            _write(_path(catalog, kind, encoder.fingerprint), index)
        return cls(index)

    def search(self, queries: Floats, k: int, *, allowed: Ids | None = None) -> tuple[Floats, Ids]:
        """Find the nearest items.

        Args:
            queries: vectors of length 1.
            k: how many a query, at least 1; fewer come back where there are not so many.
            allowed: ids to choose among; None for all.

        Shape:
            - queries: (B, D); allowed: (M,), ascending.

        Returns:
            Cosines (B, K) descending, and ids (B, K).
        """
        k = min(k, len(self) if allowed is None else int(np.isin(self._ids, allowed).sum()))
        if k == 0:
            empty = (len(queries), 0)
            return np.empty(empty, np.float32), np.empty(empty, np.int64)
        x = np.ascontiguousarray(queries, np.float32)
        if allowed is not None:
            chosen = self._faiss.SearchParameters(sel=self._faiss.IDSelectorBatch(allowed))
            return self._index.search(x, k, params=chosen)
        if self._gpu is not None:
            with self._lock:
                return self._gpu.search(x, k)
        return self._index.search(x, k)


def gpu_count() -> int:
    """How many GPUs FAISS can use here; 0 for a build without GPU support."""
    import faiss  # noqa: PLC0415  as above

    return int(faiss.get_num_gpus()) if hasattr(faiss, "StandardGpuResources") else 0


def _path(catalog: Catalog, kind: Kind, fingerprint: str) -> Path:
    return catalog.directory / VECTORS / f"{kind}-{fingerprint[:16]}.faiss"


def _read(path: Path, dimension: int) -> Any:  # noqa: ANN401  faiss has no types
    """The index in a file; None if it is missing, damaged, or not one of ours."""
    import faiss  # noqa: PLC0415  as above

    if not path.is_file():
        return None
    try:
        index = faiss.read_index(str(path))
    except (RuntimeError, MemoryError):
        return None
    ours = isinstance(index, faiss.IndexIDMap) and index.d == dimension and index.id_map.size() == index.ntotal
    return index if ours else None


def _write(path: Path, index: Any) -> None:  # noqa: ANN401  faiss has no types
    import faiss  # noqa: PLC0415  as above

    temporary = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        faiss.write_index(index, str(temporary))
        temporary.replace(path)
        for left in path.parent.glob(f"{path.name}.*.tmp"):  # of a run that was killed
            left.unlink(missing_ok=True)
    except (OSError, RuntimeError):
        temporary.unlink(missing_ok=True)
