"""Encoding sentences in batches of like length."""

from __future__ import annotations

import numpy as np
import pytest

from encoders.sentences import encode_in_batches
from tests.fakes import FakeEncoder


def test_every_sentence_is_encoded_once_with_its_like(encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches have at most so many sentences, ordered by length; positions say which features are whose."""
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


def test_no_sentence_is_no_batch(encoder: FakeEncoder) -> None:
    """The model is not asked."""
    assert list(encode_in_batches(encoder, [])) == []
    assert encoder.texts_encoded == 0
