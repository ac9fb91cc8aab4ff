"""From a file to an upright RGB picture, whatever the format and whatever is wrong with the file."""

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
"""Pictures beyond this are refused before they are decoded: a small file can ask for all the memory there is."""

MAX_MEMORY = 2**31
"""Bytes that decoding may take at one time, over all threads. A picture that would need more alone is refused."""

MAX_SCAN_PIXELS = 80 * MAX_PIXELS
"""Pixels times scans of a JPEG; progressive ones have about ten, and a few bytes can ask for another."""

LONGEST_SHAPE = 16
"""A picture longer than so many times what is needed is made smaller even where its other side falls short."""

Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2  # Pillow refuses twice this, some formats before they take the memory
pillow_heif.register_heif_opener()
warnings.filterwarnings(
    "ignore", module=r"PIL\."
)  # damaged metadata; what matters is raised, and becomes a DecodeError

_MEMORY = MemoryBudget(MAX_MEMORY)  # of the process, because its memory is
_BYTES_A_PIXEL = {"WEBP": 18, "AVIF": 10, "HEIF": 10, "TIFF": 10}
"""What decoding takes at its peak, measured; 4 where nothing is said, which is Pillow's own picture."""

_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")
_START_OF_SCAN, _END_OF_IMAGE = b"\xda", b"\xd9"


def reading_size(input_size: int) -> int:
    """What to ask of `read_picture` for a model whose input has this side: half as much again, which resizing needs.

    From twice the side on a camera's JPEG takes twice as long to decode, and its vector is the same (cosine 0.9998).
    """
    return 3 * input_size // 2


def open_image(source: Path | bytes, *, at_least: int | None = None, at_most: int = MAX_PIXELS) -> Image.Image:
    """Decode a picture: EXIF orientation and colour profile applied, alpha over white, first frame, sRGB.

    Args:
        source: a file, or its bytes.
        at_least: pixels that either side should keep if it has them; a larger picture comes back smaller, and a
            large JPEG is decoded so. The longer side has at most 16 times as many.
        at_most: pixels of the whole picture; one with more is refused by its header.

    Raises:
        DecodeError: not an image, damaged, cut short, or too large; the message says which.
    """
    return read_picture(source, at_least=at_least, at_most=at_most)[0]


def read_picture(
    source: Path | bytes, *, at_least: int | None = None, at_most: int = MAX_PIXELS
) -> tuple[Image.Image, PictureMetadata]:
    """Decode a picture as `open_image` does, and read its header."""
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
    except Exception as exc:  # decoders raise anything on damaged files; one is one failure, never a lost batch
        raise DecodeError(f"damaged or cut short ({_in_short(exc)})") from exc


def _decode(data: bytes, at_least: int | None, at_most: int) -> tuple[Image.Image, PictureMetadata]:
    # Only our own formats: others would start programs (EPS) or read whatever looks faintly like them.
    with Image.open(io.BytesIO(data), formats=supported_formats()) as image:
        size = image.size
        _check_size(image, at_most)
        scans = _scan_count(image, data) if image.format in ("JPEG", "MPO") else 1
        if at_least is not None and image.format in ("JPEG", "MPO"):
            image.draft("RGB", (at_least, at_least))
        with _MEMORY.reserve(_cost(image, size, scans, whole=at_least is None)):
            image.load()
            header, turn = read_metadata(image, size)
            picture = to_rgb(image, 1 if at_least is None else _factor(image.size, at_least))
            return picture if turn is None else picture.transpose(turn), header


def _check_size(image: Image.Image, at_most: int) -> None:
    if image.width * image.height > at_most:
        raise DecodeError(f"{image.width}x{image.height} pixels are more than the limit of {at_most}")
    if not image.width * image.height:
        raise DecodeError("damaged or cut short (it has no pixels)")


def _scan_count(image: Image.Image, jpeg: bytes) -> int:
    """How often a JPEG goes over its pixels: once, or a scan for each component, or ever finer ones.

    Raises:
        DecodeError: so often that it would take hours.
    """
    scans = _scans(jpeg)
    if next(scans, 0) == len(image.getbands()) and not image.info.get("progressive"):
        return 1
    count = 1 + sum(1 for _ in scans)
    if count * image.width * image.height > MAX_SCAN_PIXELS:
        raise DecodeError(f"{count} scans of {image.width}x{image.height} pixels would take too long to decode")
    return count


def _scans(jpeg: bytes) -> Iterator[int]:
    """Each scan by its number of components. Source: ITU-T T.81, annex B."""
    found = _MARKER.search(jpeg, 2)
    while found is not None and found[1] != _END_OF_IMAGE:
        at = found.end()
        if found[1] == _START_OF_SCAN:
            yield int.from_bytes(jpeg[at + 2 : at + 3])
        found = _MARKER.search(jpeg, at + int.from_bytes(jpeg[at : at + 2]))


def _cost(image: Image.Image, size: tuple[int, int], scans: int, *, whole: bool) -> int:
    """The bytes that decoding will take, roughly; `size` is the stored one, the image's the one after a draft."""
    stored, drafted = size[0] * size[1], image.width * image.height
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]  # a TIFF has it
        sides = tags.get(322, 0), tags.get(323, 0)  # of a tile, which may be larger than the picture
        stored = drafted = max(stored, sides[0] * sides[1])
    cost = drafted * (_BYTES_A_PIXEL.get(image.format or "", 4) + (8 if whole else 0))
    if scans > 1:
        cost += stored * 2 * len(image.getbands())  # all coefficients are kept until the last scan
    if cost > MAX_MEMORY:
        raise DecodeError(
            f"{size[0]}x{size[1]} pixels of {image.format} would take {cost / 1e9:.1f} GB to decode, "
            f"more than the limit of {MAX_MEMORY / 1e9:.1f}; save it smaller, or as a JPEG"
        )
    return cost


def _factor(size: tuple[int, int], at_least: int) -> int:
    """How many times smaller a picture may become."""
    shorter, longer = sorted(size)
    return max(1, shorter // at_least, -(-longer // (LONGEST_SHAPE * at_least)))


def _in_short(error: Exception) -> str:
    """What an error says, in one printable line."""
    text = " ".join(str(error).split()) or type(error).__name__
    if "MAX_TEXT" in text:  # Pillow names its own constants
        return "a text or colour profile in it unpacks to far more than it should"
    return "".join(c if c.isprintable() else "�" for c in text)[:160]
