"""Pictures composed of two photographs that show different things, for `pointing.py`."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from PIL import Image

from benchmarks.everyday import Photograph
from benchmarks.foils import Picture, synonyms
from benchmarks.grammar import SINGULAR

NAMES = {
    "faces": "face",
    "faces easy": "face",
    "airplanes": "airplane",
    "motorbikes": "motorcycle",
    "leopards": "leopard",
    "cougar body": "cougar",
    "crocodile head": "crocodile",
    "frontal": "house",
    "shine": "sun",
    "cloudy": "clouds",
    "sports ball": "ball",
    "dining table": "table",
    "potted plant": "plant",
}
"""What people type, for names that say it otherwise."""
STYLES = ("art painting ", "cartoon ", "sketch ")
"""Beginnings of class names that say how a thing is depicted."""
UNNAMED = frozenset({"textures"})
"""Sources whose classes are adjectives."""
UNCOUNTABLE = frozenset(
    """
    badminton baseball boxing chess cricket fencing football formula1 gymnastics hockey kabaddi motogp shooting swimming
    tennis volleyball wrestling wwe basketball rain sunrise cardboard glass metal paper plastic trash wine broccoli milk
    cream juice
    """.split()  # noqa: SIM905  easier to read than quoted words
)
"""Last words of names that stand without an article."""
LISTED = "coco"
"""The source that lists a photograph's objects."""


@dataclass(frozen=True)
class Shown:
    """A photograph, names of what it certainly shows, and all words for what it may show."""

    photograph: Photograph
    names: tuple[str, ...]
    mentioned: frozenset[str]

    @classmethod
    def by(cls, photograph: Photograph) -> Shown:
        """Read what a photograph shows; of COCO's objects, which have some noise, those that its captions mention."""
        texts = (*photograph.captions, photograph.query)
        names = sorted({common_name(name) for name in photograph.names})
        if photograph.source == LISTED:
            described = Picture(texts).mentioned
            names = [name for name in names if alike(name) & described]
        elif photograph.source in UNNAMED:
            names = []
        mentioned = Picture(texts, " ".join((*photograph.names, *names))).mentioned
        return cls(photograph, tuple(names), frozenset(mentioned))

    def only(self, other: Shown) -> list[str]:
        """The names that cannot be of anything in another photograph."""
        return [name for name in self.names if not alike(name) & other.mentioned]


@dataclass(frozen=True)
class Pair:
    """Two photographs, a name for each that does not fit the other, and two names that fit neither."""

    photographs: tuple[Photograph, Photograph]
    names: tuple[str, str]
    absent: tuple[str, str]

    @property
    def sentence(self) -> str:
        """A sentence that names both things."""
        return " and ".join(map(with_article, self.names))


def common_name(name: str) -> str:
    """Return what people call a class."""
    style = next((style for style in STYLES if name.startswith(style)), "")
    return NAMES.get(name, name.removeprefix(style))


def last_word(name: str) -> str:
    """Return the noun of a name."""
    return name.rsplit(" ", maxsplit=1)[-1]


@cache
def alike(name: str) -> frozenset[str]:
    """Return the words for what a name may mean, by its last word."""
    word = last_word(name)
    return synonyms(SINGULAR.get(word, word.removesuffix("s"))) | {word}


def with_article(name: str) -> str:
    """Return a name after `a` or `an`; plurals and what cannot be counted have neither."""
    if last_word(name) in UNCOUNTABLE or (name.endswith("s") and not name.endswith(("ss", "us"))):
        return name
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def make_pairs(photographs: Iterable[Photograph], count: int, seed: int) -> list[Pair]:
    """Pair photographs at random, those with listed objects only with each other; each begins at most one pair."""
    choice = random.Random(seed)
    shown = [one for one in map(Shown.by, photographs) if one.names]
    choice.shuffle(shown)
    pairs: list[Pair] = []
    for first in shown:
        group = [other for other in shown if (other.photograph.source == LISTED) == (first.photograph.source == LISTED)]
        second = choice.choice(group)
        mine, theirs = first.only(second), second.only(first)
        absent = [name for other in group for name in other.only(first) if name in other.only(second)]
        if mine and theirs and len(absent) > 1 and len(pairs) < count:
            one, another = choice.sample(absent, 2)
            names = choice.choice(mine), choice.choice(theirs)
            pairs.append(Pair((first.photograph, second.photograph), names, (one, another)))
    return pairs


def compose(left: Image.Image, right: Image.Image) -> tuple[Image.Image, float]:
    """Put two pictures side by side at the same height; also return the share of the width that the left one has."""
    height = max(left.height, right.height)
    halves = [half.resize((round(half.width * height / half.height), height)) for half in (left, right)]
    picture = Image.new("RGB", (halves[0].width + halves[1].width, height))
    picture.paste(halves[0], (0, 0))
    picture.paste(halves[1], (halves[0].width, 0))
    return picture, halves[0].width / picture.width
