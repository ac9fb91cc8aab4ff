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
    """A picture as `align` compares it: grey, squeezed to a square; `shape` is its width by height as it is."""

    pixels: npt.NDArray[np.uint8]
    shape: float

    @classmethod
    def of(cls, image: Image.Image, size: tuple[int, int]) -> Coarse:
        """Reduce a picture; `size` is that before it was reduced while reading."""
        small = image.convert("L").resize((PIXELS, PIXELS), Image.Resampling.BOX)
        return cls(np.asarray(small), size[0] / size[1])


@dataclass(frozen=True)
class Alignment:
    """A picture in an orientation lies in the `box` of another; `correlation` is that of their coarse grids."""

    orientation: Image.Transpose | None
    box: Box
    correlation: float


def oriented(image: Image.Image, orientation: Image.Transpose | None) -> Image.Image:
    """Turn or mirror a picture."""
    return image if orientation is None else image.transpose(orientation)


def align(outer: Coarse, inner: Coarse) -> Alignment:
    """Find the best alignment of a picture in another."""
    upright, across = (
        np.abs(_LOG_SHAPES + np.log(outer.shape / shape)) <= SQUEEZE for shape in (inner.shape, 1 / inner.shape)
    )
    fitting = np.repeat(np.stack([upright, across], axis=1), len(ORIENTATIONS) // 2, axis=1)
    fitting[_WHOLE, 0] = True  # a squeezed copy is found unless it is cropped, too
    chosen = np.flatnonzero(fitting.any(axis=1))
    scores = np.where(fitting[chosen], _windows(outer.pixels, chosen) @ _orientations(inner.pixels).T, -1)
    window, orientation = np.unravel_index(int(scores.argmax()), scores.shape)
    rows, columns = divmod(int(chosen[window]), len(_INTERVALS))
    (left, right), (top, bottom) = _INTERVALS[columns], _INTERVALS[rows]
    return Alignment(ORIENTATIONS[orientation], (left, top, right, bottom), float(scores[window, orientation]))


def _orientations(pixels: npt.NDArray[np.uint8]) -> Floats:
    """The coarse grid of a picture in all `ORIENTATIONS`, one row each."""
    grid = pixels.reshape(CELLS, 2, CELLS, 2).mean(axis=(1, 3), dtype=np.float32)
    upright = (grid, grid[:, ::-1], grid[::-1, ::-1], grid[::-1])
    across = (np.rot90(grid), np.rot90(grid, 3), grid.T, grid[::-1, ::-1].T)
    return _normalised(np.stack([oriented.ravel() for oriented in (*upright, *across)]))


def _windows(pixels: npt.NDArray[np.uint8], chosen: npt.NDArray[np.intp]) -> Floats:
    """The coarse grids of the chosen windows of a picture, one row each."""
    rows, columns = np.divmod(chosen, len(_INTERVALS))
    grids = (_RESAMPLE @ pixels.astype(np.float32))[rows] @ _RESAMPLE[columns].transpose(0, 2, 1)
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
