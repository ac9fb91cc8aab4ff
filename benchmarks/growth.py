"""Build time, search time, disk and memory of indexes of several sizes. Seeded; writes JSON.

    python -m benchmarks.growth --counts 1000 10000 100000 1000000 --out benchmarks/results/growth.json

Pictures are synthetic: vectors as in `benchmarks/vectors.py`, random states of the base model's size. Everything else
is as in use: a catalog with a row, a path, a vector and states for each, the index structure for that size, the
base model, and searches with 100 reranked candidates. Each size runs in its own process.
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.vectors import embeddings
from encoders import Encoder, load_encoder
from encoders.features import pack_states
from indexer import Catalog, VectorIndex
from indexer.catalog.records import Kind
from search import SearchEngine

SENTENCES = (
    "two dogs running through deep snow",
    "a man on a red bicycle",
    "children playing at the beach",
    "a woman reading a newspaper on a bench",
    "a climber on a steep rock",
)
SEED = 3
REPEATS = 5
PATTERNS = 64
"""Number of distinct region grids; their content does not affect speed or size."""


def fill(catalog: Catalog, count: int, encoder: Encoder, encoder_id: int) -> None:
    """Write the rows of `count` synthetic pictures."""
    rng = np.random.default_rng(SEED)
    channels = encoder.encode_texts(SENTENCES[:1]).tokens[0].shape[1]
    grids = [pack_states(_unit(rng.normal(size=(49, channels)))) for _ in range(PATTERNS)]
    vectors = embeddings(count, encoder.dimension, seed=1).astype("<f2")

    def images() -> Iterator[tuple[Any, ...]]:
        return ((i, f"{i:064x}", 4000, 3000, "JPEG", f"20{i % 25:02}-06-01T12:00:00") for i in range(1, count + 1))

    def locations() -> Iterator[tuple[Any, ...]]:
        return ((i, f"/photographs/{i // 1000}/IMG_{i}.jpg", i, 4_000_000, i) for i in range(1, count + 1))

    with catalog.transaction() as connection:
        sqlite: Any = connection.connection
        sqlite.executemany(
            "INSERT INTO image (id, content_hash, width, height, format, taken_at) VALUES (?, ?, ?, ?, ?, ?)", images()
        )
        sqlite.executemany(
            "INSERT INTO location (id, path, image_id, size, mtime_ns) VALUES (?, ?, ?, ?, ?)", locations()
        )
        sqlite.executemany(
            f"INSERT INTO embedding (encoder_id, kind, item_id, vector) VALUES ({encoder_id}, 'image', ?, ?)",  # noqa: S608  an integer id
            ((i + 1, row.tobytes()) for i, row in enumerate(vectors)),
        )
        sqlite.executemany(
            f"INSERT INTO states (encoder_id, kind, item_id, states) VALUES ({encoder_id}, 'image', ?, ?)",  # noqa: S608  as above
            ((i, grids[i % PATTERNS]) for i in range(1, count + 1)),
        )


def _unit(rows: Any) -> Any:  # noqa: ANN401  floats
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def measure(count: int, folder: Path, answer: Any) -> None:  # noqa: ANN401  a queue
    """Fill a catalog and build its vector index."""
    encoder = load_encoder()
    with Catalog.open(folder, create=True) as catalog:
        encoder_id = catalog.use_encoder(encoder.name, encoder.fingerprint, encoder.dimension)
        fill(catalog, count, encoder, encoder_id)
        began = time.perf_counter()
        built = VectorIndex.rebuild(catalog, Kind.IMAGE)
        building = time.perf_counter() - began
    answer.put(
        {
            "structure": built.structure.structure,
            "recall_at_10": built.structure.recall,
            "build_seconds": round(building, 1),
            "catalog_bytes_an_image": round(sum(f.stat().st_size for f in folder.glob("catalog.db*")) / count),
            "vector_file_bytes_an_image": round(sum(f.stat().st_size for f in folder.glob("vectors/*")) / count),
        }
    )


def search(folder: Path, answer: Any) -> None:  # noqa: ANN401  a queue
    """Open the index in a new process, and search it."""
    load_encoder().encode_texts(SENTENCES)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    with SearchEngine.open(folder) as engine:
        engine.search_images(SENTENCES[0])
        first = time.perf_counter() - began
        timings = [engine.search_images(sentence).timings_ms for sentence in REPEATS * SENTENCES]
        filtered = [engine.search_images(s, where=["taken_at = 2012"]).timings_ms for s in REPEATS * SENTENCES]
    answer.put(
        {
            "first_search_seconds": round(first, 2),
            "search_ms": {stage: round(statistics.median(t[stage] for t in timings), 2) for stage in timings[0]},
            "filtered_search_ms": round(statistics.median(t["total"] for t in filtered), 2),
            "memory_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024,
        }
    )


def main() -> None:
    """Measure every size and write the result."""
    parser = report.parser(__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    options = parser.parse_args()
    provenance = report.provenance(SEED)
    document = report.previous(options.out)
    context = multiprocessing.get_context("spawn")
    for count in options.counts:
        result: dict[str, Any] = {}
        with tempfile.TemporaryDirectory() as name:
            for work, arguments in ((measure, (count, Path(name))), (search, (Path(name),))):
                answer = context.Queue()
                process = context.Process(target=work, args=(*arguments, answer))
                process.start()
                while process.is_alive() and answer.empty():
                    process.join(0.5)
                if answer.empty():
                    raise SystemExit(f"{work.__name__} with {count} images exited with status {process.exitcode}")
                result |= answer.get()
                process.join()
        document[str(count)] = result | {"on": provenance}
        report.write(document, options.out)


if __name__ == "__main__":
    main()
