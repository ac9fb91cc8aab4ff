"""The words of a model's training captions, with their counts, and the names of its classifier's classes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

HALF_FAMILIAR = 20
"""Occurrences in training captions that make a word half familiar."""

_UNSPACED = re.compile("([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff])")
"""A letter of a script that puts no spaces between words: Thai, Lao, Burmese, Khmer, Japanese kana, Chinese."""

FUNCTION_WORDS = frozenset(  # words of one or two letters are left out anyway
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
    """Word counts and class names of a model; stored in `model.json`.

    `counts` are the occurrences of each content word in the training captions; `class_names` are the names of the
    classifier's classes, in order. Either may be empty.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()

    def familiarity(self, text: str) -> float:
        """Rate how well training captions cover a sentence, in [0, 1]; 1 without counts or content words.

        A word with n occurrences has strangeness 20 / (20 + n), a sentence the mean of its words. The third power keeps
        a sentence with one unfamiliar word among many familiar.
        """
        words = content_words(text)
        if not (self.counts and words):
            return 1.0
        strangeness = sum(self._word_strangeness(word) for word in words) / len(words)
        return 1.0 - strangeness**3

    def strangeness(self, term: str) -> float:
        """Rate how unfamiliar a word or phrase is, in [0, 1]: the rating of its least familiar word.

        Terms with digits rate 1, and so does text in other scripts that no caption contains. Without counts, all
        content words rate 0.5.
        """
        if any(char.isdigit() for char in term):
            return 1.0
        words = content_words(term) or ([] if term.isascii() else [term])
        if not self.counts:
            return 0.5 if words else 0.0
        return max((self._word_strangeness(word) for word in words), default=0.0)

    def _word_strangeness(self, word: str) -> float:
        return HALF_FAMILIAR / (HALF_FAMILIAR + self.counts.get(word, 0))

    def with_captions(self, captions: Iterable[str]) -> Lexicon:
        """Add further captions: each word gets the larger of its two counts, so that no caption counts twice."""
        counts = Counter(word for caption in captions for word in content_words(caption))
        return replace(self, counts=dict(Counter(self.counts) | counts))


def content_words(text: str) -> list[str]:
    """Return the content words of a text, in lower case; of scripts without spaces, every character."""
    runs = re.findall(r"[^\W\d_]+", text.lower())
    words = [part for run in runs for part in _UNSPACED.split(run)]
    return [w for w in words if (len(w) > 2 and w not in FUNCTION_WORDS) or _UNSPACED.fullmatch(w)]
