"""The FAISS structure for a number of vectors: how to choose, build and tune it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from encoders import Floats

EXACT_UNTIL = 50_000
"""Up to this many vectors are compared one by one, in milliseconds; building a graph over them takes half a minute."""

GRAPH_UNTIL = 4_000_000
"""Up to this many vectors a graph in half precision fits into a laptop's memory, at about a kilobyte a vector."""

RECALL = 0.98
"""Target for recall at 10."""

RECALL_AT = 10

LINKS = 32
"""HNSW's M."""

BUILD_BREADTH = 80
"""HNSW's efConstruction."""

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class IndexStructure:
    """A FAISS structure and its search parameter.

    `breadth` is HNSW's efSearch or IVF's nprobe, 0 for exact search. `recall` at 10 is measured against exact search
    when the structure is built; None before that.
    """

    structure: str
    breadth: int = 0
    recall: float | None = None


def structure_for(count: int, *, gpu: bool) -> str:
    """The name of the structure for a number of vectors: `exact`, `HNSW` (CPU only), `IVF-SQ` or `IVF-PQ`.

    Source: FAISS's wiki, "Guidelines to choose an index".
    """
    if count <= EXACT_UNTIL:
        return "exact"
    if count <= GRAPH_UNTIL:
        return "IVF-SQ" if gpu else "HNSW"
    return "IVF-PQ"


def build(name: str, vectors: Floats) -> Any:  # noqa: ANN401  faiss has no types
    """Build an inner-product FAISS index over vectors (N, D); its ids are their rows."""
    import faiss  # noqa: PLC0415  loads a large library that listings do not need

    count, dimension = vectors.shape
    codes = dimension // next(size for size in (4, 3, 2, 1) if dimension % size == 0)  # bytes of IVF-PQ
    recipe = {
        "exact": "Flat",
        "HNSW": f"HNSW{LINKS},SQfp16",
        "IVF-SQ": f"IVF{_lists(count)},SQfp16",
        "IVF-PQ": f"IVF{_lists(count)},PQ{codes}np",  # no polysemous training, seconds a byte: its filter is not used
    }[name]
    index = faiss.index_factory(max(1, dimension), recipe, faiss.METRIC_INNER_PRODUCT)
    if name == "HNSW":
        index.hnsw.efConstruction = BUILD_BREADTH
    if not index.is_trained:
        index.train(spread(vectors, 64 * _lists(count)))
    if count:
        index.add(np.ascontiguousarray(vectors, np.float32))
    return index


def _lists(count: int) -> int:
    """The number of inverted lists: about four times the square root of the count, a power of two."""
    return 1 << round(np.log2(max(1.0, 4 * count**0.5)))


def spread(vectors: Floats, limit: int) -> Floats:
    """An evenly spaced sample of at most `limit` vectors."""
    rows = np.unique(np.linspace(0, len(vectors) - 1, min(limit, len(vectors)), dtype=np.int64))
    return np.ascontiguousarray(vectors[rows], np.float32)


def perturbed(vectors: Floats) -> Floats:
    """Vectors (N, D) of length 1, each turned by 45 degrees in a random direction. Seeded.

    Real queries are not in the index, and a graph finds the neighbours of its own vectors more easily.
    """
    noise = np.random.default_rng(0).standard_normal(vectors.shape, np.float32)
    noise -= (noise * vectors).sum(1, keepdims=True) * vectors
    noise /= np.maximum(np.linalg.norm(noise, axis=1, keepdims=True), 1e-8)
    return (vectors + noise) / np.float32(2**0.5)


def tune(
    name: str,
    search: Callable[[IndexStructure, Floats], Rows],
    vectors: Floats,
    samples: list[Floats],
    target: float,
) -> IndexStructure:
    """Find the smallest breadth whose recall at 10 reaches a target; the largest breadth if none does.

    Args:
        name: the structure that was built over the vectors.
        search: returns the rows (B, 10) that are found for queries (B, D).
        vectors: all of them (N, D).
        samples: kinds of queries, each (B, D); the lowest recall among them counts.
        target: recall in [0, 1].
    """
    import faiss  # noqa: PLC0415  as above

    flat = np.ascontiguousarray(vectors, np.float32)
    truths = [faiss.knn(queries, flat, RECALL_AT, faiss.METRIC_INNER_PRODUCT)[1] for queries in samples]
    structure = IndexStructure(name)
    for breadth in _breadths(name, len(vectors)):
        structure = IndexStructure(name, breadth)
        recall = min(_recall(search(structure, queries), truth) for queries, truth in zip(samples, truths, strict=True))
        structure = IndexStructure(name, breadth, round(recall, 4))
        if recall >= target:
            break
    return structure


def _breadths(name: str, count: int) -> list[int]:
    """Search breadths to try, ascending in steps of about 1.4."""
    lowest, highest = (RECALL_AT, 2048) if name == "HNSW" else (1, _lists(count))
    steps = int(2 * np.log2(highest / lowest)) + 1
    return sorted({min(highest, round(lowest * 2 ** (step / 2))) for step in range(steps + 1)})


def _recall(hits: Rows, truth: Rows) -> float:
    shares = [len(np.intersect1d(hit, nearest)) / len(nearest) for hit, nearest in zip(hits, truth, strict=True)]
    return float(np.mean(shares))
