"""Find how one picture lies in another: turned or mirrored, and cropped at any of its sides.

Both pictures are reduced to a coarse grid. One of them is compared in its eight orientations with every window of the
other, as far as the shapes of both pictures allow: cropping and turning do not squeeze a picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from encoders import Floats

CELLS = 16  # a side of the coarse grid
PIXELS = 2 * CELLS  # a side of the pictures that are averaged to grids

STEP, MAX_CROP = 0.05, 0.3
"""Windows are this far apart, and leave out at most this much of the width and of the height, as shares."""

SQUEEZE = 0.04
"""Maximum log ratio between the shape of a window and that of the picture in it: half a step of the smallest window."""

ORIENTATIONS = (
    None,
    Image.Transpose.FLIP_LEFT_RIGHT,
    Image.Transpose.ROTATE_180,
    Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.ROTATE_90,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSPOSE,
    Image.Transpose.TRANSVERSE,
)
"""The upright one first; the last four exchange width and height."""

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, as shares of width and height."""


@dataclass(frozen=True)
class Coarse:
    """A picture as `align` compares it: a square of pixels (S, S), and its grid in each orientation (8, V)."""

    pixels: Floats
    grids: Floats


@dataclass(frozen=True)
class Alignment:
    """A picture in an orientation lies in the `box` of another; `correlation` is that of their coarse grids."""

    orientation: Image.Transpose | None
    box: Box
    correlation: float


def oriented(image: Image.Image, orientation: Image.Transpose | None) -> Image.Image:
    """Turn or mirror a picture."""
    return image if orientation is None else image.transpose(orientation)


def coarse(grey: Image.Image) -> Coarse:
    """Reduce a picture, squeezed to a square, to what `align` compares."""
    small = grey.resize((CELLS, CELLS), Image.Resampling.BOX)
    grids = np.stack([np.asarray(oriented(small, o), np.float32).ravel() for o in ORIENTATIONS])
    return Coarse(np.asarray(grey.resize((PIXELS, PIXELS), Image.Resampling.BOX), np.float32), _normalised(grids))


def align(outer: Coarse, inner: Coarse, shape: float, inner_shape: float) -> Alignment:
    """Find the best alignment of a picture in another.

    Args:
        outer: the picture that may contain the other.
        inner: the other.
        shape: width by height of the outer picture as it is.
        inner_shape: that of the inner one.
    """
    upright, across = (
        np.abs(_LOG_SHAPES + np.log(shape / other)) <= SQUEEZE for other in (inner_shape, 1 / inner_shape)
    )
    fitting = np.repeat(np.stack([upright, across], axis=1), len(ORIENTATIONS) // 2, axis=1)
    fitting[_WHOLE, 0] = True  # a squeezed copy is found unless it is cropped, too
    chosen = np.flatnonzero(fitting.any(axis=1))
    scores = np.where(fitting[chosen], _windows(outer.pixels, chosen) @ inner.grids.T, -1)
    window, orientation = np.unravel_index(int(scores.argmax()), scores.shape)
    rows, columns = divmod(int(chosen[window]), len(_INTERVALS))
    (left, right), (top, bottom) = _INTERVALS[columns], _INTERVALS[rows]
    return Alignment(ORIENTATIONS[orientation], (left, top, right, bottom), float(scores[window, orientation]))


def _windows(pixels: Floats, chosen: npt.NDArray[np.intp]) -> Floats:
    """The coarse grids of the chosen windows of a picture, one row each."""
    rows, columns = np.divmod(chosen, len(_INTERVALS))
    grids = (_RESAMPLE @ pixels)[rows] @ _RESAMPLE[columns].transpose(0, 2, 1)
    return _normalised(grids.reshape(len(chosen), -1).astype(np.float32, copy=False))


def _normalised(rows: Floats) -> Floats:
    """Give rows mean 0 and length 1; those almost without contrast become 0, which correlates with nothing."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.where(lengths > CELLS, centred / np.maximum(lengths, 1e-8), 0).astype(np.float32)


def _interval_means(start: float, end: float) -> Floats:
    """The matrix that averages an interval of `PIXELS` to `CELLS`."""
    pixel = np.arange(PIXELS)
    edges = np.linspace(start, end, CELLS + 1) * PIXELS
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    weights = np.maximum(overlap, 0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


_COUNT = round(MAX_CROP / STEP) + 1
_INTERVALS = [(i * STEP, 1 - j * STEP) for i in range(_COUNT) for j in range(_COUNT - i)]
"""Those of one axis. A window is numbered by the interval of its rows, times their number, plus that of its columns."""

_RESAMPLE = np.stack([_interval_means(*interval) for interval in _INTERVALS])
_LENGTHS = np.array([end - start for start, end in _INTERVALS])
_LOG_SHAPES = np.log(_LENGTHS[None, :] / _LENGTHS[:, None]).ravel()  # of each window, width by height
_WHOLE = 0
