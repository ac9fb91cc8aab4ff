"""Encoding sentences in batches of similar length."""

from __future__ import annotations

import numpy as np
import pytest

from encoders.sentences import encode_in_batches
from tests.fakes import FakeEncoder


def test_sentences_are_encoded_once_in_order_of_length(encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """No batch exceeds `BATCH`, and positions map features to sentences."""
    monkeypatch.setattr("encoders.sentences.BATCH", 4)
    texts = ["a red thing", "blue", "white", "a very long sentence about green", "red", "a blue thing", "x", "y", "z"]
    batches = list(encode_in_batches(encoder, texts))
    assert [len(positions) for positions, _ in batches] == [4, 4, 1]
    order = [position for positions, _ in batches for position in positions]
    assert sorted(order) == list(range(9))
    lengths = [len(texts[position]) for position in order]
    assert lengths == sorted(lengths)
    for positions, features in batches:
        expected = FakeEncoder().encode_texts([texts[position] for position in positions])
        np.testing.assert_array_equal(features.vectors, expected.vectors)
    assert encoder.texts_encoded == 9


def test_no_sentences_make_no_batch(encoder: FakeEncoder) -> None:
    """The model is not called."""
    assert list(encode_in_batches(encoder, [])) == []
    assert encoder.texts_encoded == 0
