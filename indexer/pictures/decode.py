"""Decode picture files of any format, damaged or hostile ones included, to upright RGB pictures."""

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
"""Larger pictures are refused before decoding: a small file can ask for all the memory there is."""

MAX_MEMORY = 2**31
"""Bytes that decoding may take at one time, over all threads. A picture that alone needs more is refused."""

MAX_SCAN_PIXELS = 80 * MAX_PIXELS
"""Pixels times scans of a JPEG; progressive ones have about ten scans, and a few bytes can add another."""

LONGEST_SHAPE = 16
"""Ratio of the longer side to the size needed beyond which a picture is reduced, even if the other side is small."""

Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2  # Pillow refuses twice this, some formats before allocating memory
pillow_heif.register_heif_opener()
warnings.filterwarnings(
    "ignore", module=r"PIL\."
)  # damaged metadata; what matters is raised, and becomes a DecodeError

_MEMORY = MemoryBudget(MAX_MEMORY)  # one per process, as is its memory
_BYTES_A_PIXEL = {"WEBP": 18, "AVIF": 10, "HEIF": 10, "TIFF": 10}
"""Peak memory of decoding, measured; 4 for other formats, which is the size of Pillow's own picture."""

_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")
_START_OF_SCAN, _END_OF_IMAGE = b"\xda", b"\xd9"


def reading_size(input_size: int) -> int:
    """The `at_least` of `read_picture` for a model with this input size: 1.5 times as much, for resizing.

    From twice the size on, a camera's JPEG takes twice as long to decode for the same vector (cosine 0.9998).
    """
    return 3 * input_size // 2


def open_image(source: Path | bytes, *, at_least: int | None = None, at_most: int = MAX_PIXELS) -> Image.Image:
    """Decode a picture: EXIF orientation and colour profile applied, alpha over white, first frame, sRGB.

    Args:
        source: a file, or its bytes.
        at_least: pixels that both sides keep if they have them; a larger picture is reduced, a JPEG already while it
            is decoded. The longer side has at most 16 times as many.
        at_most: maximum pixels of the whole picture; one with more is refused by its header.

    Raises:
        DecodeError: not an image, damaged, cut short, or too large; the message says which.
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
            raise DecodeError("damaged or cut short (it begins like a picture, but its header makes no sense)") from exc
        raise DecodeError("not an image, or of a format that is not known") from exc
    except Image.DecompressionBombError as exc:
        raise DecodeError(f"its pixels are more than the limit of {MAX_PIXELS}") from exc
    except MemoryError as exc:
        raise DecodeError("it does not fit into memory") from exc
    except Exception as exc:  # decoders raise anything on damaged files; one must not lose a batch
        raise DecodeError(f"damaged or cut short ({_one_line(exc)})") from exc


def _decode(data: bytes, at_least: int | None, at_most: int) -> tuple[Image.Image, PictureMetadata]:
    # Only the supported formats: others start programs (EPS), or accept almost any bytes.
    with Image.open(io.BytesIO(data), formats=supported_formats()) as image:
        size = image.size
        _check_size(image, at_most)
        scans = _scan_count(image, data) if image.format in ("JPEG", "MPO") else 1
        if at_least is not None and image.format in ("JPEG", "MPO"):
            image.draft("RGB", (at_least, at_least))
        with _MEMORY.reserve(_cost(image, size, scans, whole=at_least is None)):
            image.load()
            metadata, turn = read_metadata(image, size)
            picture = to_rgb(image, 1 if at_least is None else _factor(image.size, at_least))
            return picture if turn is None else picture.transpose(turn), metadata


def _check_size(image: Image.Image, at_most: int) -> None:
    if image.width * image.height > at_most:
        raise DecodeError(f"{image.width}x{image.height} pixels are more than the limit of {at_most}")
    if not image.width * image.height:
        raise DecodeError("damaged or cut short (it has no pixels)")


def _scan_count(image: Image.Image, jpeg: bytes) -> int:
    """Count the scans of a JPEG: one if baseline, one per component, or progressive ones.

    Raises:
        DecodeError: there are so many that decoding would take hours.
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
        at = marker.end()
        if marker[1] == _START_OF_SCAN:
            yield int.from_bytes(jpeg[at + 2 : at + 3])
        marker = _MARKER.search(jpeg, at + int.from_bytes(jpeg[at : at + 2]))


def _cost(image: Image.Image, size: tuple[int, int], scans: int, *, whole: bool) -> int:
    """Estimate the bytes that decoding takes; `size` is the stored size, `image.size` the one after a draft."""
    stored, drafted = size[0] * size[1], image.width * image.height
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]  # a TIFF has it
        sides = tags.get(322, 0), tags.get(323, 0)  # of a tile, which may be larger than the picture
        stored = drafted = max(stored, sides[0] * sides[1])
    cost = drafted * (_BYTES_A_PIXEL.get(image.format or "", 4) + (8 if whole else 0))
    if scans > 1:
        cost += stored * 2 * len(image.getbands())  # coefficients are held until the last scan
    if cost > MAX_MEMORY:
        raise DecodeError(
            f"{size[0]}x{size[1]} pixels of {image.format} would take {cost / 1e9:.1f} GB to decode, "
            f"more than the limit of {MAX_MEMORY / 1e9:.1f}; save it smaller, or as a JPEG"
        )
    return cost


def _factor(size: tuple[int, int], at_least: int) -> int:
    """The factor by which a picture may be reduced."""
    shorter, longer = sorted(size)
    return max(1, shorter // at_least, -(-longer // (LONGEST_SHAPE * at_least)))


def _one_line(error: Exception) -> str:
    """The message of an error as one printable line."""
    text = " ".join(str(error).split()) or type(error).__name__
    if "MAX_TEXT" in text:  # Pillow names its own constants
        return "a text or colour profile in it unpacks to far more than it should"
    return "".join(c if c.isprintable() else "�" for c in text)[:160]
