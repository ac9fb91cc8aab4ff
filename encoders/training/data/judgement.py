"""Which pictures a sentence or a word describes: the judgements that a model's probability is fitted to.

The probability answers "do these words describe this picture?", not "were they written for it?". A caption describes
its own picture, and any other whose captions use nearly all its words; it does not describe a picture whose captions
lack much of what it says. Pairs in between are not judged. A label describes the pictures that have it, and no other
that was labelled from the same list: who names the objects in a picture leaves out its style, and the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...checkpoint.tokenizer import AnyTokenizer, Tokens
from ...datasets import Example
from .labels import Flags, GivenLabels, Rows

DESCRIBED, NOT_DESCRIBED = 0.95, 0.6
"""A sentence describes a picture from this coverage on, and does not describe it below that."""


@dataclass(frozen=True)
class LabelQueries:
    """The labels of a validation set as queries.

    Shape:
        - names, tokens: L labels; shown, judged: (L, N), which pictures show a label, and for which that is known.
    """

    names: tuple[str, ...]
    tokens: Tokens
    shown: Flags
    judged: Flags

    @classmethod
    def of(cls, examples: Sequence[Example], tokenizer: AnyTokenizer) -> LabelQueries | None:
        """Collect the labels of some pictures; None without any."""
        given = GivenLabels.of(examples)
        if not given.names:
            return None
        every = np.arange(len(given.names))
        shown = np.stack([np.isin(every, rows) for rows in given.shown], axis=1)
        return cls(given.names, tokenizer(given.names), shown, shown | given.masks[given.judged])


def coverage(
    captions: Tokens, image_of: Rows, queries: Rows, pictures: Rows, *, unknown: int = -1
) -> npt.NDArray[np.float64]:
    """Measure how much of a caption the captions of a picture say too: a share of its tokens, rare ones counting more.

    Args:
        captions: M captions of N pictures.
        image_of: each caption's picture (M,).
        queries: rows of captions.
        pictures: rows of pictures.
        unknown: the token of words that the vocabulary lacks, of which no two are the same.

    Shape:
        - queries, pictures: (L, K).
        - output: (L, K), in [0, 1]; 1 for a caption without unknown words and its own picture.
    """
    used, ids = np.unique(captions.ids, return_inverse=True)
    ids = ids.reshape(captions.ids.shape)
    said = np.zeros((int(image_of.max()) + 1, len(used)), np.bool_)
    rows, columns = np.nonzero(captions.mask)
    said[image_of[rows], ids[rows, columns]] = True
    said[:, used == unknown] = False
    rarity = np.log(len(said) / np.maximum(said.sum(0), 1)) + 1e-6
    result = np.empty(queries.shape)
    for row, (asked, seen) in enumerate(zip(queries, pictures, strict=True)):
        weights = rarity[ids[asked]] * captions.mask[asked]  # (K, T)
        result[row] = (weights * said[seen[:, None], ids[asked]]).sum(1) / weights.sum(1)
    return result
