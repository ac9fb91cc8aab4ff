"""As much English grammar as `foils.py` needs: plurals, verbs, compounds, and captions as words that can be changed."""

from __future__ import annotations

import re
from collections.abc import Mapping

from benchmarks.kinds import KINDS, PEOPLE, THINGS

HEAD_BEFORE = frozenset(
    """
    in on at by with and near next under over above through along across behind beside between from into onto off to of
    inside outside around against during while as up down out toward towards for before after among below is are has
    have was were that which who looking seen parked
    """.split()  # noqa: SIM905  easier to read than quoted words
)
"""Words before which a noun is the head of its phrase, not part of a compound such as `dog house`."""
COMPOUND_AFTER = frozenset({"crossing", "racing", "riding", "boarding", "training", "parking", "landing", "shaped"})
COMPOUND_BEFORE = frozenset(
    """
    toy teddy hot stuffed plastic cartoon rocking sea fire cable race police guide german dump tow stop no not without
    like tennis beach golf cricket basket rubber bouncy bowling rugby foot water air hair high hand sports picnic
    electric pot as than roller merry party pool carrot tomato apple banana living wii video garden flower motor ox
    """.split()  # noqa: SIM905  easier to read than quoted words
)
"""Words that make another thing of the noun after them, or deny it."""
WORD = re.compile(r"([A-Za-z]+(?:['-][A-Za-z]+)*)")


def plural(noun: str) -> str:
    """Return the plural of a noun."""
    irregular = {"child": "children", "person": "people", "calf": "calves", "ox": "oxen", "goose": "geese"}
    same = {"sheep", "deer", "moose", "elk", "bison", "aircraft", "reindeer", "luggage", "percussion"}
    if noun in irregular or noun in same:
        return irregular.get(noun, noun)
    if noun.endswith("man"):
        return f"{noun[:-2]}en"
    if re.search(r"(s|x|z|ch|sh)$|mato$", noun):
        return f"{noun}es"
    return f"{noun[:-1]}ies" if re.search(r"[^aeiou]y$", noun) else f"{noun}s"


def verb_of_many(verb: str) -> str:
    """Return the plural of a verb in the third person singular, such as `run` for `runs`."""
    if verb in (irregular := {"is": "are", "has": "have", "was": "were", "does": "do", "goes": "go"}):
        return irregular[verb]
    if re.search(r"[^aeiou]ies$", verb) and len(verb) > 4:
        return f"{verb[:-3]}y"
    return verb[:-2] if re.search(r"(ss|x|zz|ch|sh)es$", verb) else verb[:-1]


KIND_OF = {noun: kind for kind, groups in KINDS.items() for group in groups for noun in group}
NOUNS = frozenset(KIND_OF) | PEOPLE | THINGS
SINGULAR = {plural(noun): noun for noun in sorted(NOUNS)} | {noun: noun for noun in NOUNS}
"""The singular of every known noun, by its singular and plural."""


class Caption:
    """A caption and its words in lower case. A word with an apostrophe or a hyphen is one word."""

    def __init__(self, text: str) -> None:
        self._pieces = WORD.split(text)  # word i is piece 2i + 1; between words is what separates them
        self.words = [piece.lower() for piece in self._pieces[1::2]]

    def after(self, i: int) -> str:
        """The word after word i, or an empty string if there is none or more than a space between the two."""
        return self.words[i + 1] if i + 1 < len(self.words) and self._pieces[2 * i + 2] == " " else ""

    def before(self, i: int) -> str:
        """The word before word i, or an empty string if there is none or more than a space between the two."""
        return self.words[i - 1] if i > 0 and self._pieces[2 * i] == " " else ""

    def head(self, i: int) -> bool:
        """Whether word i, a noun, is the head of its phrase: no word makes a compound with it."""
        after, before = self.after(i), self.before(i)
        follows = not after or after in HEAD_BEFORE or bool(re.search(r"(ing|ed|[^s]s)$", after))
        return (
            follows
            and after not in COMPOUND_AFTER | SINGULAR.keys()
            and before not in COMPOUND_BEFORE | SINGULAR.keys()
        )

    def subject(self, i: int) -> bool:
        """Whether a phrase that begins with word i may be the subject of the verb after it."""
        return self.before(i) in {"", "while", "as", "where", "when"}

    def noun_of(self, i: int) -> int | None:
        """The noun that a determiner or number at word i belongs to, with at most two modifiers before it."""
        for j in range(i + 1, min(i + 4, len(self.words))):
            if self.before(j) != self.words[j - 1] or self.words[j] in HEAD_BEFORE:
                return None
            if self.words[j] in SINGULAR:
                return j
        return None

    def with_words(self, changes: Mapping[int, str]) -> str:
        """The text with some words changed; it keeps its capital, and `a` or `an` agrees with the word after it."""
        pieces = list(self._pieces)

        def put(i: int, word: str) -> None:
            pieces[2 * i + 1] = word.capitalize() if i == 0 and pieces[1][0].isupper() else word

        for i, word in changes.items():
            put(i, word)
            if self.before(i) in {"a", "an"} and i - 1 not in changes:
                put(i - 1, "an" if word[0] in "aeiou" else "a")
        return "".join(pieces)
