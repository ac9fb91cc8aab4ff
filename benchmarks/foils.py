"""Foils: copies of a caption in which one thing is changed, so that they are false of its picture.

The *colour* of a noun becomes another one, a *count* another count, an *object* another thing of the same kind. Counts
are read as exact. A change is left out if it could be true of the picture: if a caption of it, or what else is known of
it, mentions the new colour, count or thing, a synonym, or a word that may stand for it.

Source: after Shekhar et al., "FOIL it!", https://arxiv.org/abs/1705.01359, and Parcalabescu et al., "VALSE",
https://arxiv.org/abs/2112.07566.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.grammar import COMPOUND_BEFORE, KIND_OF, SINGULAR, Caption, plural, verb_of_many
from benchmarks.kinds import AMBIGUOUS, COLOURFUL, COLOURS, FUR, GENERAL, KINDS, PEOPLE, SHADES
from encoders.datasets import Example

AT_MOST = 500
"""Number of foils of one kind."""
COUNTS = ("two", "three", "four", "five")
NUMBERS = {
    **dict.fromkeys(("couple", "pair", "both", "twin", "twins", "2", "double"), "two"),
    **dict.fromkeys(("trio", "triple", "3"), "three"),
    **dict.fromkeys(("quartet", "4"), "four"),
    **{
        number: number for number in (*COUNTS, "six", "seven", "eight", "nine", "ten", "dozen", "5", "6", "7", "8", "9")
    },
}
"""Words that state a number, and the number."""
VAGUE = frozenset(
    """
    another other others second several many some few multiple group crowd team lots bunch row herd flock pack various
    numerous couples family each all
    """.split()  # noqa: SIM905  easier to read than quoted words
)
"""Words of pictures whose things cannot be counted from the captions."""
PRONOUNS = frozenset({"his", "her", "hers", "its", "it", "he", "she", "him", "himself", "herself", "itself"})


def synonyms(noun: str) -> frozenset[str]:
    """Return the known words for what a noun may mean, itself included."""
    if noun in PEOPLE:
        return PEOPLE
    groups = (group for group in KINDS.get(KIND_OF.get(noun, ""), ()) if noun in group)
    return frozenset({noun}.union(*groups))


@dataclass(frozen=True)
class Foil:
    """A caption of the picture in row `example`, and its false copy."""

    kind: str
    example: int
    caption: str
    foil: str


class Picture:
    """The captions of a picture, and the words they and other facts about it mention, plurals also as singulars."""

    def __init__(self, captions: Sequence[str], facts: str = "") -> None:
        self.captions = [Caption(caption) for caption in captions]
        texts = [*captions, facts]
        words = {word for text in texts for word in (*re.findall(r"\w+", text.lower()), *Caption(text).words)}
        self.mentioned = words | {SINGULAR[word] for word in words & SINGULAR.keys()}
        self.mentioned |= {word.removesuffix("s") for word in words}
        self.numbers = {NUMBERS[word] for word in self.mentioned & NUMBERS.keys()}

    def shows_one(self, noun: str) -> bool:
        """Whether no caption mentions two of what a noun may mean."""
        alike = synonyms(noun) | GENERAL.get(KIND_OF.get(noun, ""), frozenset())
        for caption in self.captions:
            nouns = [word for word in caption.words if SINGULAR.get(word, word.removesuffix("s")) in alike]
            if len(nouns) > 1 or any(word not in alike for word in nouns):
                return False
        return True


def recolour(caption: Caption, picture: Picture) -> list[str]:
    """Copies in which a thing, an animal or a vehicle has another colour, one that the picture may not have."""
    if picture.mentioned & COLOURFUL:
        return []
    copies = []
    for i, colour in enumerate(caption.words):
        noun = SINGULAR.get(caption.after(i))
        shaded = caption.before(i) in {"dark", "light", "pale", "bright", "deep", "and", "or"}
        fruit = colour == "orange" and KIND_OF.get(noun or "") == "food"
        if colour in COLOURS and noun and noun not in PEOPLE and not (shaded or fruit):
            copies += [
                caption.with_words({i: new})
                for new in COLOURS[colour]
                if not picture.mentioned & ({new} | SHADES[new]) and (KIND_OF.get(noun) != "animal" or new in FUR)
            ]
    return copies


def recount(caption: Caption, picture: Picture) -> list[str]:
    """Copies with another number: of what is counted already, and of one person, animal or vehicle."""
    if picture.mentioned & VAGUE:
        return []
    copies = []
    for i, word in enumerate(caption.words):
        noun = caption.noun_of(i)
        if noun is None:
            continue
        if word in COUNTS and picture.numbers == {word} and SINGULAR[caption.words[noun]] != caption.words[noun]:
            copies += [caption.with_words({i: count}) for count in COUNTS if count != word]
        elif word in {"a", "an"} and not picture.numbers and caption.before(i) not in COMPOUND_BEFORE:
            copies += _multiplied(caption, picture, i, noun)
    return copies


def _multiplied(caption: Caption, picture: Picture, article: int, noun: int) -> list[str]:
    """Copies with two or three instead of `a`; none if more than the noun and the verb after it had to change."""
    name, verb, rest = caption.words[noun], caption.after(noun), caption.words[noun + 1 :]
    changes = {noun: plural(name)}
    if caption.subject(article) and verb.endswith("s") and not verb.endswith("ss"):
        changes[noun + 1] = verb_of_many(verb)
        rest = rest[1:]
    agrees = not PRONOUNS & set(rest) and all(
        not word.endswith("s") or word.endswith("ss") or SINGULAR.get(word, word) != word or word == "tennis"
        for word in rest
    )
    countable = name in PEOPLE or KIND_OF.get(name) in {"animal", "vehicle"}
    if not (countable and plural(name) != name and agrees and caption.head(noun) and picture.shows_one(name)):
        return []
    return [caption.with_words({article: count, **changes}) for count in COUNTS[:2]]


def rename(caption: Caption, picture: Picture) -> list[str]:
    """Copies with another thing of the same kind, one that the picture may not show."""
    copies = []
    for i, word in enumerate(caption.words):
        name = SINGULAR.get(word, "")
        kind = KIND_OF.get(name)
        if kind is None or name in AMBIGUOUS or not caption.head(i) or picture.mentioned & GENERAL[kind]:
            continue
        others = (group[0] for group in KINDS[kind] if name not in group and not picture.mentioned & set(group))
        copies += [caption.with_words({i: other if word == name else plural(other)}) for other in others]
    return copies


Maker = Callable[[Caption, Picture], list[str]]
MAKERS: dict[str, Maker] = {"colour": recolour, "count": recount, "object": rename}


def make_foils(examples: Sequence[Example], facts: Mapping[Path, str], seed: int) -> list[Foil]:
    """Make up to `AT_MOST` foils of each kind, at most one of a kind for each caption.

    Args:
        examples: pictures with their captions.
        facts: what else is known of a picture's content, by its path.
        seed: of the random choices among a caption's foils, and among captions.
    """
    choice = random.Random(seed)
    pictures = [Picture(example.captions, facts.get(example.image, "")) for example in examples]
    foils: list[Foil] = []
    for kind, make in MAKERS.items():
        candidates = [
            Foil(kind, row, text, choice.choice(copies))
            for row, picture in enumerate(pictures)
            for text, caption in zip(examples[row].captions, picture.captions, strict=True)
            if (copies := make(caption, picture))
        ]
        rows = sorted(choice.sample(range(len(candidates)), min(AT_MOST, len(candidates))))
        foils += [candidates[row] for row in rows]
    return foils
