"""Single words as queries: for each label the training pictures that show it, several of them at a time.

People type names ("mouse", "hot dog") at least as often as sentences. A label is a name from the dataset, such as an
object or a class, or a content word of a picture's captions. Each is contrasted with the pictures of the batch, and
every one that shows it is right.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..checkpoint.lexicon import content_words
from ..checkpoint.tokenizer import Tokenizer, Tokens
from ..datasets import Example

LEAST_PICTURES = 8
"""Pictures whose captions must use a word before it becomes a label."""
LARGEST_SHARE = 0.25
"""A word in the captions of more than this share of all pictures tells too little to be a label."""

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LabelBatch:
    """Some labels, which pictures of a batch show them, and one of these pictures for each, chosen at random.

    Shape:
        - ids, mask, attended: (K, T); shown: (K, B), bool, each row with at least one picture; chosen: (K,), rows.
    """

    ids: Tensor
    mask: Tensor
    attended: Tensor
    shown: Tensor
    chosen: Tensor


@dataclass(frozen=True)
class Labels:
    """The labels of a training set.

    `names` and `words` have each picture's labels as rows of `tokens`, in ascending order: those that the dataset
    gives, and those from captions.
    """

    tokens: Tokens
    names: tuple[Rows, ...]
    words: tuple[Rows, ...]

    @classmethod
    def of(cls, examples: Sequence[Example], tokenizer: Tokenizer) -> Labels:
        """Collect the labels of a training set.

        A name that the dataset gives to any picture is also a name of those whose captions use it, and a plural counts
        as its singular, so that a batch seldom takes a picture for wrong because its labels are incomplete.
        """
        found_in = [phrases(example.captions) for example in examples]
        counts = Counter(chain.from_iterable(content_words(" ".join(_single_words(found))) for found in found_in))
        most = max(LEAST_PICTURES, LARGEST_SHARE * len(examples))
        common = {word for word, count in counts.items() if LEAST_PICTURES <= count <= most}
        given = [frozenset(label.lower() for label in example.labels) for example in examples]
        known = frozenset().union(*given)
        every = sorted(common | known)
        row_of = {label: row for row, label in enumerate(every)}

        def rows(labels: Iterable[str]) -> Rows:
            return np.array(sorted(row_of[label] for label in labels), np.int64)

        names = tuple(rows(own | (known & found)) for own, found in zip(given, found_in, strict=True))
        return cls(tokenizer(every), names, tuple(rows(common & found) for found in found_in))

    def sample(self, pictures: Rows, rng: np.random.Generator) -> LabelBatch | None:
        """Draw labels for a batch: of each picture one name and one word, if it has any; None if no picture has.

        Args:
            pictures: the batch's rows in the training set (B,).
            rng: random numbers for the choice.
        """
        drawn = [
            rng.choice(kind[picture]) for picture in pictures for kind in (self.names, self.words) if len(kind[picture])
        ]
        if not drawn:
            return None
        labels = np.unique(drawn)
        own = [np.concatenate([self.names[picture], self.words[picture]]) for picture in pictures]
        shown = np.stack([np.isin(labels, rows) for rows in own], axis=1)
        chosen = np.array([rng.choice(np.flatnonzero(row)) for row in shown])
        tokens = self.tokens.take(labels)
        ids, mask, attended = map(torch.from_numpy, (tokens.ids, tokens.mask, tokens.attended))
        return LabelBatch(ids, mask, attended, torch.from_numpy(shown), torch.from_numpy(chosen))


def phrases(captions: Sequence[str]) -> frozenset[str]:
    """Return the words of captions, and all phrases of two or three, in lower case; each also without a last `s`."""
    found: set[str] = set()
    for caption in captions:
        words = re.findall(r"[^\W\d_]+", caption.lower())
        for length in (1, 2, 3):
            found.update(" ".join(words[i : i + length]) for i in range(len(words) - length + 1))
    return frozenset(found | {phrase[:-1] for phrase in found if phrase.endswith("s")})


def _single_words(phrases: Iterable[str]) -> list[str]:
    return [phrase for phrase in phrases if " " not in phrase]
