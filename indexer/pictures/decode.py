"""Decode picture files, including damaged and hostile ones, and pictures in memory, to upright RGB pictures."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from ..errors import DecodeError
from .colours import to_rgb
from .formats import FORMATS, begins_like_a_picture, foreign_kind
from .jxl import is_jxl, open_jxl
from .limits import MAX_PIXELS, check_size, reserve
from .metadata import PictureMetadata, read_metadata, with_note
from .opened import Opened
from .pillow_files import open_with_pillow
from .raw import may_be_raw, open_raw
from .safe_read import read_file
from .sources import PictureSource, image_of_array, is_picture_source, unread_file
from .tiff import open_samples

MAX_ASPECT = 16
"""A picture whose longer side exceeds `at_least` by more than this factor is reduced, however small the other side."""

IN_MEMORY_BYTES_PER_PIXEL = 14
"""Measured peak memory of converting a picture that is given in memory."""

warnings.filterwarnings("ignore", module=r"PIL\.")  # about damaged metadata; real failures raise


def reading_size(input_size: int) -> int:
    """The `at_least` of `read_picture` for a model's input size: 1.5 times as many pixels, to leave room for resizing.

    From a factor of 2, a camera's JPEG takes twice as long to decode for the same vector (cosine 0.9998).
    """
    return 3 * input_size // 2


def open_image(source: PictureSource, *, at_least: int | None = None) -> Image.Image:
    """Decode a picture to sRGB: EXIF orientation and colour profile applied, alpha over white or what it shows on.

    Of an animation, this is the first frame that is not of one colour; of a camera's RAW file, its largest preview.

    Args:
        source: a file, its bytes, a Pillow image, or an array, see `PictureSource`.
        at_least: minimum pixels of the shorter side, unless the picture has fewer. Larger pictures are reduced, JPEGs
            already while decoding; the longer side gets at most 16 times as many pixels.

    Raises:
        DecodeError: not an image, damaged, truncated, or too large.
    """
    return read_picture(source, at_least=at_least)[0]


def read_picture(source: PictureSource, *, at_least: int | None = None) -> tuple[Image.Image, PictureMetadata]:
    """Decode a picture as `open_image` does, and read its metadata; a note of it says what a damaged file lacks."""
    if isinstance(source, str | os.PathLike):
        with read_file(Path(source)) as content:
            return read_picture(content, at_least=at_least)
    if not is_picture_source(source):
        raise DecodeError(
            f"{type(source).__name__} is not a picture; give a path, the bytes of a file, a Pillow image or an array"
        )
    data = bytes(source) if isinstance(source, bytearray | memoryview) else source
    if isinstance(data, Image.Image):
        data = unread_file(data) or data
    if isinstance(data, bytes) and not data:
        raise DecodeError("the file is empty")
    with _as_decode_errors(data), ExitStack() as stack:
        opened = _open(stack, data, at_least)
        metadata, transpose = read_metadata(opened.image, opened.size)
        picture = to_rgb(opened.image, 1 if at_least is None else _reduction(opened.image.size, at_least))
        upright = picture if transpose is None else picture.transpose(transpose)
        upright.info = {}  # its orientation and profile have been applied
        return upright, metadata if opened.note is None else with_note(metadata, opened.note)


def _open(stack: ExitStack, source: bytes | Image.Image | npt.NDArray[Any], at_least: int | None) -> Opened:
    """Decode a picture with the reader that knows it; the stack keeps its memory reserved."""
    if isinstance(source, np.ndarray):
        source = image_of_array(source)
    if isinstance(source, Image.Image):
        check_size(source.size)
        needed = IN_MEMORY_BYTES_PER_PIXEL * source.width * source.height
        stack.enter_context(reserve(needed, source.size, "a picture in memory"))
        source.load()
        return Opened(source, source.size)
    if is_jxl(source):
        return stack.enter_context(open_jxl(source))
    if may_be_raw(source) and (raw := stack.enter_context(open_raw(source, at_least))) is not None:
        return raw
    try:
        return stack.enter_context(open_with_pillow(source, at_least))
    except UnidentifiedImageError:
        if FORMATS["TIFF"].signature.match(source) is None:
            raise
    return stack.enter_context(open_samples(source))


@contextmanager
def _as_decode_errors(source: bytes | Image.Image | npt.NDArray[Any]) -> Iterator[None]:
    """Raise a DecodeError for whatever decoding raises."""
    try:
        yield
    except DecodeError:
        raise
    except UnidentifiedImageError as exc:
        raise DecodeError(_unidentified(source if isinstance(source, bytes) else b"")) from exc
    except Image.DecompressionBombError as exc:
        raise DecodeError(f"too many pixels; the limit is {MAX_PIXELS:,}") from exc
    except MemoryError as exc:
        raise DecodeError("does not fit into memory") from exc
    except Exception as exc:  # decoders raise anything on damaged files, and one file must not fail a batch
        raise DecodeError(f"damaged or truncated ({_printable(exc)})") from exc


def _unidentified(data: bytes) -> str:
    """Say what a file is that no reader knows."""
    if (kind := foreign_kind(data)) is not None:
        return f"not an image that crosslook reads, but {kind}"
    if begins_like_a_picture(data):
        return "damaged or truncated (it starts like a picture, but its header is invalid)"
    return "not an image, or an unsupported format"


def _reduction(size: tuple[int, int], at_least: int) -> int:
    """The factor by which a picture can be reduced."""
    shorter, longer = sorted(size)
    return max(1, shorter // at_least, -(-longer // (MAX_ASPECT * at_least)))


def _printable(error: Exception) -> str:
    """The message of an error as one printable line."""
    text = " ".join(str(error).split()) or type(error).__name__
    if "MAX_TEXT" in text:  # Pillow's message names its constants
        return "a compressed text or colour profile in it is too large"
    return "".join(c if c.isprintable() else "\ufffd" for c in text)[:160]
