"""Recall before and after fine-tuning: `python -m benchmarks.fine_tuning FOLDER FLICKR8K --work DIR`.

FOLDER holds named pictures as for `named_pictures.py`. `crosslook train --init` trains on a random 500 of them; the
others are held out. Recall is measured on the held-out pictures and, to show what is forgotten, on Flickr8k's
validation split. Prints JSON.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.named_pictures import find
from indexer import open_image
from indexer.errors import DecodeError

TRAINED_ON = 500
SEED = 0


def write_table(path: Path, rows: Sequence[tuple[Path, str]]) -> Path:
    """Write a dataset as a CSV file of image and caption."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "caption"])
        writer.writerows((str(image.resolve()), caption) for image, caption in rows)
    return path


def readable(path: Path) -> bool:
    """Whether a picture can be opened; training fails on one that cannot."""
    try:
        open_image(path)
    except DecodeError:
        return False
    return True


def crosslook(*arguments: object) -> dict[str, Any]:
    """Run a command of the program, and read its JSON."""
    command = [sys.executable, "-m", "api.cli", *map(str, arguments), "--json"]
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603  our own program
    result: dict[str, Any] = json.loads(process.stdout)
    return result


def recalls(model: object, held_out: Path, flickr8k: Path) -> dict[str, Any]:
    """Recall on the held-out pictures and on Flickr8k's validation split."""
    evaluations = {
        "held_out": crosslook("evaluate", held_out, "--model", model),
        "flickr8k": crosslook("evaluate", flickr8k, "--split", "dev", "--model", model),
    }
    directions = ("text_to_image", "image_to_text")
    return {name: {direction: e[direction] for direction in directions} for name, e in evaluations.items()}


def main() -> None:
    """Measure and print."""
    parser = report.parser(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("flickr8k", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="a new folder for the tables and the model")
    parser.add_argument("--init", default="base")
    options = parser.parse_args()
    options.work.mkdir(parents=True)
    named = find(options.folder)
    rows = [row for row in zip(named.files, named.called, strict=True) if readable(row[0])]
    order = np.random.default_rng(SEED).permutation(len(rows))
    training = write_table(options.work / "training.csv", [rows[i] for i in order[:TRAINED_ON]])
    held_out = write_table(options.work / "held_out.csv", [rows[i] for i in order[TRAINED_ON:]])
    run = options.work / "run"
    began = time.perf_counter()
    trained = crosslook("train", training, "--out", run, "--init", options.init)
    figures = {
        "trained_on": TRAINED_ON,
        "held_out": len(rows) - TRAINED_ON,
        "minutes": round((time.perf_counter() - began) / 60, 1),
        "epochs": trained["epochs"],
        "best_epoch": trained["best_epoch"],
        "before": recalls(options.init, held_out, options.flickr8k),
        "after": recalls(run / "model", held_out, options.flickr8k),
    }
    report.write(figures | {"on": report.provenance(SEED)}, options.out)


if __name__ == "__main__":
    main()
