"""From a file to an upright RGB picture, whatever the format; and what its header tells."""

from __future__ import annotations

import io
import warnings
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image, ImageOps, UnidentifiedImageError

from .errors import DecodeError

MAX_PIXELS = 250_000_000
"""Pictures beyond this are refused before they are decoded: a small file can ask for all the memory there is."""

Image.MAX_IMAGE_PIXELS = None  # our own limit replaces Pillow's warning
pillow_heif.register_heif_opener()
warnings.filterwarnings(
    "ignore", module=r"PIL\."
)  # damaged metadata; what matters is raised, and becomes a DecodeError

_DATE_TAGS, _EXIF_IFD, _GPS_IFD = (36867, 36868), 0x8769, 0x8825
_MAKE, _MODEL, _DATE = 271, 272, 306


@dataclass(frozen=True)
class Header:
    """What a picture's file says about it. Width and height in pixels, of the upright picture."""

    width: int
    height: int
    format: str
    taken_at: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    camera: str | None = None


def supported_formats() -> tuple[str, ...]:
    """Names of the picture formats that this installation decodes, sorted."""
    Image.init()
    heif = {"HEIF"} if "HEIF" in Image.OPEN else set()
    wanted = {"JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"} & set(Image.OPEN)
    return tuple(sorted(wanted | heif))


def open_image(source: Path | bytes, *, at_least: int | None = None) -> Image.Image:
    """Decode a picture: EXIF orientation applied, alpha over white, first frame, RGB.

    Args:
        source: a file, or its bytes.
        at_least: the longest side that is needed, in pixels; a large JPEG is then decoded at reduced size.

    Raises:
        DecodeError: not an image, damaged, cut short, or larger than `MAX_PIXELS`.
    """
    return read_picture(source, at_least=at_least)[0]


def read_picture(source: Path | bytes, *, at_least: int | None = None) -> tuple[Image.Image, Header]:
    """Decode a picture as `open_image` does, and read its header."""
    try:
        data = source if isinstance(source, bytes) else source.read_bytes()
    except OSError as exc:
        raise DecodeError(f"cannot be read: {exc.strerror or exc}") from exc
    if not data:
        raise DecodeError("the file is empty")
    try:
        with Image.open(io.BytesIO(data)) as image:
            _check_size(image)
            header = _header(image)
            if at_least is not None and image.format == "JPEG":
                image.draft("RGB", (at_least, at_least))
            return _to_rgb(_upright(image)), header
    except UnidentifiedImageError as exc:
        raise DecodeError("not an image, or of a format that is not known") from exc
    except DecodeError:
        raise
    except MemoryError as exc:
        raise DecodeError("it does not fit into memory") from exc
    except (OSError, ValueError, SyntaxError, EOFError, TypeError, KeyError, IndexError, RuntimeError) as exc:
        # Pillow's plugins raise all of these on damaged files; each becomes one failure, never a lost batch.
        raise DecodeError(f"damaged or cut short ({str(exc) or type(exc).__name__})") from exc


def _check_size(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise DecodeError(f"{image.width}x{image.height} pixels are more than the limit of {MAX_PIXELS}")


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except (ValueError, TypeError, SyntaxError, KeyError, OSError):
        return image  # a broken EXIF block says nothing about orientation


def _to_rgb(image: Image.Image) -> Image.Image:
    """Bring any mode to RGB: alpha over white, deep greys scaled to 8 bits."""
    if image.mode == "RGB":
        return _over_white(image) if "transparency" in image.info else image
    if image.mode in ("I", "I;16", "I;16B", "I;16L", "F"):
        return _deep_to_rgb(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        return _over_white(image)
    return image.convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def _deep_to_rgb(image: Image.Image) -> Image.Image:
    """16-bit greys by their full range; 32-bit and floating point ones by the range they use."""
    values = np.asarray(image, np.float32)
    if image.mode.startswith("I;16") or (image.mode == "I" and values.min() >= 0 and 255 < values.max() <= 65535):
        values = values / np.float32(257)
    else:
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        values = (values - low) * np.float32(255 / (high - low)) if high > low else np.clip(values, 0, 255)
    return Image.fromarray(np.nan_to_num(values).round().astype(np.uint8)).convert("RGB")


def _header(image: Image.Image) -> Header:
    width, height = image.size
    facts: dict[str, Any] = {}
    with suppress(ValueError, TypeError, SyntaxError, KeyError, OSError, ZeroDivisionError, AttributeError):
        exif = image.getexif()
        if exif.get(0x0112) in (5, 6, 7, 8):
            width, height = height, width
        inner, gps = exif.get_ifd(_EXIF_IFD), exif.get_ifd(_GPS_IFD)
        facts["taken_at"] = _date(*(inner.get(tag) for tag in _DATE_TAGS), exif.get(_DATE))
        names = [_text(exif.get(tag)) for tag in (_MAKE, _MODEL)]
        facts["camera"] = " ".join(name for name in names if name) or None
        if 2 in gps and 4 in gps:
            facts["latitude"] = _degrees(gps[2], gps.get(1) == "S")
            facts["longitude"] = _degrees(gps[4], gps.get(3) == "W")
    return Header(width, height, image.format or "unknown", **facts)


def _text(value: object) -> str:
    return str(value).replace("\x00", "").strip() if value else ""


def _date(*candidates: object) -> str | None:
    """The first usable EXIF date as ISO 8601, without a zone: cameras do not know theirs."""
    for candidate in candidates:
        with suppress(ValueError):
            return datetime.strptime(_text(candidate), "%Y:%m:%d %H:%M:%S").isoformat()  # noqa: DTZ007  see above
    return None


def _degrees(parts: Any, negative: bool) -> float | None:  # noqa: ANN401, FBT001  EXIF rationals
    degrees = sum(float(part) / 60**i for i, part in enumerate(parts))
    return None if not np.isfinite(degrees) or abs(degrees) > 180 else round(-degrees if negative else degrees, 6)
