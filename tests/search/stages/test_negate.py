"""Excluded words: the query vector, and the evidence against images."""

from __future__ import annotations

import numpy as np
import pytest

from encoders import ImageFeatures, TextFeatures
from search.stages.negate import AGAINST, TURN, away_from, evidence_against
from search.stages.rerank import match
from tests.fakes import COLOURS, FakeEncoder

NAMES = ("red", "green", "blue", "white", "black")


@pytest.fixture
def images(encoder: FakeEncoder) -> ImageFeatures:
    """One picture of each colour."""
    pixels = [np.full((encoder.input_size, encoder.input_size, 3), COLOURS[name], np.uint8) for name in NAMES]
    return encoder.encode_images(np.stack(pixels))


def queries(encoder: FakeEncoder, *texts: str) -> TextFeatures:
    """Query features of sentences; no rows without any."""
    return encoder.query(encoder.encode_texts(["a thing", *texts])).take(list(range(1, len(texts) + 1)))


def test_excluded_words_are_subtracted_from_the_query(encoder: FakeEncoder) -> None:
    """The cosine with them falls, and the length stays 1; without any, nothing changes."""
    vector, red = queries(encoder, "a red thing").vectors, queries(encoder, "red").vectors
    turned = away_from(vector, red)
    expected = vector - TURN * red
    np.testing.assert_allclose(turned, expected / np.linalg.norm(expected), rtol=1e-5)
    assert float((turned @ red.T)[0, 0]) < float((vector @ red.T)[0, 0])
    assert away_from(vector, red[:0]) is vector


def test_evidence_is_against_the_images_that_show_the_word(encoder: FakeEncoder, images: ImageFeatures) -> None:
    """Negative for red pictures with -red, positive for those that score below the median; one row per word."""
    evidence = evidence_against(encoder, queries(encoder, "red", "blue"), images)
    for row, word in zip(evidence, ("red", "blue"), strict=True):
        scores = encoder.match_images(queries(encoder, word), images).scores
        np.testing.assert_allclose(row, AGAINST * 4.0 * (np.median(scores) - scores), rtol=1e-4, atol=1e-5)
        assert row[NAMES.index(word)] == row.min() < 0 < row.max()
    assert evidence_against(encoder, queries(encoder), images).shape == (0, len(NAMES))


def test_excluded_words_only_lower_probabilities_and_move_scores_both_ways(
    encoder: FakeEncoder, images: ImageFeatures
) -> None:
    """An image that shows one excluded word and lacks another still loses probability."""
    sentence, nothing = queries(encoder, "a thing"), np.zeros(len(NAMES), np.float32)
    plain = match(encoder, images, nothing, sentence, sentence, queries(encoder))
    excluded, white = queries(encoder, "white", "black"), NAMES.index("white")
    one = match(encoder, images, nothing, sentence, sentence, excluded.take([0]))
    both = match(encoder, images, nothing, sentence, sentence, excluded)
    assert evidence_against(encoder, excluded, images)[1, white] > 0
    assert one.probabilities[white] < plain.probabilities[white]
    assert (one.probabilities <= plain.probabilities).all()
    assert (both.probabilities <= one.probabilities).all()
    assert both.probabilities[white] == pytest.approx(one.probabilities[white], rel=1e-5)
    assert one.scores[white] < both.scores[white]
    assert (one.scores > plain.scores).any()


def test_keywords_raise_a_probability_and_excluded_words_lower_it(encoder: FakeEncoder, images: ImageFeatures) -> None:
    """Both in log-odds; in the score they are divided by the slope."""
    sentence, evidence = queries(encoder, "a thing"), np.array([3, 0, 0, 0, -3], np.float32)
    plain = match(encoder, images, np.zeros(5, np.float32), sentence, sentence, queries(encoder))
    matches = match(encoder, images, evidence, sentence, sentence, queries(encoder))
    odds = [p / (1 - p) for p in (plain.probabilities, matches.probabilities)]
    np.testing.assert_allclose(np.log(odds[1] / odds[0]), evidence, atol=1e-4)
    np.testing.assert_allclose(matches.scores - plain.scores, evidence / plain.slope, atol=1e-5)
