"""Compare documents and screenshots word by word, where pictures that say different things look alike.

Most of a page is blank, and most of a form is printed alike, so the few places that differ decide. A page that is
scanned again lies a little askew: each place is looked for a few pixels around, and the shifts that were found
straighten the page before it is compared in detail.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
from PIL import Image

from encoders import Floats

from .alignment import Box
from .likeness import NOISE, blocks, pixels, tones_fitted

BLANK, TONE = 0.35, 12
"""Minimum share of a page that is blank: within so many grey levels of one tone."""

BESIDE, LINES = 0.2, 0.7
"""Between lines a page shows: so much of a place with something in it is blank, in this share of these places."""

PLACE = 8  # pixels a side of a place
DECISIVE = 4  # places

REACH = 3  # pixels that a place is looked for in each direction
_SHIFTS = sorted(itertools.product(range(-REACH, REACH + 1), repeat=2), key=lambda shift: shift[0] ** 2 + shift[1] ** 2)
"""The nearest first, which counts among equals."""


def is_page(square: Floats) -> bool:
    """Whether a picture shows text or lines on one tone: paper, a window, or the background of a slide."""
    counts = np.bincount(square.astype(np.int64).ravel(), minlength=256)
    around = np.convolve(counts, np.ones(2 * TONE + 1), "same")
    places = blocks(square, 16)
    filled = places[places.std(axis=1) > 2 * NOISE]
    blank = np.abs(filled - around.argmax()) <= TONE
    return bool(around.max() >= BLANK * square.size and (blank.mean(axis=1) >= BESIDE).sum() >= LINES * len(filled))


def page_likeness(outer: Image.Image, inner: Image.Image, box: Box, side: int, coarse_side: int) -> float:
    """Rate how alike two pages are where they are least alike: 1 for equal ones, below 0.4 for different text.

    Args:
        outer: a page in grey.
        inner: another in grey, upright as the first.
        box: where `inner` lies in `outer`, good to a hundredth of their width.
        side: pixels a side at which they are compared.
        coarse_side: pixels a side at which they are straightened first, at most `side`.
    """
    ones, twos = pixels(outer, coarse_side, box), pixels(inner, coarse_side)
    likenesses, shifts = shifted_likeness(ones, twos)
    if side > coarse_side:
        skew = _skew(shifts / np.float32(coarse_side), blocks(ones, coarse_side // PLACE).var(axis=1))
        straight = _straightened(Image.fromarray(pixels(outer, side, box)), skew)
        likenesses, _ = shifted_likeness(straight, pixels(inner, side))
    return float(np.sort(likenesses)[:DECISIVE].mean())


def shifted_likeness(ones: Floats, twos: Floats) -> tuple[Floats, Floats]:
    """The likeness of each place of a page to the most similar one within `REACH` pixels of it on another.

    Shape:
        - ones, twos: (S, S).

    Returns:
        Likenesses (Q,) and shifts in x and y, in pixels (Q, 2), of Q places.
    """
    places = len(ones) // PLACE
    padded = np.pad(tones_fitted(ones, twos), REACH, mode="edge")
    target = blocks(twos, places)
    spread = target.var(axis=1)
    best, shifts = np.full(places**2, -np.inf, np.float32), np.zeros((places**2, 2), np.float32)
    for x, y in _SHIFTS:
        moved = blocks(padded[REACH + y :, REACH + x :][: len(twos), : len(twos)], places)
        values = 1 - ((moved - target) ** 2).mean(axis=1) / (moved.var(axis=1) + spread + 2 * NOISE**2)
        better = values > best
        best[better], shifts[better] = values[better], (x, y)
    return best, shifts


def _skew(shifts: Floats, weights: Floats) -> npt.NDArray[np.floating]:
    """Fit an affine map to the shifts of places: x' = x + dx, as shares of the side; (3, 2)."""
    places = round(len(shifts) ** 0.5)
    middle = (np.arange(places) + 0.5) / places
    x, y = (axis.ravel() for axis in np.meshgrid(middle, middle))
    design = np.stack([np.ones_like(x), x, y], axis=1) * np.sqrt(weights)[:, None]
    solution, *_ = np.linalg.lstsq(design, shifts * np.sqrt(weights)[:, None], rcond=None)
    return np.asarray(solution)


def _straightened(page: Image.Image, skew: npt.NDArray[np.floating]) -> Floats:
    """Move each pixel of a page by the skew at its place."""
    side = page.width
    (x0, y0), (xx, yx), (xy, yy) = skew
    affine = (1 + xx, xy, x0 * side, yx, 1 + yy, y0 * side)
    paper = page.getpixel((0, 0))
    moved = page.transform(page.size, Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR, fillcolor=paper)
    return np.asarray(moved, np.float32)
