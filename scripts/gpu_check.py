"""Try on a machine with a GPU what cannot be tested without one, and write the results as JSON.

    python -m scripts.gpu_check PICTURES --out gpu.json

- *faiss*: exact search and IVF on the GPU against the CPU's answers, unfiltered and filtered.
- *encoders*: vectors, states and scores of torch on the GPU, in bf16 where fast, against ONNX Runtime's in float32.
- *training*: the losses of one epoch on the GPU against those on the CPU.
- *indexing*: pictures per second of `crosslook index`, and of the encoder alone.

Without a GPU the CPU stands for it, which tests the script itself.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from api.cli.train import open_picture
from encoders import BASE_MODEL, load_encoder
from encoders.checkpoint.description import read_description
from encoders.checkpoint.files import read_checkpoint
from encoders.datasets import IMAGE_SUFFIXES, Dataset, Example
from encoders.features import Floats
from encoders.hardware import machine
from encoders.inference.encoder import ModelEncoder
from encoders.inference.torch_parts import TorchParts
from encoders.training import TrainConfig, train
from indexer import Catalog, index_paths, open_image
from indexer.catalog.records import Ids, Stamp
from indexer.vectors.segment import Segment, gpu_count

SENTENCES = ("a dog runs through the snow", "two people on a bench", "an empty street at night", "zebra", "食物")
DIMENSION, CLUSTERS, QUERIES, NEAREST = 256, 2_000, 200, 10


def clustered(count: int) -> Floats:
    """Vectors in clusters, as embeddings are, all of length 1."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(CLUSTERS, DIMENSION)).astype(np.float32)
    rows = centres[rng.integers(0, CLUSTERS, count)] + rng.normal(size=(count, DIMENSION)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def seconds(function: Callable[[], object], rounds: int = 5) -> float:
    """The median time of a call, after one that is not counted."""
    function()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def check_faiss(count: int) -> dict[str, Any]:
    """Search the same vectors on the GPU and on the CPU."""
    vectors, ids = clustered(count), np.arange(count, dtype=np.int64)
    queries, none = clustered(count + QUERIES)[-QUERIES:], np.empty(0, np.int64)
    found: dict[str, Any] = {"gpus": gpu_count(), "vectors": count}

    def search(segment: Segment, allowed: Ids | None) -> Ids:
        return segment.search(queries, NEAREST, lambda wanted: vectors[wanted], allowed=allowed, excluded=none)[1]

    for name in ("exact", "IVF-SQ"):
        built = Segment.build(name, ids, vectors, Stamp(count=count, top=count))
        structure = replace(built.structure, breadth=32)
        segments = {
            place: Segment(built.index, ids, structure, built.stamp, gpu=place == "gpu") for place in ("gpu", "cpu")
        }
        for kind, allowed in (("unfiltered", None), ("filtered", ids[:: max(1, count // 2_000)])):
            answers = {place: search(segment, allowed).tolist() for place, segment in segments.items()}
            shared = [len(set(one) & set(two)) for one, two in zip(answers["gpu"], answers["cpu"], strict=True)]
            found[f"{name}, {kind}"] = {"agreement": float(np.mean(shared)) / NEAREST} | {
                f"{place}_ms": 1e3 * seconds(partial(search, segment, allowed)) / QUERIES
                for place, segment in segments.items()
            }
    return found


def check_encoders(paths: Sequence[Path], device: str) -> dict[str, Any]:
    """Encode and match with torch on the device and with ONNX Runtime on the CPU."""
    description = read_description(BASE_MODEL)
    encoder = ModelEncoder(BASE_MODEL, description, TorchParts(description, device))
    reference = load_encoder(device="cpu")
    pixels = np.stack([reference.prepare(open_image(path)) for path in paths[:64]])
    one, other = encoder.encode_images(pixels), reference.encode_images(pixels)
    texts = [each.query(each.encode_texts(SENTENCES)) for each in (encoder, reference)]
    scores = [
        np.stack([each.match_images(text.take([row]), images).scores for row in range(len(SENTENCES))])
        for each, text, images in ((encoder, texts[0], one), (reference, texts[1], other))
    ]
    many = np.concatenate([pixels] * (16 if device.startswith("cuda") else 1))
    return {
        "pictures": len(pixels),
        "lowest_cosine_of_vectors": float((one.vectors * other.vectors).sum(1).min()),
        "lowest_cosine_of_regions": float((one.regions * other.regions).sum(-1).min()),
        "lowest_cosine_of_sentences": float((texts[0].vectors * texts[1].vectors).sum(1).min()),
        "correlation_of_scores": float(np.corrcoef(scores[0].ravel(), scores[1].ravel())[0, 1]),
        "pictures_per_second": len(many) / seconds(lambda: encoder.encode_images(many), 3),
        "pictures_per_second_on_cpu": len(pixels) / seconds(lambda: reference.encode_images(pixels), 3),
    }


def check_training(paths: Sequence[Path], device: str) -> dict[str, Any]:
    """Train one epoch on the device, and on the CPU in float32, from the same start on the same data."""
    examples = tuple(
        Example(path, (f"a picture with number {number}", f"this is {path.stem}"), "train" if number % 4 else "val")
        for number, path in enumerate(paths[:64])
    )
    dataset = Dataset("pictures", examples)
    losses: dict[str, Any] = {}
    for name, where, precision in (("device", device, "auto"), ("cpu", "cpu", "float32")):
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            settings = TrainConfig(
                epochs=1, batch_size=16, image_cut=6, text_cut=8, views=1, device=where, precision=precision, keep=0.5
            )
            result = train(
                read_checkpoint(BASE_MODEL),
                [dataset.select("train")],
                [dataset.select("val")],
                Path(folder),
                config=settings,
                open_picture=open_picture,
            )
            curves = (Path(folder) / "curves.csv").read_text().splitlines()
            last = dict(zip(curves[0].split(","), curves[-1].split(","), strict=True))
            losses[name] = {
                "loss": float(last["loss"]),
                "best_epoch": result.best_epoch,
                "seconds": round(time.perf_counter() - began, 1),
            }
    return losses


def check_indexing(paths: Sequence[Path], device: str) -> dict[str, Any]:
    """Index pictures from files."""
    encoder = load_encoder(device=device)
    encoder.encode_images(np.zeros((1, encoder.input_size, encoder.input_size, 3), np.uint8))  # loads it
    with tempfile.TemporaryDirectory() as folder, Catalog.open(Path(folder), create=True) as catalog:
        began = time.perf_counter()
        report = index_paths(catalog, encoder, list(paths))
        taken = time.perf_counter() - began
    return {"device": encoder.device, "pictures": report.added, "pictures_per_second": report.added / taken}


def main() -> None:
    """Run all checks, print the results, and write them if `--out` is given."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pictures", type=Path, help="folder of at least 64 photographs")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--vectors", type=int, default=200_000)
    parser.add_argument("--count", type=int, default=2_000, help="pictures to index")
    options = parser.parse_args()
    paths = sorted(p for p in options.pictures.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)[: options.count]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    document: dict[str, Any] = {"machine": machine(), "device": device, "torch_cuda": torch.version.cuda}
    checks: dict[str, Callable[[], dict[str, Any]]] = {
        "faiss": lambda: check_faiss(options.vectors),
        "encoders": lambda: check_encoders(paths, device),
        "training": lambda: check_training(paths, device),
        "indexing": lambda: check_indexing(paths, "auto"),
    }
    for name, check in checks.items():
        try:
            document[name] = check()
        except Exception as exc:  # noqa: BLE001  the other checks run all the same
            document[name] = {"failed": f"{type(exc).__name__}: {exc}"}
        print(json.dumps({name: document[name]}, indent=1), flush=True)
        if options.out is not None:
            options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
