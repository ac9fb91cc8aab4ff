"""Convert decoded pictures of any mode to sRGB, and reduce them on the way."""

from __future__ import annotations

import io
from functools import lru_cache
from math import ceil

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

STRIP = 1_000_000
"""Pixels converted at a time, so that a huge picture is never in memory twice."""

MAX_PROFILE_BYTES = 4_000_000
"""Maximum bytes of a colour profile; the largest in use, those of printers, have half of this."""

_HIGH_DEPTH = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
_ALPHA = ("RGBA", "RGBa", "LA", "PA")
_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}


def to_rgb(image: Image.Image, factor: int = 1) -> Image.Image:
    """Convert a picture to RGB: alpha over white, high bit depths scaled to 8 bits, colour profile applied.

    Args:
        image: a picture of any mode.
        factor: divides both sides, by averaging squares of this side.
    """
    value_range = _value_range(image) if image.mode in _HIGH_DEPTH else None
    if factor > 1 or image.width * image.height > STRIP:
        converted = _reduce(image, factor, value_range)
    else:
        converted = _to_8_bits(image, value_range)
    return _apply_profile(converted, image.info.get("icc_profile")).convert("RGB")


def _reduce(image: Image.Image, factor: int, value_range: tuple[float, float] | None) -> Image.Image:
    """Convert and reduce strip by strip."""
    rows = ceil(max(1, STRIP // image.width) / factor) * factor
    reduced = None
    for top in range(0, image.height, rows):
        strip = _to_8_bits(_strip(image, top, rows), value_range).reduce(factor)
        if reduced is None:
            reduced = Image.new(strip.mode, (strip.width, ceil(image.height / factor)))
        reduced.paste(strip, (0, top // factor))
    return reduced or image


def _strip(image: Image.Image, top: int, rows: int) -> Image.Image:
    return image.crop((0, top, image.width, min(top + rows, image.height)))


def _to_8_bits(image: Image.Image, value_range: tuple[float, float] | None) -> Image.Image:
    """Convert to L, RGB or CMYK, whose values can be averaged."""
    if value_range is not None:
        return _scale(image, value_range)
    if image.mode in _ALPHA or "transparency" in image.info:
        return _over_white(image)
    if image.mode in _SPACES:
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _over_white(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    flat = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return flat.convert("L" if image.mode in ("L", "LA") else "RGB")


def _value_range(image: Image.Image) -> tuple[float, float]:
    """Find the values of black and white: the full range for 16 bits, the range in use for 32 bits and floats."""
    if image.mode.startswith("I;16"):
        return 0.0, 65535.0
    low, high = np.inf, -np.inf
    rows = max(1, STRIP // image.width)
    for top in range(0, image.height, rows):
        values = _values(_strip(image, top, rows))
        values = values[np.isfinite(values)]
        low, high = min(low, values.min(initial=np.inf)), max(high, values.max(initial=-np.inf))
    if image.mode == "I" and low >= 0 and 255 < high <= 65535:
        return 0.0, 65535.0
    return (float(low), float(high)) if low < high else (0.0, 255.0)


def _scale(image: Image.Image, value_range: tuple[float, float]) -> Image.Image:
    """Scale to 8-bit grey; NaN becomes black."""
    low, high = value_range
    values = np.nan_to_num((_values(image) - low) * (255 / (high - low)), nan=0, posinf=255, neginf=0)
    return Image.fromarray(np.clip(values, 0, 255).round().astype(np.uint8))


def _values(image: Image.Image) -> npt.NDArray[np.float64]:
    return np.asarray(image, np.float64)  # differences of 32-bit values overflow 32 bits


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
