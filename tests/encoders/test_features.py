"""Packing states for storage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from encoders import Floats, MatchScores
from encoders.features import pack_states, unpack_all, unpack_states


@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=20), elements=st.floats(-50, 50, width=32)))
def test_a_round_trip_is_within_half_a_step(states: Floats) -> None:
    """int8 codes with one scale a row keep every value to within half a quantisation step."""
    restored = unpack_states(pack_states(states))
    step = np.abs(states).max(axis=1, keepdims=True) / 127
    assert restored.dtype == np.float32
    assert restored.shape == states.shape
    assert (np.abs(restored - states) <= step * 0.501 + 1e-7).all()


def test_a_packed_grid_takes_a_quarter_of_the_space() -> None:
    """49 regions of 128 channels take 6.4 kB instead of 25 kB."""
    assert len(pack_states(np.ones((49, 128), np.float32))) == 4 + 4 * 49 + 49 * 128


@pytest.mark.parametrize("blob", [b"", b"\x01", pack_states(np.ones((2, 3), np.float32))[:-1]])
def test_bytes_that_are_no_packed_grid_are_refused(blob: bytes) -> None:
    """The error for a truncated blob says how long it should be."""
    with pytest.raises(ValueError, match="packed state grid"):
        unpack_states(blob)


def test_evidence_adds_to_the_log_odds_and_to_the_score_on_its_own_scale() -> None:
    """Even odds and evidence of log 3 make three to one; with a slope of 2 the score changes by half of log 3."""
    scores = MatchScores(np.zeros(3, np.float32), np.full(3, 0.5, np.float32), slope=2.0)
    updated = scores.with_evidence(np.array([np.log(3), -np.log(3), 0], np.float32))
    np.testing.assert_allclose(updated.probabilities, [0.75, 0.25, 0.5], rtol=1e-6)
    np.testing.assert_allclose(updated.scores, [np.log(3) / 2, -np.log(3) / 2, 0], rtol=1e-6)
    assert scores.with_evidence(np.zeros(3, np.float32)) is scores


def test_probabilities_stay_in_range_for_any_evidence() -> None:
    """Sixty rare words in one caption would overflow the exponential."""
    scores = MatchScores(np.zeros(2, np.float32), np.full(2, 0.5, np.float32))
    updated = scores.with_evidence(np.array([1e4, -1e4], np.float32))
    np.testing.assert_allclose(updated.probabilities, [1, 0], atol=1e-9)
    assert updated.scores.tolist() == [1e4, -1e4]


@given(st.lists(st.sampled_from([(3, 4), (2, 5), (1, 1)]), max_size=5), st.booleans())
def test_unpack_all_agrees_with_unpack_states(shapes: list[tuple[int, int]], alike: bool) -> None:  # noqa: FBT001  hypothesis calls it
    """For blobs of one shape, of several shapes, and for none."""
    rng = np.random.default_rng(0)
    blobs = [pack_states(rng.normal(size=shapes[0] if alike else shape).astype(np.float32)) for shape in shapes]
    for states, blob in zip(unpack_all(blobs), blobs, strict=True):
        np.testing.assert_array_equal(states, unpack_states(blob))


@pytest.mark.parametrize("damage", [b"", b"\xff" * 4])
def test_a_damaged_grid_among_many_is_refused(damage: bytes) -> None:
    """Truncated, or with a shape that its bytes do not have."""
    blob = pack_states(np.ones((2, 3), np.float32))
    with pytest.raises(ValueError, match="packed state grid"):
        unpack_all([blob, damage + blob[len(damage) :] if damage else blob[:-1]])
