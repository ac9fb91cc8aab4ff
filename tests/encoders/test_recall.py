"""Recall, against an oracle that sorts the full matrix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders import Floats
from encoders.recall import Ranks, Recalls, first_correct, image_to_text_ranks, recall_at, text_to_image_ranks


def oracle(similarities: Floats, image_of: Ranks) -> tuple[list[int], list[int]]:
    """Compute both ranks by brute force: every wrong item that scores as high as the right one ranks before it."""
    captions, images = similarities.shape
    to_image = []
    for c in range(captions):
        correct = similarities[c, image_of[c]]
        to_image.append(sum(1 for i in range(images) if i != image_of[c] and similarities[c, i] >= correct))
    to_text = []
    for i in range(images):
        best = max(similarities[c, i] for c in range(captions) if image_of[c] == i)
        to_text.append(sum(1 for c in range(captions) if image_of[c] != i and similarities[c, i] >= best))
    return to_image, to_text


@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 3]))
def test_ranks_agree_with_the_oracle(images: int, captions_each: int, seed: int, decimals: int) -> None:
    """For any matrix, with ties and without, and captions in any order."""
    rng = np.random.default_rng(seed)
    image_of = rng.permutation(np.repeat(np.arange(images), captions_each))
    similarities = rng.uniform(-1, 1, (len(image_of), images)).round(decimals).astype(np.float32)
    to_image, to_text = oracle(similarities, image_of)
    assert text_to_image_ranks(similarities, image_of).tolist() == to_image
    assert image_to_text_ranks(similarities, image_of).tolist() == to_text


def test_equal_scores_count_as_misses() -> None:
    """A model that scores everything alike has a recall of 0."""
    same = np.zeros((20, 10), np.float32)
    ranks = text_to_image_ranks(same, np.repeat(np.arange(10), 2))
    assert recall_at(ranks, 5) == 0


def test_recall_is_a_percentage_of_ranks_below_k() -> None:
    """Of ranks 0, 4, 5 and 20 one is below 1, two below 5 and three below 10."""
    ranks = np.array([0, 4, 5, 20])
    assert [recall_at(ranks, k) for k in (1, 5, 10)] == pytest.approx([25, 50, 75])
    assert Recalls.of(ranks) == pytest.approx((25, 50, 75))
    assert Recalls.of(np.array([0, 1, 1])).rounded() == (33.33, 100.0, 100.0)


def test_a_list_without_a_correct_item_counts_as_a_miss_at_every_k() -> None:
    """Even where the list is shorter than K."""
    correct = np.array([[False, True, True], [True, False, False], [False, False, False]])
    ranks = first_correct(correct)
    assert ranks[:2].tolist() == [1, 0]
    assert Recalls.of(ranks) == pytest.approx((100 / 3, 200 / 3, 200 / 3))
