"""What two pictures look like, and whether they are versions of one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from PIL import Image

from .alignment import Alignment, Box, Coarse, align, oriented
from .likeness import (
    SHARPEST,
    compared_side,
    pixels,
    place_likeness,
    refined,
    shortest_side,
    structure,
    worst,
)
from .pages import is_page, page_likeness

CORRELATION = 0.87
"""Minimum correlation of coarse grids of two pictures that are compared further."""

LIKENESS = 0.55
"""Minimum likeness of versions of a picture. Measured by benchmarks/duplicates.py, see docs/LOG.md."""

STRUCTURED = 0.06
"""Minimum share of places with contrast. With fewer, as in two clear skies, there is nothing to tell pictures by."""

SIDE, COLOUR_SIDE = 192, 32
"""Pixels a side of what stays in memory of a picture, 42 kB."""

DETAIL = 768
"""Pixels a side at which pages are compared in the end: ten for a line of text on a full page."""

READABLE = 256
"""Minimum pixels a side of pages that are compared: in smaller ones different text looks the same."""

QUICK_SIDES, PROMISING = (32, 64), 0.0
"""Pixels a side at which pictures are fitted first, and the likeness of those that are compared further."""

COLOURED, COLOURS = 3.0, 0.8
"""Standard deviation of the colour channels from which a picture is not grey, and their correlation in versions."""


@dataclass(frozen=True)
class Look:
    """A picture squeezed to a square, in grey and, smaller, in colour (YCbCr).

    Attributes:
        coarse: the grey picture reduced further.
        size: width and height in pixels of the picture in its file.
        is_page: whether it shows text or lines on one tone.
        detail: reads the picture again, in grey and at least `DETAIL` pixels a side; None if that is impossible now.
        taken_at: when it was taken, by its file: ISO 8601.
    """

    grey: Image.Image
    colours: Image.Image
    coarse: Coarse
    size: tuple[int, int]
    is_page: bool
    detail: Callable[[], Image.Image | None]
    taken_at: str | None = None

    @classmethod
    def of(
        cls,
        image: Image.Image,
        size: tuple[int, int],
        detail: Callable[[], Image.Image | None],
        taken_at: str | None = None,
    ) -> Look:
        """Reduce a picture; `size` is that before it was reduced while reading."""
        square = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC, reducing_gap=3.0)
        small = square.resize((COLOUR_SIDE, COLOUR_SIDE), Image.Resampling.BOX)
        grey = square.convert("L")
        page = is_page(np.asarray(grey, np.float32))
        return cls(grey, small.convert("YCbCr"), Coarse.of(grey, size), size, page, detail, taken_at)


def alignable(one: Coarse, two: Coarse) -> bool:
    """Whether one of two pictures lies in the other, as far as can be told from so few pixels."""
    return any(align(*pair).correlation >= CORRELATION for pair in ((one, two), (two, one)))


def likeness(one: Look, two: Look) -> float:
    """Rate how alike two pictures are where they are least alike.

    1 for equal pictures, 0 for different ones and those that have too little contrast to tell. One of them may be
    turned, mirrored, grey, or cropped. Two exposures are different pictures.
    """
    if _two_exposures(one.taken_at, two.taken_at):
        return 0.0
    best = 0.0
    for outer, inner in ((one, two), (two, one)):
        alignment = align(outer.coarse, inner.coarse)
        if alignment.correlation >= CORRELATION:
            best = max(best, _inside(outer, inner, alignment))
        if best >= LIKENESS:
            break
    return best


def _inside(outer: Look, inner: Look, alignment: Alignment) -> float:
    """The likeness of a picture to a part of another."""
    turned = oriented(inner.grey, alignment.orientation)
    box = alignment.box
    for side in QUICK_SIDES:
        box = refined(outer.grey, turned, box, side)
    ones, twos = pixels(outer.grey, side, box), pixels(turned, side)
    if min(structure(ones), structure(twos)) < STRUCTURED or not _colours_agree(outer, inner, alignment, box):
        return 0.0
    shortest = shortest_side(outer.size, inner.size, box)
    if outer.is_page or inner.is_page:
        if shortest < READABLE:
            return 0.0

        def details() -> tuple[Image.Image, Image.Image] | None:
            page, other = outer.detail(), inner.detail()
            return None if page is None or other is None else (page, oriented(other, alignment.orientation))

        return page_likeness((outer.grey, turned), box, compared_side(min(DETAIL, shortest)), details)
    if worst(place_likeness(ones, twos)) < PROMISING:
        return 0.0
    side = compared_side(min(SIDE, SHARPEST * shortest))
    box = refined(outer.grey, turned, box, side)
    return worst(place_likeness(pixels(outer.grey, side, box), pixels(turned, side)))


def _colours_agree(outer: Look, inner: Look, alignment: Alignment, box: Box) -> bool:
    """Whether two pictures have the same colours at the same places, or one of them none."""
    channels = zip(outer.colours.split()[1:], oriented(inner.colours, alignment.orientation).split()[1:], strict=True)
    pairs = [(pixels(one, COLOUR_SIDE, box), pixels(two, COLOUR_SIDE)) for one, two in channels]
    ones, twos = (np.stack([side - side.mean() for side in sides]) for sides in zip(*pairs, strict=True))
    spreads = ones.std(), twos.std()
    return bool(min(spreads) < COLOURED or (ones * twos).mean() >= COLOURS * spreads[0] * spreads[1])


def _two_exposures(one: str | None, two: str | None) -> bool:
    """Whether two pictures were taken one after the other; an editor that changes dates does so by more."""
    with suppress(ValueError, TypeError):
        apart = abs(datetime.fromisoformat(one or "") - datetime.fromisoformat(two or ""))
        return timedelta(seconds=1) <= apart < timedelta(hours=1)
    return False
