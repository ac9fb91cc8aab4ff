"""The tokenizer of a pretrained pair, in the format of the tokenizers library."""

from __future__ import annotations

import re
import string
import threading
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import CheckpointError, first_line
from .tokenizer import Tokens

if TYPE_CHECKING:
    import tokenizers

TOKENIZER = "tokenizer.json"

_NO_PUNCTUATION = str.maketrans("_", " ", string.punctuation.replace("_", ""))
_WORD = re.compile(r"\w+|[^\w\s]")


class ForeignTokenizer:
    """Tokenises sentences as a pair's text encoder expects it. Thread-safe.

    Its `Tokens` begin with a column of zeros that stands for the sentence as a whole, whose vector goes there; the
    encoder's own markers, if any, follow.

    Args:
        path: of the file.
        context: longer sentences are cut to this many tokens, markers included.
        canonical: whether sentences are lower-cased and lose their punctuation first, as SigLIP's were in training.
    """

    def __init__(self, path: Path, *, context: int, canonical: bool) -> None:
        self.path, self.context, self.canonical = path, context, canonical
        self._loaded: tokenizers.Tokenizer | None = None
        self._lock = threading.Lock()

    @property
    def unknown(self) -> int:
        """No token: a pair's vocabulary has pieces for all words."""
        return -1

    @property
    def settings(self) -> dict[str, int | bool]:
        """What to make it from, beside its file."""
        return {"context": self.context, "canonical": self.canonical}

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """Tokenise sentences. One without words has its last marker, or a zero, for a word."""
        encodings = self._tokenizer.encode_batch([self._as_encoded(text) for text in texts])
        width = 1 + max((len(encoding.ids) for encoding in encodings), default=0)
        ids = np.zeros((len(encodings), max(width, 2)), np.int64)
        mask, attended = np.zeros(ids.shape, np.bool_), np.zeros(ids.shape, np.bool_)
        for row, encoding in enumerate(encodings):
            last = max(1, len(encoding.ids))
            ids[row, 1 : len(encoding.ids) + 1] = encoding.ids
            attended[row, : last + 1] = True
            mask[row, 1 : len(encoding.ids) + 1] = np.equal(encoding.special_tokens_mask, 0)
            mask[row, last] |= not mask[row].any()
        return Tokens(ids=ids, mask=mask, attended=attended)

    def words(self, text: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Return the words of a sentence, and for each of its tokens (markers left out) the word it belongs to."""
        text = self._as_encoded(text)
        encoding = self._tokenizer.encode(text)
        found = list(_WORD.finditer(text))
        ends = [match.end() for match in found]
        words: list[str] = []
        owners: list[int] = []
        last = None
        for (start, _), special in zip(encoding.offsets, encoding.special_tokens_mask, strict=True):
            if special or not found:
                continue
            begun = start + len(text[start:]) - len(text[start:].lstrip())  # a piece may begin with a space
            position = min(bisect_right(ends, begun), len(found) - 1)
            if position != last:
                words.append(found[position].group())
                last = position
            owners.append(len(words) - 1)
        return (tuple(words), tuple(owners)) if words else ((text.strip(),), (0,))

    def last_token(self) -> str:
        """Return the token with the highest id.

        Raises:
            CheckpointError: the file holds no tokenizer.
        """
        vocabulary = self._tokenizer.get_vocab(with_added_tokens=True)
        return max(vocabulary, key=lambda token: vocabulary[token])

    def _as_encoded(self, text: str) -> str:
        return canonical(text) if self.canonical else text

    @property
    def _tokenizer(self) -> tokenizers.Tokenizer:
        from tokenizers import Tokenizer  # noqa: PLC0415  only once there is something to encode

        with self._lock:
            if self._loaded is None:
                try:
                    loaded: tokenizers.Tokenizer = Tokenizer.from_file(str(self.path))
                    loaded.enable_truncation(self.context)
                except Exception as exc:  # the library raises nothing more specific
                    raise CheckpointError(f"{self.path} is no tokenizer ({first_line(exc)})") from exc
                loaded.no_padding()
                self._loaded = loaded
            return self._loaded


def canonical(text: str) -> str:
    """Lower a text's case, and take its punctuation and repeated spaces away, as SigLIP's captions were."""
    return " ".join(text.translate(_NO_PUNCTUATION).lower().split())
