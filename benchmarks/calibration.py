"""Whether a match probability is one: `python -m benchmarks.calibration PATH/TO/flickr8k PATH/TO/everyday.jsonl`.

Of each dataset's validation split, captions and labels are searched, and the probabilities of the hits compared with
judgements of the kind that the probability is fitted to (`encoders/training/data/judgement.py`). For captions, labels,
and by the number of the training split's captions that use the query's rarest word:

- **error**: the expected calibration error of all judged pairs;
- **above_half**: the hits above 50 %, and the share of them in percent that the query describes; also by source, as
  `everyday` spells it in its files' names.

Prints JSON; `--plot` draws a reliability diagram for each dataset.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks import report
from encoders import Encoder, Floats, load_encoder
from encoders.checkpoint.lexicon import content_words
from encoders.checkpoint.tokenizer import Tokenizer
from encoders.datasets import Dataset, read_dataset
from encoders.training.data.judgement import DESCRIBED, NOT_DESCRIBED, LabelQueries, coverage
from encoders.training.data.labels import Flags, Rows
from search.evaluation.evaluate import encode_dataset

BINS = 15
FAMILIARITY = {"unseen": 1, "rare": 20, "common": None}
"""Groups of queries: their rarest word is used by fewer training captions than this."""


@dataclass(frozen=True)
class Pairs:
    """Judged hits: probability, whether the query describes the picture, and rows of query and picture; all (P,)."""

    probabilities: Floats
    described: Flags
    queries: Rows
    pictures: Rows

    def where(self, chosen: Flags) -> Pairs:
        """Select some of the pairs."""
        return Pairs(*(array[chosen] for array in vars(self).values()))


def reliability(probabilities: Floats, described: Flags) -> tuple[float, list[tuple[float, float, int]]]:
    """Expected calibration error, and for each bin the mean probability, the share described, and the number of pairs.

    Source: Guo et al., "On Calibration of Modern Neural Networks", https://arxiv.org/abs/1706.04599.
    """
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    rows = [
        (float(probabilities[bins == b].mean()), float(described[bins == b].mean()), int((bins == b).sum()))
        for b in range(BINS)
        if (bins == b).any()
    ]
    return sum(abs(predicted - actual) * n for predicted, actual, n in rows) / max(len(probabilities), 1), rows


def search(dataset: Dataset, encoder: Encoder, depth: int) -> tuple[list[str], Pairs]:
    """Search for every caption and label, and judge the hits; returns the queries and the judged pairs."""
    images, texts = encode_dataset(dataset, encoder)
    captions = [caption for example in dataset.examples for caption in example.captions]
    image_of = np.repeat(np.arange(len(dataset.examples)), [len(e.captions) for e in dataset.examples])
    tokenizer = Tokenizer.fit(captions, min_count=1)
    tokens = tokenizer(captions)
    labels = LabelQueries.of(dataset.examples, tokenizer)
    names = [] if labels is None else list(labels.names)
    parts: list[Pairs] = []

    def add(query: int, probabilities: Floats, pictures: Rows, described: Flags, judged: Flags) -> None:
        parts.append(Pairs(probabilities, described, np.full(len(pictures), query), pictures).where(judged))

    queries = encoder.query(texts)
    for row in range(len(captions)):
        top = np.argsort(-(images.vectors @ queries.vectors[row]), kind="stable")[:depth]
        said = coverage(tokens, image_of, np.full((1, len(top)), row), top[None])[0]
        described = (top == image_of[row]) | (said >= DESCRIBED)
        matches = encoder.match_images(queries.take([row]), images.take(top))
        add(row, matches.probabilities, top, described, described | (said < NOT_DESCRIBED))
    if labels is not None:
        words = encoder.query(encoder.encode_texts(names))
        for row in range(len(names)):
            top = np.argsort(-(images.vectors @ words.vectors[row]), kind="stable")[:depth]
            matches = encoder.match_images(words.take([row]), images.take(top))
            add(len(captions) + row, matches.probabilities, top, labels.shown[row, top], labels.judged[row, top])
    joined = Pairs(*(np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])))
    return captions + names, joined


def figures_of(pairs: Pairs) -> dict[str, Any]:
    """The error of some pairs, and how often the query describes a hit above 50 %."""
    above = pairs.described[pairs.probabilities > 0.5]
    return {
        "pairs": len(pairs.described),
        "described": int(pairs.described.sum()),
        "error": round(reliability(pairs.probabilities, pairs.described)[0], 4),
        "above_half": {"hits": len(above), "right": round(100 * float(above.mean()), 1) if len(above) else None},
    }


def measure(dataset: Dataset, training: Dataset, encoder: Encoder, depth: int) -> tuple[dict[str, Any], Pairs]:
    """Measure one dataset; the training split says how often words occur in captions."""
    queries, pairs = search(dataset, encoder, depth)
    sentences = sum(len(example.captions) for example in dataset.examples)
    counts = Counter(w for e in training.examples for caption in e.captions for w in set(content_words(caption)))
    rarest = np.array([min((counts[word] for word in content_words(query)), default=0) for query in queries])
    of_label = pairs.queries >= sentences
    figures: dict[str, Any] = {
        "captions": figures_of(pairs.where(~of_label)),
        "labels": figures_of(pairs.where(of_label)),
        "familiarity": {},
        "sources": {},
    }
    lowest = 0
    for group, limit in FAMILIARITY.items():
        inside = (rarest >= lowest) & (rarest < (limit or np.inf))
        figures["familiarity"][group] = figures_of(pairs.where(inside[pairs.queries]))
        lowest = limit or lowest
    sources = np.array([e.image.name.split("__")[0] if "__" in e.image.name else "" for e in dataset.examples])
    for source in sorted(set(sources) - {""}):
        figures["sources"][source] = figures_of(pairs.where(sources[pairs.pictures] == source))["above_half"]
    return figures, pairs


def draw(rows: dict[str, Sequence[tuple[float, float, int]]], path: Path) -> None:
    """Draw reliability diagrams side by side; a perfectly calibrated model is on the diagonal."""
    figure = Figure(figsize=(5 * len(rows), 5), layout="constrained")
    for axes, (name, bins) in zip(figure.subplots(1, len(rows), squeeze=False)[0], rows.items(), strict=True):
        axes.plot([0, 1], [0, 1], "--", color="tab:gray")
        axes.plot([predicted for predicted, _, _ in bins], [actual for _, actual, _ in bins], marker="o")
        for predicted, actual, count in bins:
            axes.annotate(f"{count:,}", (predicted, actual), textcoords="offset points", xytext=(6, -10), fontsize=7)
        axes.set(xlabel="match probability", ylabel="share described", title=f"{name}, with pairs in each bin")
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure and print."""
    parser = report.parser(__doc__)
    parser.add_argument("datasets", type=Path, nargs="+")
    parser.add_argument("--split", default="dev")
    parser.add_argument("--model", type=Path, help="default: the base model")
    parser.add_argument("--depth", type=int, default=100)
    parser.add_argument("--plot", type=Path, help="image file for the reliability diagrams")
    options = parser.parse_args()
    encoder = load_encoder(options.model)
    figures: dict[str, Any] = {}
    rows: dict[str, Sequence[tuple[float, float, int]]] = {}
    for path in options.datasets:
        dataset = read_dataset(path)
        figures[dataset.name], pairs = measure(
            dataset.select(options.split), dataset.select("train"), encoder, options.depth
        )
        rows[dataset.name] = reliability(pairs.probabilities, pairs.described)[1]
    if options.plot:
        draw(rows, options.plot)
    report.write(figures | {"on": report.provenance()}, options.out)


if __name__ == "__main__":
    main()
