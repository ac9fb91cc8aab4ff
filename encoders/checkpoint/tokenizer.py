"""WordPiece tokenisation, with the vocabulary of `model.json`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer as _Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

PAD, UNKNOWN, START, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"


@dataclass(frozen=True)
class Tokens:
    """A batch of tokenised sentences.

    Shape:
        - ids: (B, T), int64, padded with 0; the first and last token of each sentence are markers.
        - mask: (B, T), bool, true on words and word pieces, false on markers and padding.
        - attended: (B, T), bool, false on padding only.
    """

    ids: npt.NDArray[np.int64]
    mask: npt.NDArray[np.bool_]
    attended: npt.NDArray[np.bool_]


class Tokenizer:
    """Lower-casing WordPiece tokeniser, like BERT's.

    Args:
        vocabulary: tokens in order of their ids; begins with `[PAD]` and holds `[UNK]`, `[CLS]`, `[SEP]`.
        max_tokens: longer sentences are cut to this many tokens, markers included.
    """

    def __init__(self, vocabulary: Sequence[str], max_tokens: int = 64) -> None:
        ids = {token: i for i, token in enumerate(vocabulary)}
        missing = [t for t in (PAD, UNKNOWN, START, END) if t not in ids]
        if missing or ids[PAD] != 0:
            raise ValueError(f"a vocabulary begins with {PAD} and holds {UNKNOWN}, {START}, {END}; missing: {missing}")
        self.vocabulary = tuple(vocabulary)
        self.max_tokens = max_tokens
        self._tokenizer = _Tokenizer(WordPiece(ids, unk_token=UNKNOWN))
        self._tokenizer.normalizer = BertNormalizer(lowercase=True)
        self._tokenizer.pre_tokenizer = BertPreTokenizer()
        self._tokenizer.post_processor = TemplateProcessing(
            single=f"{START} $A {END}", special_tokens=[(START, ids[START]), (END, ids[END])]
        )
        self._tokenizer.enable_truncation(max_tokens)

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """Tokenise sentences; one without any token becomes a single `[UNK]`."""
        encodings = self._tokenizer.encode_batch(list(texts))
        rows = [e.ids if len(e.ids) > 2 else [e.ids[0], self.vocabulary.index(UNKNOWN), e.ids[-1]] for e in encodings]
        lengths = np.array([len(row) for row in rows])
        width = int(lengths.max(initial=0))
        ids = np.zeros((len(rows), width), np.int64)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
        position = np.arange(width)[None]
        attended = position < lengths[:, None]
        mask = (position > 0) & (position < lengths[:, None] - 1)
        return Tokens(ids=ids, mask=mask, attended=attended)

    def words(self, text: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Return the words of a sentence as written, and for each token but the markers the index of its word."""
        encoding = self._tokenizer.encode(text)
        words: list[str] = []
        word_of_token: list[int] = []
        last: int | None = None
        for word_id, (start, end) in zip(encoding.word_ids, encoding.offsets, strict=True):
            if word_id is None:
                continue
            if word_id != last:
                words.append(text[start:end])
            else:
                words[-1] = words[-1] + text[start:end]
            word_of_token.append(len(words) - 1)
            last = word_id
        return tuple(words), tuple(word_of_token)

    @classmethod
    def fit(cls, texts: Iterable[str], *, min_count: int = 2, max_tokens: int = 64) -> Tokenizer:
        """Build a vocabulary of a training set's whole words, the most frequent first."""
        splitter, normalizer = BertPreTokenizer(), BertNormalizer(lowercase=True)
        counts = Counter(
            word for text in texts for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))
        )
        words = [word for word, n in sorted(counts.items(), key=lambda kv: (-kv[1], kv[0])) if n >= min_count]
        return cls([PAD, UNKNOWN, START, END, *words], max_tokens)
