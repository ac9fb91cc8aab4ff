"""Words: those a model's training captions taught it, and the names its classifier knows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

HALF_FAMILIAR = 20
"""How often captions must say a word for it to be half familiar."""

FUNCTION_WORDS = frozenset(  # those of two letters are short enough to be left out anyway
    """
    about above across after against all along alongside also although among and another any are around away back
    because been before behind being below beneath beside between beyond both but can could did does down during each
    either for four from had has have her hers him his how into its itself just like many more most near next nor not
    off one onto other our out over own past several she some such than that the their them then there these they
    this those three through toward towards two under until upon very was were what when where which while who whose
    will with within without would you your
    """.split()  # noqa: SIM905  a list of words reads best as words
)


@dataclass(frozen=True)
class Lexicon:
    """Travels in the checkpoint's JSON.

    `counts` says how often training captions said each content word; `class_names` are the names of the classifier's
    classes in order. Both are empty for a model that keeps none.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()

    def familiarity(self, text: str) -> float:
        """How far to trust what captions taught about a sentence, in [0, 1]; 1 where there is nothing to say.

        A word said n times is strange by 20 / (20 + n), a sentence by the mean of its words. The third power lets a
        sentence with one strange word among many count as familiar still.
        """
        words = content_words(text)
        if not (self.counts and words):
            return 1.0
        strangeness = sum(self._strange(word) for word in words) / len(words)
        return 1.0 - strangeness**3

    def strangeness(self, term: str) -> float:
        """How little captions taught about a word or phrase, in [0, 1]: as about its strangest word.

        Numbers are strange, and so are words of other scripts; a model that keeps no words may know any by half.
        """
        if any(char.isdigit() for char in term):
            return 1.0
        words = content_words(term) or ([] if term.isascii() else [term])
        if not self.counts:
            return 0.5 if words else 0.0
        return max((self._strange(word) for word in words), default=0.0)

    def _strange(self, word: str) -> float:
        return HALF_FAMILIAR / (HALF_FAMILIAR + self.counts.get(word, 0))

    def taught(self, captions: Iterable[str]) -> Lexicon:
        """With what further captions teach; the same captions again teach nothing new."""
        found = Counter(word for caption in captions for word in content_words(caption))
        return replace(self, counts=dict(Counter(self.counts) | found))


def content_words(text: str) -> list[str]:
    """A sentence's words that carry meaning, in lower case."""
    return [w for w in re.findall(r"[^\W\d_]+", text.lower()) if len(w) > 2 and w not in FUNCTION_WORDS]
