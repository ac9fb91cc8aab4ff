"""Indexing speed of crosslook, of open_clip's ViT-B/32 and of the CNN alone, on the same pictures in one run.

    python -m benchmarks.indexing PICTURES --count 500 --out benchmarks/results/indexing.json

- **crosslook**: `crosslook index` into a new index, from opening the files to the last commit, without Python startup.
- **open_clip**: open, preprocess, encode and normalise, one picture at a time as its README shows, and in batches; its
  weights are random, which does not affect speed.
- **rclip**, with `--rclip PROGRAM`: its release indexes the pictures, without its start (`rclip.py`); random weights.
- **CNN alone**: crosslook's model on the same pictures, decoded before the clock starts.

They run in turn, `--rounds` times; figures are medians in milliseconds per picture. With `--megapixels 12` the
pictures are first enlarged to JPEGs of that size, so that decoding dominates as it does with a camera's pictures.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks import rclip, report
from encoders import Encoder, load_encoder
from encoders.datasets import IMAGE_SUFFIXES
from indexer import Catalog, index_paths, open_image

BATCH = 32


def pictures(source: Path, count: int, megapixels: float | None, folder: Path) -> list[Path]:
    """Copy the first `count` pictures below a folder, resized if `megapixels` is given."""
    sources = sorted(p for p in source.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)[:count]
    if not sources:
        raise SystemExit(f"no pictures in {source}")
    copies = []
    for number, path in enumerate(sources):
        image = open_image(path)
        if megapixels:
            factor = (megapixels * 1e6 / (image.width * image.height)) ** 0.5
            image = image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BICUBIC)
            image.save(folder / f"{number}.jpg", quality=88)
        else:
            (folder / f"{number}{path.suffix}").write_bytes(path.read_bytes())
        copies.append(folder / (f"{number}.jpg" if megapixels else f"{number}{path.suffix}"))
    return copies


def crosslook(encoder: Encoder, paths: Sequence[Path]) -> None:
    """Index the pictures into a new index."""
    with tempfile.TemporaryDirectory() as folder, Catalog.open(Path(folder), create=True) as catalog:
        report = index_paths(catalog, encoder, [paths[0].parent])
        assert report.added + report.duplicates == len(paths), report  # noqa: S101  do not time a failed run


def clip() -> Callable[[Sequence[Path], int], None]:
    """Encode as in https://github.com/mlfoundations/open_clip#usage."""
    import open_clip  # noqa: PLC0415  a development package

    model, _, preprocess = open_clip.create_model_and_transforms("ViT-B-32")
    model.eval()

    def encode(paths: Sequence[Path], batch: int) -> None:
        with torch.no_grad():
            for start in range(0, len(paths), batch):
                images = torch.stack([preprocess(Image.open(path)) for path in paths[start : start + batch]])
                features = model.encode_image(images)
                features /= features.norm(dim=-1, keepdim=True)

    return encode


def forward(encoder: Encoder, pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
    """Run the model only."""
    for start in range(0, len(pixels), BATCH):
        encoder.encode_images(pixels[start : start + BATCH])


def main() -> None:
    """Measure and write the result."""
    parser = report.parser(__doc__)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--megapixels", type=float)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rclip", type=Path, metavar="PROGRAM", help="rclip, installed in an environment of its own")
    options = parser.parse_args()
    encoder = load_encoder()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as rclip_data:
        paths = pictures(options.pictures, options.count, options.megapixels, Path(folder))
        pixels = np.stack([encoder.prepare(open_image(path, at_least=2 * encoder.input_size)) for path in paths])
        encode = clip()
        runs: dict[str, Callable[[], None]] = {
            "crosslook": lambda: crosslook(encoder, paths),
            "open_clip": lambda: encode(paths, 1),
            "open_clip_in_batches": lambda: encode(paths, BATCH),
            "cnn_alone": lambda: forward(encoder, pixels),
        }
        forward(encoder, pixels[:BATCH])  # warm up
        times: dict[str, list[float]] = {name: [] for name in runs}
        if options.rclip:
            rclip.write_model(Path(rclip_data))
            times["rclip"] = []
        for _ in range(options.rounds):
            for name, run in runs.items():
                began = time.perf_counter()
                run()
                times[name].append(1000 * (time.perf_counter() - began) / len(paths))
            if options.rclip:
                seconds = rclip.indexing_seconds(options.rclip, Path(rclip_data), Path(folder))
                times["rclip"].append(1000 * seconds / len(paths))
    medians = {name: round(statistics.median(milliseconds), 2) for name, milliseconds in times.items()}
    result = {
        "milliseconds_a_picture": medians,
        "times_faster_than_open_clip": round(medians["open_clip"] / medians["crosslook"], 2),
        "times_faster_than_its_batches": round(medians["open_clip_in_batches"] / medians["crosslook"], 2),
        "times_the_cnn_alone": round(medians["crosslook"] / medians["cnn_alone"], 2),
        "pictures": len(paths),
        "on": report.provenance(),
    }
    key = f"{options.megapixels:g} megapixels" if options.megapixels else "as they are"
    report.write(report.previous(options.out) | {key: result}, options.out)


if __name__ == "__main__":
    main()
