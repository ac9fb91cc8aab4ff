"""Decode picture files, including damaged and hostile ones, to upright RGB pictures."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import pillow_heif
from PIL import Image, UnidentifiedImageError

from ..errors import DecodeError
from .colours import to_rgb
from .formats import begins_like_a_picture, supported_formats
from .metadata import PictureMetadata, read_metadata
from .safe_read import MemoryBudget, read_file

MAX_PIXELS = 250_000_000
"""Larger pictures are rejected before decoding, because a small file can demand any amount of memory."""

MAX_MEMORY = 2**31
"""Bytes that decoding may take at one time, over all threads. A picture that needs more by itself is rejected."""

MAX_SCAN_PIXELS = 80 * MAX_PIXELS
"""Maximum pixels times scans of a JPEG. Progressive ones have about ten scans, and a few bytes can add another."""

MAX_ASPECT = 16
"""A picture whose longer side exceeds `at_least` by more than this factor is reduced, however small the other side."""

Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2  # Pillow rejects twice this, for some formats before allocating memory
pillow_heif.register_heif_opener()
warnings.filterwarnings("ignore", module=r"PIL\.")  # about damaged metadata; real failures raise

_MEMORY = MemoryBudget(MAX_MEMORY)  # one per process
_BYTES_PER_PIXEL = {"WEBP": 18, "AVIF": 10, "HEIF": 10, "TIFF": 10}
"""Measured peak memory of decoding; 4 for other formats, the size of Pillow's own picture."""

_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")
_START_OF_SCAN, _END_OF_IMAGE = b"\xda", b"\xd9"


def reading_size(input_size: int) -> int:
    """The `at_least` of `read_picture` for a model's input size: 1.5 times as many pixels, to leave room for resizing.

    From a factor of 2, a camera's JPEG takes twice as long to decode for the same vector (cosine 0.9998).
    """
    return 3 * input_size // 2


def open_image(source: Path | bytes, *, at_least: int | None = None, at_most: int = MAX_PIXELS) -> Image.Image:
    """Decode the first frame of a picture to sRGB: EXIF orientation and colour profile applied, alpha over white.

    Args:
        source: a file, or its bytes.
        at_least: minimum pixels of the shorter side, unless the picture has fewer. Larger pictures are reduced, JPEGs
            already while decoding; the longer side gets at most 16 times as many pixels.
        at_most: maximum pixels in total; larger pictures are rejected by their header.

    Raises:
        DecodeError: not an image, damaged, truncated, or too large.
    """
    return read_picture(source, at_least=at_least, at_most=at_most)[0]


def read_picture(
    source: Path | bytes, *, at_least: int | None = None, at_most: int = MAX_PIXELS
) -> tuple[Image.Image, PictureMetadata]:
    """Decode a picture as `open_image` does, and read its metadata."""
    if isinstance(source, Path):
        with read_file(source) as data:
            return read_picture(data, at_least=at_least, at_most=at_most)
    if not source:
        raise DecodeError("the file is empty")
    try:
        return _decode(source, at_least, min(at_most, MAX_PIXELS))
    except DecodeError:
        raise
    except UnidentifiedImageError as exc:
        if begins_like_a_picture(source):
            raise DecodeError("damaged or truncated (it starts like a picture, but its header is invalid)") from exc
        raise DecodeError("not an image, or an unsupported format") from exc
    except Image.DecompressionBombError as exc:
        raise DecodeError(f"too many pixels; the limit is {MAX_PIXELS:,}") from exc
    except MemoryError as exc:
        raise DecodeError("does not fit into memory") from exc
    except Exception as exc:  # decoders raise anything on damaged files, and one file must not fail a batch
        raise DecodeError(f"damaged or truncated ({_printable(exc)})") from exc


def _decode(data: bytes, at_least: int | None, at_most: int) -> tuple[Image.Image, PictureMetadata]:
    # Only the supported formats: others run programs (EPS), or accept almost any bytes.
    with Image.open(io.BytesIO(data), formats=supported_formats()) as image:
        size = image.size
        _check_size(image, at_most)
        scans = _scan_count(image, data) if image.format in ("JPEG", "MPO") else 1
        if at_least is not None and image.format in ("JPEG", "MPO"):
            image.draft("RGB", (at_least, at_least))
        with _MEMORY.reserve(_memory_needed(image, size, scans, full_size=at_least is None)):
            image.load()
            metadata, transpose = read_metadata(image, size)
            picture = to_rgb(image, 1 if at_least is None else _reduction(image.size, at_least))
            return picture if transpose is None else picture.transpose(transpose), metadata


def _check_size(image: Image.Image, at_most: int) -> None:
    if image.width * image.height > at_most:
        raise DecodeError(f"too many pixels ({image.width}x{image.height}); the limit is {at_most:,}")
    if not image.width * image.height:
        raise DecodeError("damaged or truncated (it has no pixels)")


def _scan_count(image: Image.Image, jpeg: bytes) -> int:
    """Count the scans of a JPEG: one if baseline, one per component, or progressive ones.

    Raises:
        DecodeError: there are so many that decoding could take hours.
    """
    scans = _scans(jpeg)
    if next(scans, 0) == len(image.getbands()) and not image.info.get("progressive"):
        return 1
    count = 1 + sum(1 for _ in scans)
    if count * image.width * image.height > MAX_SCAN_PIXELS:
        raise DecodeError(f"{count} scans of {image.width}x{image.height} pixels would take too long to decode")
    return count


def _scans(jpeg: bytes) -> Iterator[int]:
    """Yield the number of components of each scan. Source: ITU-T T.81, annex B."""
    marker = _MARKER.search(jpeg, 2)
    while marker is not None and marker[1] != _END_OF_IMAGE:
        segment = marker.end()
        if marker[1] == _START_OF_SCAN:
            yield int.from_bytes(jpeg[segment + 2 : segment + 3])
        marker = _MARKER.search(jpeg, segment + int.from_bytes(jpeg[segment : segment + 2]))


def _memory_needed(image: Image.Image, size: tuple[int, int], scans: int, *, full_size: bool) -> int:
    """Estimate the bytes that decoding takes; `size` is the stored size, `image.size` the one after a draft."""
    stored, drafted = size[0] * size[1], image.width * image.height
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]  # TIFF only
        tile = tags.get(322, 0), tags.get(323, 0)  # sides in pixels; a tile can be larger than the picture
        stored = drafted = max(stored, tile[0] * tile[1])
    needed = drafted * (_BYTES_PER_PIXEL.get(image.format or "", 4) + (8 if full_size else 0))
    if scans > 1:
        needed += stored * 2 * len(image.getbands())  # coefficients are held until the last scan
    if needed > MAX_MEMORY:
        raise DecodeError(
            f"{size[0]}x{size[1]} pixels of {image.format} would take {needed / 1e9:.1f} GB to decode; "
            f"the limit is {MAX_MEMORY / 1e9:.1f} GB; make the picture smaller, or save it as a JPEG"
        )
    return needed


def _reduction(size: tuple[int, int], at_least: int) -> int:
    """The factor by which a picture can be reduced."""
    shorter, longer = sorted(size)
    return max(1, shorter // at_least, -(-longer // (MAX_ASPECT * at_least)))


def _printable(error: Exception) -> str:
    """The message of an error as one printable line."""
    text = " ".join(str(error).split()) or type(error).__name__
    if "MAX_TEXT" in text:  # Pillow's message names its constants
        return "a compressed text or colour profile in it is too large"
    return "".join(c if c.isprintable() else "�" for c in text)[:160]
