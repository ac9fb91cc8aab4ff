"""Word order and unanswerable queries: `python -m benchmarks.quality PATH/TO/flickr8k --split dev`.

Two figures on one split of a captioned dataset:

- **word order**: how often a caption scores higher than a copy with two nouns swapped;
- **no answer**: area under the ROC curve of the best hit's probability, captions of the split against queries for
  things that none of them mentions; and by thresholds, how many captions, single nouns that captions use, such
  queries, and words that say nothing have a hit above it, in percent.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks import report
from encoders import Encoder, Floats, ImageFeatures, TextFeatures, load_encoder
from encoders.datasets import Dataset, read_dataset
from search.evaluation.evaluate import encode_dataset

NOUNS = frozenset(
    """
    air area arm arms baby background ball balls bar baseball basketball bat beach bed bench bicycle bike biker bikes
    bird birds boat boats body boy boys bridge brick building buildings bus camera cap car cars cart cat chair child
    children city cliff climber clothes clothing coat couple court cow cowboy crowd cyclist dirt dock dog dogs door
    driver face family farm fence field fire floor flower flowers football forest fountain frisbee game girl girls
    glasses grass group guitar gun guy hair hand hands hat head helmet hill hills hockey hoop horse horses house
    ice jacket jeans jersey jump kayak kid kids lady lake leaf leash leaves log man men microphone motorbike motorcycle
    mountain mountains mouth mud music net ocean pants park path people person phone picture player players pole pond
    pool puddle puppy race racer racket railing ramp referee river road rock rocks room rope runner sand shirt shirts
    shoes shore shorts side sidewalk sign skate skateboard skateboarder skater ski skier sky sled slide snow
    snowboard snowboarder soccer stage stairs stick stone store stream street suit sunglasses sunset surfboard surfer
    sweater swimmer swing table team tennis tent toddler toy track trail train tree trees trick truck tunnel umbrella
    uniform van volleyball wall water wave waves wetsuit window woman women wood woods yard
    """.split()  # noqa: SIM905  easier to read than quoted words
)
"""Common nouns of everyday captions, chosen by hand."""
ABSENT = (
    *(
        "a violin",
        "a zebra",
        "a cup of espresso",
        "a lighthouse",
        "a circuit board",
        "a penguin",
        "an x-ray",
        "a whale",
    ),
    *(
        "a microscope",
        "a wedding cake",
        "the planet Saturn",
        "a spider web",
        "a chess board",
        "a submarine",
        "a cactus",
    ),
    *(
        "a hot air balloon",
        "a harp",
        "a steam locomotive",
        "a world map",
        "a crocodile",
        "a bowl of ramen",
        "a tractor",
    ),
    *("a galaxy", "an octopus", "a dinosaur skeleton", "a screwdriver", "a stethoscope", "a keyboard", "a grand piano"),
    *("a rhinoceros", "a castle at night", "a wind turbine", "a page of handwriting", "a jar of honey", "a scorpion"),
    *("a telescope", "an owl", "a volcano", "a typewriter", "a beehive", "a pineapple", "a wristwatch", "a syringe"),
    *("a jellyfish", "the eiffel tower", "a fighter jet", "an hourglass", "a lobster", "a calculator", "a padlock"),
    *(
        "a satellite",
        "a mushroom",
        "a broccoli",
        "a hamster",
        "a saxophone",
        "a cathedral",
        "a thermometer",
        "a peacock",
    ),
    *("an electron microscope image", "a barometer", "a kangaroo", "a washing machine", "a polar bear", "a toaster"),
)


SAYING_NOTHING = (
    *("the", "of", "because", "7", "why", "something", "with", "and", "from", "this", "very", "1984"),
    *("und", "ist", "nicht", "le", "una", "que", "的", "不", "و", "qwertz", "asdf", "xyzzy"),
)
"""Words that no picture shows, in several languages, and no words at all."""

THRESHOLDS = (0.03, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.5)
MENTIONS = 3
"""A noun counts as shown if at least so many captions of the split use it."""


@dataclass(frozen=True)
class Split:
    """An encoded split: N pictures, M captions, and the picture of each caption (M,)."""

    encoder: Encoder
    captions: tuple[str, ...]
    images: ImageFeatures
    texts: TextFeatures
    image_of: npt.NDArray[np.int64]


def encode_split(dataset: Dataset, encoder: Encoder) -> Split:
    """Encode a split."""
    images, texts = encode_dataset(dataset, encoder)
    captions = tuple(caption for example in dataset.examples for caption in example.captions)
    image_of = np.repeat(np.arange(len(dataset.examples)), [len(e.captions) for e in dataset.examples])
    return Split(encoder, captions, images, texts, image_of)


def swap_nouns(caption: str) -> str | None:
    """Swap the first two different nouns of a caption; None if it has fewer than two."""
    words = re.split(r"(\w+)", caption)
    nouns = [i for i, word in enumerate(words) if word.lower() in NOUNS]
    others = [i for i in nouns if words[i].lower() != words[nouns[0]].lower()] if nouns else []
    if not others:
        return None
    first, second = nouns[0], others[0]
    words[first], words[second] = words[second].lower(), words[first].lower()
    return "".join(words)


def word_order(split: Split) -> dict[str, float]:
    """Percentage of captions that score above their copy with two nouns swapped, for the reranker and the towers."""
    swaps = [(c, swap) for c, caption in enumerate(split.captions) if (swap := swap_nouns(caption)) is not None]
    reranked, towers = 0.0, 0.0
    for start in range(0, len(swaps), 256):
        batch = swaps[start : start + 256]
        swapped = split.encoder.encode_texts([swap for _, swap in batch])
        for row, (c, _) in enumerate(batch):
            image = split.images.take([int(split.image_of[c])])
            pair = TextFeatures(
                np.stack([split.texts.vectors[c], swapped.vectors[row]]), (split.texts.tokens[c], swapped.tokens[row])
            )
            reranked += preferred(split.encoder.match_captions(image, pair).scores)
            towers += preferred(pair.vectors @ image.vectors[0])
    count = len(swaps)
    return {"captions": count, "reranker": round(100 * reranked / count, 1), "towers": round(100 * towers / count, 1)}


def preferred(scores: Floats) -> float:
    """1 if the first score is higher than the second, 0.5 if they are equal, else 0."""
    return 0.5 if scores[0] == scores[1] else float(scores[0] > scores[1])


def for_sentence(split: Split, query: TextFeatures, depth: int) -> Floats:
    """Match probabilities (K,) of the top pictures for a sentence."""
    top = np.argsort(-(split.images.vectors @ query.vectors[0]), kind="stable")[:depth]
    return split.encoder.match_images(query, split.images.take(top)).probabilities


def roc_auc(answerable: Floats, unanswerable: Floats) -> float:
    """Probability that an answerable query scores above an unanswerable one; ties count half."""
    above = (answerable[:, None] > unanswerable[None]).mean()
    return float(above + (answerable[:, None] == unanswerable[None]).mean() / 2)


def absent_queries(captions: Sequence[str]) -> list[str]:
    """Select the queries of which no content word occurs in any caption."""
    vocabulary = {word for caption in captions for word in re.findall(r"\w+", caption.lower())}
    return [
        query
        for query in ABSENT
        if not vocabulary
        & {w for word in re.findall(r"\w{4,}", query.lower()) for w in (word, f"{word}s", word.rstrip("s"))}
    ]


def best_probabilities(split: Split, queries: Sequence[str], depth: int) -> Floats:
    """Highest match probability of each query (Q,)."""
    texts = split.encoder.query(split.encoder.encode_texts(queries))
    return np.array([for_sentence(split, texts.take([q]), depth).max() for q in range(len(queries))], np.float32)


def shown_nouns(captions: Sequence[str]) -> list[str]:
    """Select the nouns that several captions use."""
    counts = Counter(word for caption in captions for word in set(re.findall(r"\w+", caption.lower())))
    return sorted(noun for noun in NOUNS if counts[noun] >= MENTIONS)


def shares_above(probabilities: Mapping[str, Floats]) -> dict[str, dict[str, float]]:
    """The percentage of each group of queries whose best hit has at least a threshold; no group is empty."""
    return {
        f"{threshold:g}": {
            name: round(100 * float((best >= threshold).mean()), 1) for name, best in probabilities.items()
        }
        for threshold in THRESHOLDS
    }


def main() -> None:
    """Measure and print."""
    parser = report.parser(__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--model", type=Path, help="default: the base model")
    parser.add_argument("--depth", type=int, default=100)
    options = parser.parse_args()
    split = encode_split(read_dataset(options.dataset).select(options.split), load_encoder(options.model))
    queries = split.encoder.query(split.texts)
    best = np.array(
        [for_sentence(split, queries.take([c]), options.depth).max() for c in range(len(split.captions))], np.float32
    )
    absent, nouns = absent_queries(split.captions), shown_nouns(split.captions)
    groups = {
        "captions": best,
        "nouns": best_probabilities(split, nouns, options.depth),
        "unanswerable": best_probabilities(split, absent, options.depth),
        "saying nothing": best_probabilities(split, SAYING_NOTHING, options.depth),
    }
    if empty := [name for name, probabilities in groups.items() if not len(probabilities)]:
        raise SystemExit(f"{options.dataset} has no {' or '.join(empty)} to measure")
    figures = {
        "word_order": word_order(split),
        "no_answer": {
            "answerable": len(best),
            "nouns": len(nouns),
            "unanswerable": len(absent),
            "roc_auc": round(roc_auc(best, groups["unanswerable"]), 3),
            "roc_auc_nouns": round(roc_auc(groups["nouns"], groups["unanswerable"]), 3),
            "above": shares_above(groups),
        },
    }
    report.write(figures | {"on": report.provenance()}, options.out)


if __name__ == "__main__":
    main()
