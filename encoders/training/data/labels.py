"""Single words as queries: for each label the training pictures that show it, several of them at a time.

People type names ("mouse", "hot dog") at least as often as sentences. A label is a name from the dataset, such as an
object or a class, or a common content word of its captions. Each is contrasted with the pictures of the batch, and
every one that shows it is right. Pictures of which nobody knows are left out: who names the objects in a picture leaves
out its style, and an English caption has no German words.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...checkpoint.lexicon import content_words
from ...checkpoint.tokenizer import AnyTokenizer, Tokens
from ...datasets import Dataset, Example

LEAST_PICTURES = 8
"""Pictures of a dataset whose captions must use a word before it becomes a label."""
LARGEST_SHARE = 0.25
"""A word in the captions of more than this share of a dataset's pictures tells too little to be a label."""

Rows = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class GivenLabels:
    """The labels that datasets give to N pictures, in lower case and alphabetical order.

    `shown` has the rows of each picture's labels, in ascending order; also those that its captions use. `judged` is for
    each label the row of the mask of pictures that were judged by a list it is in.

    Shape:
        - judged: (L,); masks: (G, N).
    """

    names: tuple[str, ...]
    shown: tuple[Rows, ...]
    judged: Rows
    masks: Flags

    @classmethod
    def of(cls, examples: Sequence[Example]) -> GivenLabels:
        """Collect the labels of some pictures. Whoever used a list for a picture used all of it."""
        own = [frozenset(label.name.lower() for label in example.labels) for example in examples]
        kinds: dict[str, set[str]] = defaultdict(set)
        pictures: dict[str, Flags] = defaultdict(lambda: np.zeros(len(examples), np.bool_))
        for picture, example in enumerate(examples):
            for label in example.labels:
                kinds[label.name.lower()].add(label.kind)
                pictures[label.kind][picture] = True
        names = tuple(sorted(kinds))
        row_of = {name: row for row, name in enumerate(names)}
        phrase_of = {" ".join(_words(name)): name for name in names}
        longest = max((phrase.count(" ") + 1 for phrase in phrase_of), default=0)
        said = ({phrase_of[p] for p in phrases(e.captions, phrase_of, longest)} for e in examples)
        shown = tuple(_sorted_rows(row_of[name] for name in o | s) for o, s in zip(own, said, strict=True))
        groups = {group: row for row, group in enumerate(dict.fromkeys(frozenset(kinds[name]) for name in names))}
        masks = [np.any([pictures[kind] for kind in group], axis=0) for group in groups]
        judged = np.array([groups[frozenset(kinds[name])] for name in names], np.int64)
        return cls(names, shown, judged, np.array(masks, np.bool_).reshape(-1, len(examples)))


@dataclass(frozen=True)
class LabelBatch:
    """Some labels, which pictures of a batch show them, and one of these pictures for each, chosen at random.

    Shape:
        - ids, mask, attended: (K, T); shown, known: (K, B), bool, each row with at least one picture that shows its
          label; a picture that is not known neither shows it nor lacks it; chosen: (K,), rows of pictures.
    """

    ids: Tensor
    mask: Tensor
    attended: Tensor
    shown: Tensor
    known: Tensor
    chosen: Tensor


@dataclass(frozen=True)
class Labels:
    """The labels of a training set of N pictures.

    `names` and `words` have each picture's labels as rows of `tokens`: those that datasets give, and those from
    captions. `judged` is for each label the row of the mask of pictures of which it is known.

    Shape:
        - tokens: of L labels; judged: (L,); masks: (G, N).
    """

    tokens: Tokens
    names: tuple[Rows, ...]
    words: tuple[Rows, ...]
    judged: Rows
    masks: Flags

    @classmethod
    def of(cls, examples: Sequence[Example], parts: Sequence[tuple[Dataset, Rows]], tokenizer: AnyTokenizer) -> Labels:
        """Collect the labels of a training set.

        Args:
            examples: its pictures, with the captions and labels of all datasets.
            parts: the datasets that it was made of, and the row of each of their pictures.
            tokenizer: the model's.
        """
        given = GivenLabels.of(examples)
        homes: dict[str, list[int]] = defaultdict(list)
        for number, (dataset, _) in enumerate(parts):
            for word in sorted(_common_words(dataset).difference(given.names)):
                homes[word].append(number)
        words = sorted(homes)
        row_of = {word: len(given.names) + row for row, word in enumerate(words)}
        used = tuple(_sorted_rows(row_of[word] for word in phrases(e.captions, row_of, 1)) for e in examples)
        groups = {group: row for row, group in enumerate(dict.fromkeys(tuple(homes[word]) for word in words))}
        masks = np.zeros((len(groups), len(examples)), np.bool_)
        for group, row in groups.items():
            for number in group:
                masks[row, parts[number][1]] = True
        judged = np.array([len(given.masks) + groups[tuple(homes[word])] for word in words], np.int64)
        return cls(
            tokenizer([*given.names, *words]),
            given.shown,
            used,
            np.concatenate([given.judged, judged]),
            np.concatenate([given.masks, masks]),
        )

    def sample(self, pictures: Rows, rng: np.random.Generator) -> LabelBatch | None:
        """Draw labels for a batch: of each picture one name and one word, if it has any; None if no picture has.

        Args:
            pictures: the batch's rows in the training set (B,).
            rng: random numbers for the choice.
        """
        kinds = (self.names, self.words)
        drawn = [rng.choice(kind[picture]) for picture in pictures for kind in kinds if len(kind[picture])]
        if not drawn:
            return None
        labels = np.unique(drawn)
        own = [np.concatenate([kind[picture] for kind in kinds]) for picture in pictures]
        shown = np.stack([np.isin(labels, rows) for rows in own], axis=1)
        known = shown | self.masks[self.judged[labels]][:, pictures]
        chosen = np.array([rng.choice(np.flatnonzero(row)) for row in shown])
        tokens = self.tokens.take(labels)
        arrays = (tokens.ids, tokens.mask, tokens.attended, shown, known, chosen)
        return LabelBatch(*map(torch.from_numpy, arrays))


def phrases(captions: Sequence[str], wanted: Container[str], longest: int) -> set[str]:
    """Find the wanted phrases of at most `longest` words in captions, in lower case; a last `s` may be too much."""
    found: set[str] = set()
    for caption in captions:
        words = _words(caption)
        for length in range(1, longest + 1):
            for start in range(len(words) - length + 1):
                phrase = " ".join(words[start : start + length])
                found.update(form for form in (phrase, phrase.removesuffix("s")) if form in wanted)
    return found


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text.lower())


def _common_words(dataset: Dataset) -> set[str]:
    """The content words in the captions of enough, but not of most pictures of a dataset."""
    counts = Counter(word for e in dataset.examples for word in set(content_words(" ".join(e.captions))))
    most = max(LEAST_PICTURES, LARGEST_SHARE * len(dataset.examples))
    return {word for word, count in counts.items() if LEAST_PICTURES <= count <= most}


def _sorted_rows(rows: Iterable[int]) -> Rows:
    return np.array(sorted(rows), np.int64)
