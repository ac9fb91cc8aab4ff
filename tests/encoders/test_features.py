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
def test_what_is_no_packed_grid_is_refused(blob: bytes) -> None:
    """A cut blob is an error that says how long it should have been."""
    with pytest.raises(ValueError, match="packed state grid"):
        unpack_states(blob)


def test_evidence_adds_to_the_log_odds_and_to_the_score_on_its_own_scale() -> None:
    """Even odds and log 3 make three to one; a slope of 2 makes that half of it in score."""
    found = MatchScores(np.zeros(3, np.float32), np.full(3, 0.5, np.float32), slope=2.0)
    told = found.with_evidence(np.array([np.log(3), -np.log(3), 0], np.float32))
    np.testing.assert_allclose(told.probabilities, [0.75, 0.25, 0.5], rtol=1e-6)
    np.testing.assert_allclose(told.scores, [np.log(3) / 2, -np.log(3) / 2, 0], rtol=1e-6)
    assert found.with_evidence(np.zeros(3, np.float32)) is found


def test_any_amount_of_evidence_makes_a_probability() -> None:
    """Sixty rare words that one caption holds are far more than a float can raise e to."""
    found = MatchScores(np.zeros(2, np.float32), np.full(2, 0.5, np.float32))
    told = found.with_evidence(np.array([1e4, -1e4], np.float32))
    np.testing.assert_allclose(told.probabilities, [1, 0], atol=1e-9)
    assert told.scores.tolist() == [1e4, -1e4]


@given(st.lists(st.sampled_from([(3, 4), (2, 5), (1, 1)]), max_size=5), st.booleans())
def test_many_are_read_as_each_is(shapes: list[tuple[int, int]], alike: bool) -> None:  # noqa: FBT001  hypothesis calls it
    """Of one shape, of several, or none at all."""
    rng = np.random.default_rng(0)
    blobs = [pack_states(rng.normal(size=shapes[0] if alike else shape).astype(np.float32)) for shape in shapes]
    for found, blob in zip(unpack_all(blobs), blobs, strict=True):
        np.testing.assert_array_equal(found, unpack_states(blob))


@pytest.mark.parametrize("damage", [b"", b"\xff" * 4])
def test_one_that_is_no_packed_grid_among_many_is_refused(damage: bytes) -> None:
    """Cut short, or of another shape than its bytes."""
    blob = pack_states(np.ones((2, 3), np.float32))
    with pytest.raises(ValueError, match="packed state grid"):
        unpack_all([blob, damage + blob[len(damage) :] if damage else blob[:-1]])
