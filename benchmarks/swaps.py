"""True captions against foils: `python -m benchmarks.swaps DATASET --split dev`.

DATASET is a captioned dataset, or the folder of `everyday`, whose objects, classes and queries are used as well.
`foils.py` changes one colour, count or object of a caption, in at most 500 captions for each kind. The figures say in
how many percent of these pairs the true caption scores higher for its picture: by the full score that reranks captions,
and by the towers' cosine alone. Ties count half, so guessing gives 50. `other_picture` is the same for a picture that
neither was written for: what the words alone give away. Prints JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import report
from benchmarks.everyday import read_photographs
from benchmarks.foils import MAKERS, Foil, make_foils
from benchmarks.quality import preferred
from encoders import Encoder, ImageFeatures, TextFeatures, load_encoder
from encoders.datasets import Dataset, Example, read_dataset
from search.evaluation.evaluate import encode_dataset

SEED = 0


def read(path: Path, split: str) -> tuple[Dataset, dict[Path, str]]:
    """Read a split, and what is known of its pictures beside captions."""
    table = path / "everyday.jsonl"
    if not table.is_file():
        return read_dataset(path).select(split), {}
    facts = {shown.file: " ".join((shown.query, *shown.names)) for shown in read_photographs(path)}
    return read_dataset(table).select(split), facts


def with_pairs(examples: Sequence[Example], foils: Sequence[Foil]) -> Dataset:
    """The pictures of foils; their captions are pairs of a true caption and its foil, in the order of the foils.

    Args:
        examples: all pictures.
        foils: ordered by their example.
    """
    pictures = []
    for row, pairs in groupby(foils, key=lambda foil: foil.example):
        captions = tuple(text for pair in pairs for text in (pair.caption, pair.foil))
        pictures.append(replace(examples[row], captions=captions))
    return Dataset("pairs", tuple(pictures))


def wins(encoder: Encoder, image: ImageFeatures, pair: TextFeatures) -> tuple[float, float]:
    """1 if the first of two captions scores higher, 0.5 if they tie, else 0: by the reranker and by the towers."""
    return preferred(encoder.match_captions(image, pair).scores), preferred(pair.vectors @ image.vectors[0])


def measure(examples: Sequence[Example], foils: Sequence[Foil], encoder: Encoder) -> dict[str, Any]:
    """For each kind and for all: the number of pairs, and the percentages of true captions that score higher."""
    ordered = sorted(foils, key=lambda foil: foil.example)
    dataset = with_pairs(examples, ordered)
    images, texts = encode_dataset(dataset, encoder)
    count = len(dataset.examples)
    image_of = np.repeat(np.arange(count), [len(example.captions) // 2 for example in dataset.examples])
    own, other = np.zeros((2, len(ordered), 2))
    for i, row in enumerate(image_of.tolist()):
        pair = texts.take([2 * i, 2 * i + 1])
        own[i] = wins(encoder, images.take([row]), pair)
        other[i] = wins(encoder, images.take([(row + count // 2) % count]), pair)
    kinds = np.array([foil.kind for foil in ordered])
    rows_of = {kind: np.flatnonzero(kinds == kind) for kind in MAKERS} | {"all": np.arange(len(ordered))}
    return {
        kind: {"pairs": len(rows), **_percentages(own[rows]), "other_picture": _percentages(other[rows])}
        for kind, rows in rows_of.items()
        if len(rows)
    }


def _percentages(preferences: npt.NDArray[np.float64]) -> dict[str, float]:
    reranker, towers = (round(100 * float(share), 1) for share in preferences.mean(axis=0))
    return {"reranker": reranker, "towers": towers}


def main() -> None:
    """Measure and print."""
    parser = report.parser(__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--model", type=Path, help="default: the base model")
    options = parser.parse_args()
    dataset, facts = read(options.dataset, options.split)
    foils = make_foils(dataset.examples, facts, SEED)
    figures = {"dataset": dataset.name, "pictures": len({foil.example for foil in foils})}
    figures |= measure(dataset.examples, foils, load_encoder(options.model))
    report.write(figures | {"on": report.provenance(SEED)}, options.out)


if __name__ == "__main__":
    main()
