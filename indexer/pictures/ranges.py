"""Which values of a picture with more than 8 bits are shown as black and white."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

DEPTHS = (8, 10, 12, 14, 16)
"""Bits in use by cameras, scanners and instruments that write 16."""

NARROW = 0.25
"""Whole numbers that span less of their maximum than this, such as those of a thermal camera, are stretched."""


def shown_range(low: float, high: float, *, whole: bool) -> tuple[float, float]:
    """The values of black and white: the full range of the depth in use, or else the range in use.

    Args:
        low: the lowest value of the picture.
        high: the highest.
        whole: whether the values are whole numbers.
    """
    if not low < high:
        return (0.0, _full(high)) if whole and 0 <= high <= 65535 else (0.0, 255.0)
    if whole and low >= 0 and high <= 65535 and high - low >= NARROW * high:
        return 0.0, _full(high)
    if not whole and low >= 0 and 0.5 < high <= 1:
        return 0.0, 1.0
    return float(low), float(high)


def to_bytes(values: npt.NDArray[np.generic], shown: tuple[float, float]) -> npt.NDArray[np.uint8]:
    """Scale values to 8 bits; NaN becomes black."""
    low, high = shown
    numbers = np.asarray(values, np.float64)  # differences of 32-bit values overflow 32 bits
    scaled = np.nan_to_num((numbers - low) * (255 / (high - low)), nan=0, posinf=255, neginf=0)
    return np.clip(scaled, 0, 255).round().astype(np.uint8)


def _full(high: float) -> float:
    return float(next(2**bits - 1 for bits in DEPTHS if high < 2**bits))
