"""Which FAISS structure serves how many vectors, how it is built, and how thoroughly it must be searched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from encoders import Floats

EXACT_UNTIL = 50_000
"""So many vectors are compared one by one in some milliseconds; a graph over them would take half a minute to build."""

GRAPH_UNTIL = 4_000_000
"""Up to here a graph over half-precision vectors fits into a laptop's memory, at about a kilobyte a vector."""

RECALL = 0.98
"""Of the ten nearest, the share that is to be found."""

RECALL_AT = 10

LINKS = 32
"""Of a graph, to each side (HNSW's M)."""

BUILD_BREADTH = 80
"""HNSW's efConstruction."""

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class IndexStructure:
    """A structure, and how it is searched.

    `breadth` is HNSW's efSearch or IVF's nprobe, 0 for exact search. `recall` at 10 was measured against exact search
    when it was built; None before that.
    """

    structure: str
    breadth: int = 0
    recall: float | None = None


def choose(count: int, *, gpu: bool) -> str:
    """The structure for so many vectors: `exact`, `HNSW`, `IVF-SQ` or `IVF-PQ`; HNSW is for the CPU only.

    Source: FAISS's wiki, "Guidelines to choose an index".
    """
    if count <= EXACT_UNTIL:
        return "exact"
    if count <= GRAPH_UNTIL:
        return "IVF-SQ" if gpu else "HNSW"
    return "IVF-PQ"


def build(structure: str, vectors: Floats) -> Any:  # noqa: ANN401  faiss has no types
    """A FAISS index by inner product over vectors (N, D), whose ids are their rows."""
    import faiss  # noqa: PLC0415  loads a large library that listings do not need

    count, dimension = vectors.shape
    codes = dimension // next(size for size in (4, 3, 2, 1) if dimension % size == 0)  # bytes of IVF-PQ
    recipe = {
        "exact": "Flat",
        "HNSW": f"HNSW{LINKS},SQfp16",
        "IVF-SQ": f"IVF{_lists(count)},SQfp16",
        "IVF-PQ": f"IVF{_lists(count)},PQ{codes}",
    }[structure]
    index = faiss.index_factory(max(1, dimension), recipe, faiss.METRIC_INNER_PRODUCT)
    if structure == "HNSW":
        index.hnsw.efConstruction = BUILD_BREADTH
    if not index.is_trained:
        index.train(spread(vectors, 64 * _lists(count)))
    if count:
        index.add(np.ascontiguousarray(vectors, np.float32))
    return index


def _lists(count: int) -> int:
    """How many inverted lists: about four times the root of the count, a power of two."""
    return 1 << round(np.log2(max(1.0, 4 * count**0.5)))


def spread(vectors: Floats, most: int) -> Floats:
    """At most so many of the vectors, evenly spread."""
    rows = np.unique(np.linspace(0, len(vectors) - 1, min(most, len(vectors)), dtype=np.int64))
    return np.ascontiguousarray(vectors[rows], np.float32)


def beside(vectors: Floats) -> Floats:
    """Queries at an angle of 45 degrees to vectors (N, D) of length 1. Seeded.

    What is searched with is not in the index; a graph finds the neighbours of what it holds more easily.
    """
    noise = np.random.default_rng(0).standard_normal(vectors.shape, np.float32)
    noise -= (noise * vectors).sum(1, keepdims=True) * vectors
    noise /= np.maximum(np.linalg.norm(noise, axis=1, keepdims=True), 1e-8)
    return (vectors + noise) / np.float32(2**0.5)


def tune(
    structure: str,
    search: Callable[[IndexStructure, Floats], Rows],
    vectors: Floats,
    samples: list[Floats],
    asked: float,
) -> IndexStructure:
    """The least breadth whose recall at 10 is at least what is asked for, or the greatest there is.

    Args:
        structure: what was built over the vectors.
        search: rows (B, 10) that a choice finds for queries (B, D).
        vectors: all of them (N, D).
        samples: kinds of queries, each (B, D); the worst served of them counts.
        asked: recall in [0, 1].
    """
    import faiss  # noqa: PLC0415  as above

    flat = np.ascontiguousarray(vectors, np.float32)
    truths = [faiss.knn(queries, flat, RECALL_AT, faiss.METRIC_INNER_PRODUCT)[1] for queries in samples]
    choice = IndexStructure(structure)
    for breadth in _breadths(structure, len(vectors)):
        choice = IndexStructure(structure, breadth)
        found = min(_recall(search(choice, queries), truth) for queries, truth in zip(samples, truths, strict=True))
        choice = IndexStructure(structure, breadth, round(found, 4))
        if found >= asked:
            break
    return choice


def _breadths(structure: str, count: int) -> list[int]:
    """From quick to thorough, in steps of about 1.4."""
    least, most = (RECALL_AT, 2048) if structure == "HNSW" else (1, _lists(count))
    steps = int(2 * np.log2(most / least)) + 1
    return sorted({min(most, round(least * 2 ** (step / 2))) for step in range(steps + 1)})


def _recall(found: Rows, truth: Rows) -> float:
    shared = [len(np.intersect1d(f, t)) / len(t) for f, t in zip(found, truth, strict=True)]
    return float(np.mean(shared))
