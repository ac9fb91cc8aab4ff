"""Tokenisation into unigram pieces, for a vocabulary of many languages."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.checkpoint.tokenizer import Tokenizer

MARKERS = {"[PAD]": 0.0, "[UNK]": 0.0, "[CLS]": 0.0, "[SEP]": 0.0}
LATIN = {
    "▁": -4.0,
    "▁dog": -5.0,
    "s": -3.0,
    "▁snow": -6.0,
    ",": -3.5,
    "▁Hund": -7.0,
    "e": -3.0,
    "▁mush": -8.0,
    "room": -7.0,
}
CHINESE = {"狗": -9.0, "雪地": -10.0, "雪": -9.5, "地": -9.0, "在": -8.0}
PIECES = MARKERS | LATIN | CHINESE


@pytest.fixture
def tokenizer() -> Tokenizer:
    """A few pieces with their log probabilities."""
    return Tokenizer(list(PIECES), 12, list(PIECES.values()))


def test_the_most_probable_pieces_are_chosen(tokenizer: Tokenizer) -> None:
    """`mushrooms` has no piece of its own; two characters are one piece where that is more probable."""
    ids = {token: i for i, token in enumerate(PIECES)}
    (row,) = tokenizer(["mushrooms 雪地"]).ids.tolist()
    assert row == [ids[t] for t in ("[CLS]", "▁mush", "room", "s", "▁", "雪地", "[SEP]")]


def test_characters_are_normalized_and_case_is_kept(tokenizer: Tokenizer) -> None:
    """Full-width letters, tabs, no-break and repeated spaces read as plain ones; German nouns keep their capital."""
    plain = tokenizer(["dogs snow Hunde"]).ids.tolist()
    assert tokenizer(["\uff44\uff4f\uff47\uff53\t snow\u00a0 Hunde\u200b"]).ids.tolist() == plain
    assert tokenizer(["hunde"]).ids.tolist() != tokenizer(["Hunde"]).ids.tolist()


def test_words_are_returned_as_written_with_their_tokens(tokenizer: Tokenizer) -> None:
    """Pieces of one word belong together; punctuation marks are words of their own."""
    assert tokenizer.words("dogs, mushrooms  Hunde") == (("dogs", ",", "mushrooms", "Hunde"), (0, 0, 1, 2, 2, 2, 3, 3))


def test_pieces_of_a_script_without_spaces_are_words(tokenizer: Tokenizer) -> None:
    """A heat map has a panel for each of them."""
    words, owners = tokenizer.words("狗在雪地")
    assert words == ("狗", "在", "雪地")
    assert owners == (0, 0, 1, 2)  # the mark at the beginning belongs to the first


def test_unknown_characters_are_unknown_tokens(tokenizer: Tokenizer) -> None:
    """There is always at least one token to attend to."""
    unknown = list(PIECES).index("[UNK]")
    assert unknown in tokenizer(["🐶"]).ids[0].tolist()
    assert tokenizer([""]).ids.tolist() == [[2, unknown, 3]]


@given(text=st.text(max_size=40))
def test_every_token_belongs_to_a_word(text: str) -> None:
    """Owners begin at the first word and rise by at most one; there are as many as tokens between the markers."""
    tokenizer = Tokenizer(list(PIECES), 12, list(PIECES.values()))
    words, owners = tokenizer.words(text)
    tokens = tokenizer([text])
    if owners:
        assert len(owners) == int(tokens.mask.sum())
        assert owners[0] == 0
        assert owners[-1] == len(words) - 1
        assert all(second - first in (0, 1) for first, second in pairwise(owners))


def test_as_many_scores_as_tokens() -> None:
    """A checkpoint whose lists were cut must not load."""
    with pytest.raises(ValueError, match="3 scores for 18 tokens"):
        Tokenizer(list(PIECES), 12, [0.0, -1.0, -2.0])
