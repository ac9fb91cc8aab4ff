"""Words to numbers: WordPiece or unigram pieces over a vocabulary that travels in the checkpoint's JSON."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
from tokenizers import Regex, normalizers, pre_tokenizers
from tokenizers import Tokenizer as _Tokenizer
from tokenizers.models import Unigram, WordPiece
from tokenizers.processors import TemplateProcessing

PAD, UNKNOWN, START, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
SPACE = "▁"  # SentencePiece's mark at the beginning of a word

UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")
"""Scripts, by the first word of their characters' Unicode names, that put no spaces between words."""


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

    def take(self, rows: npt.NDArray[np.int64]) -> Tokens:
        """Return some of the sentences, no wider than the longest of them."""
        width = int(self.attended[rows].sum(1).max(initial=0))
        return Tokens(self.ids[rows, :width], self.mask[rows, :width], self.attended[rows, :width])


class AnyTokenizer(Protocol):
    """A model's own tokenizer, or that of a pretrained pair."""

    @property
    def unknown(self) -> int:
        """The token of words that the vocabulary lacks."""
        ...

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """Tokenise sentences; each has at least one word."""
        ...

    def words(self, text: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Return the words of a sentence, and for each token of its mask the word it belongs to."""
        ...


class Tokenizer:
    """Tokenises sentences: lower-casing WordPiece as BERT's or, with scores, unigram pieces as XLM-RoBERTa's.

    Args:
        vocabulary: tokens in order of their ids; begins with `[PAD]` and holds `[UNK]`, `[CLS]`, `[SEP]`.
        max_tokens: longer sentences are cut to this many tokens, markers included.
        scores: log probability of each token of a unigram vocabulary, in which `▁` marks the beginning of a word.

    Source: Kudo, "Subword Regularization", https://arxiv.org/abs/1804.10959, for unigram pieces.
    """

    def __init__(self, vocabulary: Sequence[str], max_tokens: int = 64, scores: Sequence[float] | None = None) -> None:
        ids = {token: i for i, token in enumerate(vocabulary)}
        missing = [t for t in (PAD, UNKNOWN, START, END) if t not in ids]
        if missing or ids[PAD] != 0:
            raise ValueError(f"a vocabulary begins with {PAD} and holds {UNKNOWN}, {START}, {END}; missing: {missing}")
        if scores is not None and len(scores) != len(vocabulary):
            raise ValueError(f"{len(scores)} scores for {len(vocabulary)} tokens")
        self.vocabulary = tuple(vocabulary)
        self.max_tokens = max_tokens
        self.scores = None if scores is None else tuple(scores)
        self._ids = ids

    @property
    def unknown(self) -> int:
        """The token of words that the vocabulary lacks."""
        return self._ids[UNKNOWN]

    @cached_property
    def _tokenizer(self) -> _Tokenizer:
        """The library's tokenizer, made when there is something to tokenise: that takes a tenth of a second."""
        tokenizer = _wordpiece(self._ids) if self.scores is None else _unigram(self._ids, self.scores)
        tokenizer.post_processor = TemplateProcessing(
            single=f"{START} $A {END}", special_tokens=[(START, self._ids[START]), (END, self._ids[END])]
        )
        tokenizer.enable_truncation(self.max_tokens)
        return tokenizer

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """Tokenise sentences; a sentence of no known character becomes one `[UNK]`."""
        encodings = self._tokenizer.encode_batch(list(texts))
        rows = [e.ids if len(e.ids) > 2 else [e.ids[0], self.unknown, e.ids[-1]] for e in encodings]
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
        """Return the words of a sentence as written, and for each token (markers left out) the word it belongs to.

        Pieces in a script without spaces are words of their own, and so are punctuation marks.
        """
        encoding = self._tokenizer.encode(text)
        words: list[str] = []
        owner: list[int] = []
        last: int | None = None
        for token, word_id, (start, end) in zip(encoding.tokens, encoding.word_ids, encoding.offsets, strict=True):
            if word_id is None:
                continue
            piece = "" if token == SPACE else text[start:end].strip()
            continues = word_id == last and (self.scores is None or _continues(words[-1], piece))
            if continues:
                words[-1] = words[-1] + piece
            else:
                words.append(piece)
            owner.append(len(words) - 1)
            last = word_id
        return tuple(words), tuple(owner)

    @classmethod
    def fit(cls, texts: Iterable[str], *, min_count: int = 2, max_tokens: int = 64) -> Tokenizer:
        """Make a WordPiece vocabulary of the whole words of a training set, the frequent ones first."""
        splitter, normalizer = pre_tokenizers.BertPreTokenizer(), normalizers.BertNormalizer(lowercase=True)
        counts = Counter(
            word for text in texts for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))
        )
        words = [word for word, n in sorted(counts.items(), key=lambda kv: (-kv[1], kv[0])) if n >= min_count]
        return cls([PAD, UNKNOWN, START, END, *words], max_tokens)


def _wordpiece(ids: dict[str, int]) -> _Tokenizer:
    tokenizer = _Tokenizer(WordPiece(ids, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def _unigram(ids: dict[str, int], scores: Sequence[float]) -> _Tokenizer:
    """XLM-RoBERTa's: NFKC without control characters, one space between words, `▁` for each."""
    tokenizer = _Tokenizer(Unigram(list(zip(ids, scores, strict=True)), unk_id=ids[UNKNOWN]))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(SPACE)
    return tokenizer


def _continues(word: str, piece: str) -> bool:
    """Whether a piece continues a word: both are letters or digits of a script with spaces, or one is a lone `▁`."""
    return not (word and piece) or (_is_spaced(word[-1]) and _is_spaced(piece[0]))


def _is_spaced(char: str) -> bool:
    """Whether a character is a letter, mark or digit of a script that puts spaces between words."""
    return unicodedata.category(char)[0] in "LMN" and not unicodedata.name(char, "").startswith(UNSPACED)
