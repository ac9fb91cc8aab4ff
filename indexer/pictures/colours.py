"""Convert decoded pictures of any mode to sRGB, and reduce them on the way."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import lru_cache
from math import ceil

import numpy as np
from PIL import Image, ImageCms

from .ranges import shown_range, to_bytes
from .transparency import find_ground, has_alpha, put_over

STRIP = 1_000_000
"""Pixels converted at a time, so that a huge picture is never in memory twice."""

MAX_PROFILE_BYTES = 4_000_000
"""Maximum bytes of a colour profile; the largest in use, those of printers, have half of this."""

_HIGH_DEPTH = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}

Conversion = Callable[[Image.Image], Image.Image]


def to_rgb(image: Image.Image, factor: int = 1) -> Image.Image:
    """Convert a picture to RGB: alpha over a ground, high bit depths scaled to 8 bits, colour profile applied.

    Args:
        image: a picture of any mode.
        factor: divides both sides, by averaging squares of this side.
    """
    convert = _conversion(image)
    in_strips = factor > 1 or image.width * image.height > STRIP
    converted = _reduce(image, factor, convert) if in_strips else convert(image)
    return _apply_profile(converted, image.info.get("icc_profile")).convert("RGB")


def _reduce(image: Image.Image, factor: int, convert: Conversion) -> Image.Image:
    """Convert and reduce strip by strip."""
    rows = ceil(max(1, STRIP // image.width) / factor) * factor
    reduced = None
    for top in range(0, image.height, rows):
        strip = convert(_strip(image, top, rows)).reduce(factor)
        if reduced is None:
            reduced = Image.new(strip.mode, (strip.width, ceil(image.height / factor)))
        reduced.paste(strip, (0, top // factor))
    return reduced or image


def _strip(image: Image.Image, top: int, rows: int) -> Image.Image:
    return image.crop((0, top, image.width, min(top + rows, image.height)))


def _conversion(image: Image.Image) -> Conversion:
    """The conversion of a picture and its strips to L, RGB or CMYK, whose values can be averaged."""
    if image.mode in _HIGH_DEPTH:
        low, high = _extremes(image)
        shown = shown_range(low, high, whole=image.mode != "F")
        return lambda strip: Image.fromarray(to_bytes(np.asarray(strip), shown))
    if has_alpha(image):
        ground = find_ground(image)
        return lambda strip: put_over(strip, ground)
    if image.mode in _SPACES:
        return lambda strip: strip
    return lambda strip: strip.convert("L" if image.mode == "1" else "RGB")


def _extremes(image: Image.Image) -> tuple[float, float]:
    """The lowest and the highest finite value."""
    low, high = np.inf, -np.inf
    rows = max(1, STRIP // image.width)
    for top in range(0, image.height, rows):
        values = np.asarray(_strip(image, top, rows), np.float64)
        values = values[np.isfinite(values)]
        low, high = min(low, values.min(initial=np.inf)), max(high, values.max(initial=-np.inf))
    return float(low), float(high)


def _apply_profile(image: Image.Image, profile: object) -> Image.Image:
    """Apply a colour profile, so that Display P3, Adobe RGB and printing inks get their intended colours."""
    transform = _srgb_transform(profile, image.mode) if isinstance(profile, bytes) and profile else None
    return image if transform is None else transform.apply(image)


@lru_cache(maxsize=16)
def _srgb_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Build the transform to sRGB; None if the profile is already sRGB, broken, or for another colour space."""
    if len(profile) > MAX_PROFILE_BYTES:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != _SPACES[mode] or "sRGB" in ImageCms.getProfileName(source):
            return None
        return ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            flags=ImageCms.Flags.NOCACHE,  # shared by threads
        )
    except Exception:  # noqa: BLE001  a broken profile, whatever littleCMS raises, is ignored
        return None
