"""Compare documents and screenshots word by word, where pictures that say different things look alike.

Most of a page is blank, and most of a form is printed alike, so the few places that differ decide. A page that is
scanned again lies a little askew: each place is looked for a few pixels around, and the shifts that were found
straighten the page before it is compared in detail.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image

from encoders import Floats

from .alignment import Box
from .likeness import NOISE, blocks, pixels, tones_fitted

BLANK, TONE = 0.35, 12
"""Minimum share of a page that is blank: within so many grey levels of one tone."""

BESIDE, LINES = 0.2, 0.8
"""Between lines a page shows: so much of a place with something in it is blank, in this share of these places."""

PLACE = 8  # pixels a side of a place
DECISIVE = 4  # places

STRAIGHTENED = 192
"""Pixels a side at which pages are compared first, and straightened."""

SAMPLE, PROMISING = 48, 0.3
"""Places with the most contrast, which are compared before all others, and the likeness of pages compared further."""

REACH = 2  # pixels that a place is looked for in each direction
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


def page_likeness(
    pages: tuple[Image.Image, Image.Image],
    box: Box,
    side: int,
    details: Callable[[], tuple[Image.Image, Image.Image] | None],
) -> float:
    """Rate how alike two pages are where they are least alike: 1 for equal ones, below 0.5 for different text.

    Args:
        pages: in grey, upright, at least `STRAIGHTENED` pixels a side.
        box: where the second page lies in the first, good to a hundredth of their width.
        side: pixels a side at which they are compared in the end.
        details: reads the pages with at least so many pixels; None if one of them cannot be read any more. Not called
            for pages that differ already.
    """
    ones, twos = pixels(pages[0], STRAIGHTENED, box), pixels(pages[1], STRAIGHTENED)
    filled = np.argsort(-blocks(twos, STRAIGHTENED // PLACE).var(axis=1))[:SAMPLE]
    for places in (filled, None):
        likenesses, shifts = shifted_likeness(ones, twos, places)
        if _worst(likenesses) < PROMISING:
            return 0.0
    pictures = details()
    if pictures is None:
        return 0.0
    skew = _skew(shifts / np.float32(STRAIGHTENED), blocks(ones, STRAIGHTENED // PLACE).var(axis=1))
    straight = _straightened(Image.fromarray(pixels(pictures[0], side, box)), skew)
    return _worst(shifted_likeness(straight, pixels(pictures[1], side))[0])


def shifted_likeness(ones: Floats, twos: Floats, among: npt.NDArray[np.intp] | None = None) -> tuple[Floats, Floats]:
    """The likeness of places of a page to the most similar one within `REACH` pixels of each on another.

    Args:
        ones: a page.
        twos: another.
        among: the places to compare; None for all.

    Shape:
        - ones, twos: (S, S).

    Returns:
        Likenesses (Q,) and shifts in x and y, in pixels (Q, 2), of Q places.
    """
    chosen = slice(None) if among is None else among
    padded = np.pad(tones_fitted(ones, twos), REACH, mode="edge")
    target = blocks(twos, len(twos) // PLACE)[chosen]
    spread = target.var(axis=1)
    best, shifts = np.full(len(target), -np.inf, np.float32), np.zeros((len(target), 2), np.float32)
    for x, y in _SHIFTS:
        moved = blocks(padded[REACH + y :, REACH + x :][: len(twos), : len(twos)], len(twos) // PLACE)[chosen]
        values = 1 - ((moved - target) ** 2).mean(axis=1) / (moved.var(axis=1) + spread + 2 * NOISE**2)
        better = values > best
        best[better], shifts[better] = values[better], (x, y)
    return best, shifts


def _worst(likenesses: Floats) -> float:
    return float(np.sort(likenesses)[:DECISIVE].mean())


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
