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

    def __init__(self, ids: Ids, flat: Any) -> None:  # noqa: ANN401  faiss has no types
        """Args: ids (N,) of the rows of `flat`, a faiss.IndexFlatIP."""
        import faiss  # noqa: PLC0415  loads a large library that listings do not need

        self._faiss = faiss
        self._ids = ids
        self._flat = flat
        self._lock = threading.Lock()
        self._resources: Any = None
        self._gpu: Any = None
        if gpu_count() > 0 and len(ids):
            self._resources = faiss.StandardGpuResources()
            self._gpu = faiss.index_cpu_to_gpu(self._resources, 0, flat)

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
        if encoder is None:
            return cls.rebuild(catalog, kind)
        path = _path(catalog, kind, encoder.fingerprint)
        loaded = _read(path)
        if loaded is not None:
            ids, flat = loaded
            found = cls(ids, flat)
            if found.stamp == catalog.vector_stamp(kind) and flat.d == encoder.dimension:
                return found
        return cls.rebuild(catalog, kind)

    @classmethod
    def rebuild(cls, catalog: Catalog, kind: Kind) -> VectorIndex:
        """Build from the catalog, and write the file under a temporary name first.

        An index that cannot be written (a read-only disk) still serves from memory.
        """
        import faiss  # noqa: PLC0415  as above

        ids, vectors = catalog.vectors(kind)
        flat = faiss.IndexFlatIP(max(1, vectors.shape[1]))
        if len(ids):
            flat.add(np.ascontiguousarray(vectors))
        encoder = catalog.active_encoder()
        if encoder is not None:
            _write(_path(catalog, kind, encoder.fingerprint), ids, flat)
        return cls(ids, flat)

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
        k = min(k, len(self) if allowed is None else len(np.intersect1d(allowed, self._ids, assume_unique=True)))
        if k == 0:
            empty = (len(queries), 0)
            return np.empty(empty, np.float32), np.empty(empty, np.int64)
        x = np.ascontiguousarray(queries, np.float32)
        if allowed is not None:
            rows = np.flatnonzero(np.isin(self._ids, allowed))
            chosen = self._faiss.SearchParameters(sel=self._faiss.IDSelectorBatch(rows))
            scores, found = self._flat.search(x, k, params=chosen)
        elif self._gpu is not None:
            with self._lock:
                scores, found = self._gpu.search(x, k)
        else:
            scores, found = self._flat.search(x, k)
        return scores, self._ids[found]


def gpu_count() -> int:
    """How many GPUs FAISS can use here; 0 for a build without GPU support."""
    import faiss  # noqa: PLC0415  as above

    return int(faiss.get_num_gpus()) if hasattr(faiss, "StandardGpuResources") else 0


def _path(catalog: Catalog, kind: Kind, fingerprint: str) -> Path:
    return catalog.directory / VECTORS / f"{kind}-{fingerprint[:16]}.faiss"


def _read(path: Path) -> tuple[Ids, Any] | None:
    """Ids and flat index of a file; None if it is missing or damaged."""
    import faiss  # noqa: PLC0415  as above

    if not path.is_file():
        return None
    try:
        index = faiss.read_index(str(path))
        ids = faiss.vector_to_array(index.id_map).astype(np.int64)
        flat = faiss.downcast_index(index.index)
        index.own_fields = False  # `flat` outlives its wrapper
        flat.this.own(True)  # noqa: FBT003  SWIG's signature
    except (RuntimeError, AttributeError, MemoryError):
        return None
    return (ids, flat) if len(ids) == flat.ntotal else None


def _write(path: Path, ids: Ids, flat: Any) -> None:  # noqa: ANN401  faiss has no types
    import faiss  # noqa: PLC0415  as above

    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        wrapper = faiss.IndexIDMap(flat)
        faiss.copy_array_to_vector(ids, wrapper.id_map)
        wrapper.ntotal = flat.ntotal
        faiss.write_index(wrapper, str(temporary))
        temporary.replace(path)
    except (OSError, RuntimeError):
        temporary.unlink(missing_ok=True)
