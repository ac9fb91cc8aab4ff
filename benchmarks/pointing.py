"""Heat maps on composed pictures: `python -m benchmarks.pointing PATH/TO/everyday --split val`.

Two photographs that show different things are put side by side, both ways round (`composed.py`). A word for what one of
them shows is explained, alone (`dog`) and in a sentence that names both things (`a dog and a guitar`); of a name of
several words the heat maps are averaged. The hottest place must lie in the half that shows it: guessing gives 50 %.

`absent` says how well words for what one half shows are told from words for what neither shows: area under the ROC
curve, and medians, of the heat map's peak and concentration (0 is uniform, 1 a single region), and to compare, of the
cosine of the word with its nearest region and of the match probability. Shares are percentages. Prints JSON.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import report
from benchmarks.composed import Pair, compose, make_pairs, with_article
from benchmarks.everyday import SPLITS, read_photographs
from benchmarks.quality import roc_auc
from encoders import Encoder, Floats, ImageFeatures, TextFeatures, load_encoder
from indexer import open_image
from search.evaluation.evaluate import encode_texts

SEED = 0
BATCH = 32
SIZE = 320
"""Pixels of a drawn heat map, as of `Explanation.overlay`."""
FORMS = ("alone", "in_sentence")


@dataclass(frozen=True)
class Scene:
    """A pair as a picture: its features (one picture), the share of its left half, and the side of each photograph."""

    pair: Pair
    image: ImageFeatures
    boundary: float
    sides: tuple[str, str]


@dataclass(frozen=True)
class Place:
    """Whether one heat map is hottest in the correct half; form of the query, side and source of what it names."""

    form: str
    side: str
    source: str
    correct: bool


def scenes(pairs: Sequence[Pair], encoder: Encoder) -> Iterator[Scene]:
    """Compose and encode each pair both ways round."""
    for start in range(0, len(pairs), BATCH):
        batch, composed = pairs[start : start + BATCH], []
        for pair in batch:
            first, second = (open_image(photograph.file) for photograph in pair.photographs)
            composed += [compose(first, second), compose(second, first)]
        images = encoder.encode_images(np.stack([encoder.prepare(picture) for picture, _ in composed]))
        for row, (_, boundary) in enumerate(composed):
            sides = ("right", "left") if row % 2 else ("left", "right")
            yield Scene(batch[row // 2], images.take([row]), boundary, sides)


def hottest(heat: Floats) -> tuple[float, float]:
    """The hottest place (x, y) of a heat map (rows, columns) as it is drawn, both in [0, 1]."""
    drawn = np.asarray(Image.fromarray(heat).resize((SIZE, SIZE), Image.Resampling.BICUBIC))
    y, x = np.unravel_index(int(drawn.argmax()), drawn.shape)
    return (float(x) + 0.5) / SIZE, (float(y) + 0.5) / SIZE


def concentration(heat: Floats) -> float:
    """One minus the entropy of a heat map that sums to 1, relative to a uniform one: in [0, 1]."""
    cells = heat[heat > 0].astype(np.float64)
    return float(1 + (cells * np.log(cells)).sum() / np.log(heat.size))


def heat_maps(encoder: Encoder, scene: Scene) -> list[dict[str, Floats]]:
    """Heat maps of both names of a pair as `SearchEngine.explain` computes them, by form of the query.

    Shape:
        - each heat map: (rows, columns), sums to 1.
    """
    first, second = scene.pair.names
    alone = [encoder.attend(name, scene.image) for name in (first, second)]
    sentence = encoder.attend(scene.pair.sentence, scene.image)
    begin, count = int(with_article(first) != first), [len(attention.words) for attention in alone]
    within = sentence.weights[begin : begin + count[0]], sentence.weights[len(sentence.words) - count[1] :]
    return [
        {"alone": attention.weights.mean(axis=0), "in_sentence": weights.mean(axis=0)}
        for attention, weights in zip(alone, within, strict=True)
    ]


def signals(encoder: Encoder, heat: Floats, text: TextFeatures, image: ImageFeatures) -> dict[str, float]:
    """What may tell whether a picture shows what a word says; the higher, the likelier.

    Args:
        encoder: the model.
        heat: heat map of the word alone.
        text: the word, from `query`.
        image: the picture.
    """
    return {
        "peak": float(heat.max()),
        "concentration": concentration(heat),
        "cosine": float((text.tokens[0] @ image.regions[0].T).max(axis=1).mean()),
        "probability": float(encoder.match_images(text, image).probabilities[0]),
    }


def share(places: Iterable[Place]) -> dict[str, float]:
    """The number of heat maps, and the percentage that is hottest in the correct half."""
    correct = [place.correct for place in places]
    return {"words": len(correct), "correct": round(100 * sum(correct) / len(correct), 1)}


def shares(places: Sequence[Place]) -> dict[str, Any]:
    """Shares by form of the query, with the percentage on either side, and by source."""
    figures: dict[str, Any] = {}
    for form in FORMS:
        chosen = [place for place in places if place.form == form]
        sides = {side: share(p for p in chosen if p.side == side)["correct"] for side in ("left", "right")}
        sources = sorted({place.source for place in chosen})
        by_source = {source: share(p for p in chosen if p.source == source) for source in sources}
        figures[form] = {**share(chosen), **sides, "by_source": by_source}
    return figures


def told_apart(present: Sequence[Mapping[str, float]], absent: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """For each signal: area under the ROC curve, present against absent names, and both medians."""
    figures: dict[str, Any] = {"words_present": len(present), "words_absent": len(absent)}
    for signal in present[0]:
        high, low = (np.array([values[signal] for values in group], np.float32) for group in (present, absent))
        figures[signal] = {
            "roc_auc": round(roc_auc(high, low), 3),
            "median_present": round(float(np.median(high)), 4),
            "median_absent": round(float(np.median(low)), 4),
        }
    return figures


def measure(pairs: Sequence[Pair], encoder: Encoder) -> dict[str, Any]:
    """Point at both names of each pair in both its pictures, and compare them with the absent names."""
    names = sorted({name for pair in pairs for name in (*pair.names, *pair.absent)})
    queries = encoder.query(encode_texts(names, encoder))
    texts = {name: queries.take([row]) for row, name in enumerate(names)}
    places: list[Place] = []
    present: list[dict[str, float]] = []
    absent: list[dict[str, float]] = []
    for scene in scenes(pairs, encoder):
        for i, heats in enumerate(heat_maps(encoder, scene)):
            source = scene.pair.photographs[i].source
            for form, heat in heats.items():
                correct = (hottest(heat)[0] < scene.boundary) == (scene.sides[i] == "left")
                places.append(Place(form, scene.sides[i], source, correct))
            present.append(signals(encoder, heats["alone"], texts[scene.pair.names[i]], scene.image))
        for name in scene.pair.absent:
            heat = encoder.attend(name, scene.image).weights.mean(axis=0)
            absent.append(signals(encoder, heat, texts[name], scene.image))
    return {"pictures": 2 * len(pairs), **shares(places), "absent": told_apart(present, absent)}


def main() -> None:
    """Measure and print."""
    parser = report.parser(__doc__)
    parser.add_argument("everyday", type=Path)
    parser.add_argument("--split", default="val", choices=SPLITS)
    parser.add_argument("--count", type=int, default=200, help="number of pairs at most; each is two pictures")
    parser.add_argument("--model", type=Path, help="default: the base model")
    options = parser.parse_args()
    pairs = make_pairs(read_photographs(options.everyday, options.split), options.count, SEED)
    report.write(measure(pairs, load_encoder(options.model)) | {"on": report.provenance(SEED)}, options.out)


if __name__ == "__main__":
    main()
