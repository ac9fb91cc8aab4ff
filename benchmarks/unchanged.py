"""Time `crosslook index` over unchanged files: the whole command, as cron runs it. Prints JSON.

The files are created and the catalog filled by SQL, so that only the check for changes is measured.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sqlalchemy import Connection, insert

from benchmarks import report
from encoders import load_encoder
from indexer import Catalog, VectorIndex
from indexer.catalog import schema
from indexer.catalog.records import Kind
from indexer.catalog.words import folded, words_of
from indexer.ingest.annotations import RECORD_VERSION

ROOT = Path(__file__).parent.parent
FOLDER = 500  # files per folder
BATCH = 10_000
SEED = 0


def make_files(folder: Path, count: int) -> Iterator[tuple[str, int, int]]:
    """Create small files named like pictures; yield path, size and modification time of each."""
    for number in range(count):
        path = folder / f"{number // FOLDER:04}" / f"{number:06}.jpg"
        if number % FOLDER == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(str(number).encode())
        status = path.stat()
        yield str(path), status.st_size, status.st_mtime_ns


def fill(connection: Connection, files: list[tuple[str, int, int]], first: int, vectors: np.ndarray) -> None:
    """Insert the rows that indexing writes, with synthetic hashes and vectors and without region grids."""
    ids = range(first, first + len(files))
    image = {"width": 4000, "height": 3000, "format": "JPEG", "record_version": RECORD_VERSION}
    connection.execute(insert(schema.image), [{"id": i, "content_hash": f"{i:064x}", **image} for i in ids])
    places = [
        {
            "path": path,
            "image_id": i,
            "size": size,
            "mtime_ns": mtime_ns,
            "folded": folded(path),
            "words": words_of(path),
        }
        for i, (path, size, mtime_ns) in zip(ids, files, strict=True)
    ]
    connection.execute(insert(schema.location), places)
    rows = [
        {"encoder_id": 1, "kind": Kind.IMAGE.value, "item_id": i, "vector": vector.tobytes()}
        for i, vector in zip(ids, vectors, strict=True)
    ]
    connection.execute(insert(schema.embedding), rows)


def make_index(folder: Path, directory: Path, count: int) -> None:
    """Create a tree of files and an index of all of them."""
    model, rng = load_encoder(lazy=True), np.random.default_rng(SEED)
    files = list(make_files(folder, count))
    with Catalog.open(directory, create=True) as catalog:
        catalog.use_encoder(model.name, model.fingerprint, model.dimension)
        for start in range(0, count, BATCH):
            part = files[start : start + BATCH]
            vectors = rng.normal(size=(len(part), model.dimension))
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            with catalog.transaction() as connection:
                fill(connection, part, start + 1, vectors.astype("<f2"))
        for kind in Kind:
            VectorIndex.open(catalog, kind)


def run(directory: Path, *arguments: str) -> dict[str, object]:
    """Run the command; return its counts, wall-clock seconds and processor seconds."""
    command = [sys.executable, "-m", "api.cli", "index", *arguments, "--index", str(directory), "--json"]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603  our own program
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    counts = json.loads(process.stdout)
    return {
        "seen": counts["seen"],
        "unchanged": counts["unchanged"],
        "records": counts["records"],
        "wall_seconds": round(wall, 2),
        "user_seconds": round(after.ru_utime - before.ru_utime, 2),
        "system_seconds": round(after.ru_stime - before.ru_stime, 2),
    }


def main() -> None:
    """Measure and write the result."""
    parser = report.parser(__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder, directory = Path(temporary) / "pictures", Path(temporary) / "index"
        make_index(folder, directory, options.files)
        first = run(directory, str(folder))
        runs = [run(directory) for _ in range(options.repeats)]
    document = {
        "load_before": round(os.getloadavg()[2], 1),
        "first_run_with_path": first,
        "runs_without_path": runs,
    }
    report.write(document | {"on": report.provenance(SEED)}, options.out)


if __name__ == "__main__":
    main()
