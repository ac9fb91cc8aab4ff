"""What two pictures look like, and whether they are versions of one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from PIL import Image

from .alignment import Alignment, align, oriented
from .likeness import compared_side, pixels, place_likeness, refined, structure, worst
from .pages import is_page, page_likeness

CORRELATION = 0.9
"""Minimum correlation of coarse grids of two pictures that are compared further."""

LIKENESS = 0.6
"""Minimum likeness of versions of a picture. Measured by benchmarks/duplicates.py, see docs/LOG.md."""

STRUCTURED = 0.06
"""Minimum share of places with contrast. With fewer, as in two clear skies, there is nothing to tell pictures by."""

SIDE, COLOUR_SIDE = 192, 32
"""Pixels a side of what stays in memory of a picture: 40 kB."""

DETAIL = 768
"""Pixels a side at which pages are compared in the end: ten for a line of text on a full page."""

_COLOURED = 4.0  # standard deviation of a colour channel, below which a picture counts as grey


@dataclass(frozen=True)
class Look:
    """A picture squeezed to a square, in grey and, smaller, in colour (YCbCr).

    Attributes:
        size: width and height in pixels of the picture in its file.
        taken_at: when it was taken, by its file: ISO 8601.
    """

    grey: Image.Image
    colours: Image.Image
    size: tuple[int, int]
    taken_at: str | None = None

    @classmethod
    def of(cls, image: Image.Image, size: tuple[int, int], taken_at: str | None = None) -> Look:
        """Reduce a picture; `size` is that before it was reduced while reading."""
        square = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC, reducing_gap=3.0)
        small = square.resize((COLOUR_SIDE, COLOUR_SIDE), Image.Resampling.BOX)
        return cls(square.convert("L"), small.convert("YCbCr"), size, taken_at)

    @property
    def shape(self) -> float:
        """Width by height."""
        return self.size[0] / self.size[1]


Details = Callable[[], tuple[Image.Image, Image.Image] | None]
"""Reads two pictures again, in grey and at least `DETAIL` pixels a side; None if one cannot be read any more."""


def likeness(one: Look, two: Look, details: Details) -> float:
    """Rate how alike two pictures are where they are least alike.

    1 for equal pictures, 0 or less for different ones and those that have too little contrast to tell. One of them may
    be turned, mirrored, grey, or cropped. Two exposures are different pictures.

    Args:
        one: a picture.
        two: another.
        details: called if both are pages that agree so far.
    """
    if _two_exposures(one.taken_at, two.taken_at):
        return 0.0
    best = 0.0
    for swapped, (outer, inner) in enumerate(((one, two), (two, one))):
        alignment = align(outer.grey, inner.grey, outer.shape, inner.shape)
        if alignment.correlation >= CORRELATION:

            def ordered(swapped: int = swapped) -> tuple[Image.Image, Image.Image] | None:
                pictures = details()
                return pictures[::-1] if pictures and swapped else pictures

            best = max(best, _inside(outer, inner, alignment, ordered))
    return best


def _inside(outer: Look, inner: Look, alignment: Alignment, details: Details) -> float:
    """The likeness of a picture to a part of another."""
    turned = oriented(inner.grey, alignment.orientation)
    side = compared_side(outer.size, inner.size, alignment.box, SIDE)
    box = refined(outer.grey, turned, alignment.box, side)
    ones, twos = pixels(outer.grey, side, box), pixels(turned, side)
    if min(structure(ones), structure(twos)) < STRUCTURED:
        return 0.0
    colours = _colour_likeness(outer, inner, alignment.orientation, box)
    if not (is_page(outer.grey) or is_page(inner.grey)):
        return min(colours, worst(place_likeness(ones, twos)))
    coarsely = min(colours, page_likeness(outer.grey, turned, box, side, side))
    detailed_side = compared_side(outer.size, inner.size, box, DETAIL)
    if coarsely < LIKENESS or detailed_side == side:
        return coarsely
    pictures = details()
    if pictures is None:
        return 0.0
    page = oriented(pictures[1], alignment.orientation)
    return min(colours, page_likeness(pictures[0], page, box, detailed_side, side))


def _colour_likeness(
    outer: Look, inner: Look, orientation: Image.Transpose | None, box: tuple[float, float, float, float]
) -> float:
    """The likeness of colours, whatever the brightness; 1 if one of the pictures is grey."""
    channels = zip(outer.colours.split()[1:], oriented(inner.colours, orientation).split()[1:], strict=True)
    pairs = [(pixels(one, COLOUR_SIDE, box), pixels(two, COLOUR_SIDE)) for one, two in channels]
    if min(max(pair[i].std() for pair in pairs) for i in (0, 1)) < _COLOURED:
        return 1.0
    return min(worst(place_likeness(one, two)) for one, two in pairs)


def _two_exposures(one: str | None, two: str | None) -> bool:
    """Whether two pictures were taken one after the other; an editor that changes dates does so by more."""
    with suppress(ValueError, TypeError):
        apart = abs(datetime.fromisoformat(one or "") - datetime.fromisoformat(two or ""))
        return timedelta(seconds=1) <= apart < timedelta(hours=1)
    return False
