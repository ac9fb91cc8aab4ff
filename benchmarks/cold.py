"""How long `crosslook search` takes from the shell, with reranking, on an index of so many made-up pictures. JSON out.

    python -m benchmarks.cold --count 10000 --out benchmarks/results/cold.json

Each run is a process of its own, from its start to its end; the disk's cache is warm, the program is not.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.growth import SENTENCES, fill
from encoders import load_encoder
from encoders.device import machine
from indexer import Catalog, VectorIndex
from indexer.catalog.records import Kind


def main() -> None:
    """Measure and write the document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path)
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
            answer = subprocess.run(command, capture_output=True, check=True)  # noqa: S603  ours
            seconds.append(time.perf_counter() - began)
            assert len(json.loads(answer.stdout)["hits"]) == 10  # noqa: S101  a wrong figure is worse than none
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S607
    result = {
        "images": options.count,
        "median_seconds": round(statistics.median(seconds), 2),
        "slowest_seconds": round(max(seconds), 2),
        "on": {"commit": commit.stdout.strip(), "python": platform.python_version()} | machine(),
    }
    print(json.dumps(result, indent=2))
    if options.out:
        options.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
