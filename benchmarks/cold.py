"""Time `crosslook search`, with reranking, on an index of synthetic pictures. Writes JSON.

    python -m benchmarks.cold --count 10000 --out benchmarks/results/cold.json

Each run is a new process, timed from start to exit, with a warm disk cache.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import report
from benchmarks.growth import SEED, SENTENCES, fill
from encoders import load_encoder
from indexer import Catalog, VectorIndex
from indexer.catalog.records import Kind


def main() -> None:
    """Measure and write the result."""
    parser = report.parser(__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="number of pictures")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    encoder = load_encoder()
    seconds = []
    with tempfile.TemporaryDirectory() as name:
        with Catalog.open(Path(name), create=True) as catalog:
            fill(
                catalog,
                options.count,
                encoder,
                catalog.use_encoder(encoder.name, encoder.fingerprint, encoder.dimension),
            )
            VectorIndex.rebuild(catalog, Kind.IMAGE)
        for number in range(options.rounds):
            sentence = SENTENCES[number % len(SENTENCES)]
            began = time.perf_counter()
            command = [sys.executable, "-m", "api.cli", "search", sentence, "--index", name, "--json"]
            process = subprocess.run(command, capture_output=True, check=True)  # noqa: S603  our own program
            seconds.append(time.perf_counter() - began)
            assert len(json.loads(process.stdout)["hits"]) == 10  # noqa: S101  do not time a failed search
    result = {
        "images": options.count,
        "median_seconds": round(statistics.median(seconds), 2),
        "slowest_seconds": round(max(seconds), 2),
        "on": report.provenance(SEED),
    }
    report.write(result, options.out)


if __name__ == "__main__":
    main()
