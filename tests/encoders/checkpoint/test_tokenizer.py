"""WordPiece tokenisation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.checkpoint.tokenizer import Tokenizer

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "dog", "run", "##ning", "the", "snow", ",", "cafe"]


@pytest.fixture
def tokenizer() -> Tokenizer:
    """Eight words, eight tokens at most."""
    return Tokenizer(VOCABULARY, 8)


def test_sentences_become_padded_ids_with_masks(tokenizer: Tokenizer) -> None:
    """Markers at both ends, word pieces between them, then padding; each mask covers its part."""
    tokens = tokenizer(["A dog running", "Snow"])
    assert tokens.ids.tolist() == [[2, 4, 5, 6, 7, 3], [2, 9, 3, 0, 0, 0]]
    assert tokens.mask.tolist() == [[False, True, True, True, True, False], [False, True, False, False, False, False]]
    np.testing.assert_array_equal(tokens.attended, tokens.ids != 0)


def test_case_and_accents_make_no_difference(tokenizer: Tokenizer) -> None:
    """Like BERT's uncased tokeniser."""
    np.testing.assert_array_equal(tokenizer(["Café DOG"]).ids, tokenizer(["cafe dog"]).ids)


def test_unknown_words_and_empty_sentences_are_unknown_tokens(tokenizer: Tokenizer) -> None:
    """There is always at least one token to attend to."""
    assert tokenizer(["zebra", "", " \u200b "]).ids.tolist() == [[2, 1, 3]] * 3


def test_long_sentences_are_cut(tokenizer: Tokenizer) -> None:
    """To the model's maximum, markers included."""
    assert tokenizer(["dog " * 100]).ids.shape == (1, 8)


def test_words_are_returned_as_written_with_their_tokens(tokenizer: Tokenizer) -> None:
    """Pieces of one word belong together, so that a heat map has one panel per word."""
    assert tokenizer.words("A Dog running, snow") == (("A", "Dog", "running", ",", "snow"), (0, 1, 2, 2, 3, 4))


@pytest.mark.parametrize("vocabulary", [[], ["[PAD]", "[UNK]"], ["[UNK]", "[PAD]", "[CLS]", "[SEP]"]])
def test_a_vocabulary_without_its_markers_is_refused(vocabulary: list[str]) -> None:
    """A checkpoint with a damaged vocabulary must not load."""
    with pytest.raises(ValueError, match="a vocabulary begins with"):
        Tokenizer(vocabulary)


def test_a_vocabulary_is_fitted_to_a_training_set() -> None:
    """Frequent words first, rare ones left out."""
    fitted = Tokenizer.fit(["a dog", "a dog runs", "a cat"], min_count=2)
    assert fitted.vocabulary == ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "dog")


@given(st.lists(st.text(max_size=60), min_size=1, max_size=4))
def test_any_text_is_tokenised(texts: list[str]) -> None:
    """Ids lie in the vocabulary, and every sentence has a token to attend to."""
    tokens = Tokenizer(VOCABULARY, 8)(texts)
    assert tokens.ids.max() < len(VOCABULARY)
    assert tokens.mask.any(axis=1).all()
