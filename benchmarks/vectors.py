"""crosslook's vector index and others, on the same vectors, at the same measured recall. Seeded; writes JSON.

    python -m benchmarks.vectors --count 1000000 --out benchmarks/results/vectors.json

The others are optional: `pip install hnswlib usearch lancedb chromadb qdrant-client sqlite-vec`; those that are not
installed are skipped. Each runs in its own process, with one thread and one query at a time, at the lowest efSearch or
nprobe that reaches `--recall` at 10. Times are in milliseconds.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import report
from benchmarks.peers import PEERS, Peer

K = 10
SEED = 1
FILTER_STEP = 100
"""The filter matches every 100th row."""
TIME_LIMIT, MIN_QUERIES = 30_000, 30
"""After 30 s in total, 30 queries are enough."""

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


def embeddings(count: int, dimension: int, *, seed: int) -> Floats:
    """Unit vectors distributed like image embeddings: uneven clusters in a subspace, and some noise."""
    shape = np.random.default_rng(0)
    inner = min(48, dimension)
    centres = shape.normal(size=(2000, inner)).astype(np.float32)
    spread = shape.normal(size=(inner, dimension)).astype(np.float32) / inner**0.5
    weight = 1 / np.arange(1, len(centres) + 1) ** 0.5
    rng = np.random.default_rng(seed)
    out = np.empty((count, dimension), np.float32)
    for start in range(0, count, 50_000):
        rows = min(50_000, count - start)
        cluster = rng.choice(len(centres), rows, p=weight / weight.sum())
        points = centres[cluster] + 0.8 * rng.normal(size=(rows, inner)).astype(np.float32)
        block = points @ spread + 0.1 * rng.normal(size=(rows, dimension)).astype(np.float32)
        out[start : start + rows] = block / np.linalg.norm(block, axis=1, keepdims=True)
    return out.astype(np.float16).astype(np.float32)  # the catalog stores half precision


def nearest(vectors: Floats, queries: Floats, rows: Rows | None = None) -> Rows:
    """Rows of the ten nearest vectors by exhaustive search, of all rows or of some."""
    candidates = vectors if rows is None else vectors[rows]
    best = np.argsort(-(queries @ candidates.T), axis=1)[:, :K]
    return best if rows is None else rows[best]


def recall(hits: Rows, truth: Rows) -> float:
    """Mean share of the true nearest neighbours among the hits."""
    return float(np.mean([len(np.intersect1d(h, t)) / len(t) for h, t in zip(hits, truth, strict=True)]))


def timed(peer: Peer, queries: Floats, breadth: int, allowed: Rows | None) -> tuple[Rows, dict[str, float]]:
    """Search a peer; return hits and times. Past `TIME_LIMIT` it stops after `MIN_QUERIES` queries."""
    hits: list[Rows] = []
    times: list[float] = []
    for query in queries:
        if sum(times) > TIME_LIMIT and len(times) >= MIN_QUERIES:
            break
        began = time.perf_counter()
        rows = peer.search(query, K, breadth, allowed)
        times.append(1000 * (time.perf_counter() - began))
        hits.append(np.pad(rows[:K], (0, max(0, K - len(rows))), constant_values=-1))
    p50, p99 = (round(float(np.percentile(times, p)), 3) for p in (50, 99))
    return np.stack(hits), {"p50": p50, "p99": p99, "queries_per_second": round(1000 * len(times) / sum(times), 1)}


def tuned(peer: Peer, queries: Floats, truth: Rows, target: float, allowed: Rows | None) -> dict[str, Any]:
    """Choose the lowest breadth that reaches the target recall on the first half; time the second half."""
    half = len(queries) // 2
    breadth = peer.breadths[-1]
    for candidate in peer.breadths:
        hits, _ = timed(peer, queries[:half], candidate, allowed)
        if recall(hits, truth[: len(hits)]) >= target:
            breadth = candidate
            break
    hits, times = timed(peer, queries[half:], breadth, allowed)
    truth = truth[half : half + len(hits)]
    return {"breadth": breadth, "queries": len(hits), "recall": round(recall(hits, truth), 4)} | times


def measure(name: str, options: argparse.Namespace, answer: Any) -> None:  # noqa: ANN401  a queue
    """Build and search one peer, in its own process."""
    vectors = embeddings(options.count, options.dimension, seed=SEED)
    queries = embeddings(options.queries, options.dimension, seed=SEED + 1)
    allowed = np.arange(0, options.count, FILTER_STEP)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        try:
            peer = PEERS[name](Path(folder), options.dimension)
        except ImportError as exc:
            answer.put({"left_out": str(exc)})
            return
        began = time.perf_counter()
        peer.build(vectors, allowed)
        result: dict[str, Any] = {"build_seconds": round(time.perf_counter() - began, 1)}
        result["disk_mb"] = round(sum(f.stat().st_size for f in Path(folder).rglob("*") if f.is_file()) / 1e6)
        truth, truth_of_allowed = nearest(vectors, queries), nearest(vectors, queries, allowed)
        result["plain"] = tuned(peer, queries, truth, options.recall, None)
        result["filtered"] = tuned(peer, queries, truth_of_allowed, options.recall, allowed)
        result["peak_mb_above_the_vectors"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    answer.put(result)


def main() -> None:
    """Measure every peer and write the result."""
    parser = report.parser(__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=384, help="default: that of the base model")
    parser.add_argument("--queries", type=int, default=1000, help="half for tuning, half for timing")
    parser.add_argument("--recall", type=float, default=0.98)
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=list(PEERS))
    options = parser.parse_args()
    settings = {name: getattr(options, name) for name in ("count", "dimension", "queries", "recall")}
    document: dict[str, Any] = {"asked": settings, "peers": {}}
    earlier = report.previous(options.out)
    if earlier.get("asked") == settings:
        document["peers"] = earlier["peers"]
    context = multiprocessing.get_context("spawn")
    for name in options.peers:
        answer = context.Queue()
        process = context.Process(target=measure, args=(name, options, answer))
        process.start()
        while process.is_alive() and answer.empty():
            process.join(0.5)
        result = answer.get() if not answer.empty() else {"failed": f"exited with status {process.exitcode}"}
        process.join()
        document["peers"][name] = result | {"on": report.provenance(SEED)}
        report.write(document, options.out)


if __name__ == "__main__":
    main()
