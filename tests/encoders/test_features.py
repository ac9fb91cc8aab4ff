"""Packing states for storage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from encoders import Floats, pack_states, unpack_states


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
