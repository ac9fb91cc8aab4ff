"""Camera RAW files, read by LibRaw: the largest preview inside, or else the sensor's data at half size.

The preview is the picture as the camera developed it, takes a tenth of the time, and in most cameras has enough
pixels. Date, camera and position come from the RAW file's own EXIF where it is a TIFF, else from the preview's.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from PIL import ExifTags, Image

from ..errors import DecodeError
from .formats import FORMATS, supported_formats
from .limits import check_size, reserve
from .opened import Opened
from .pillow_files import open_with_pillow
from .tiff import read_tags

if TYPE_CHECKING:
    import rawpy

BYTES_PER_PIXEL = 12
"""Peak memory of developing a sensor's data at half size: 8 measured with 12 megapixels, and some room."""

MIN_PREVIEW = 384
"""Pixels of the shorter side below which the sensor's data is developed instead, unless fewer are asked for."""

_BASE = ExifTags.Base
_KEPT = (_BASE.Make, _BASE.Model, _BASE.Orientation, _BASE.DateTime, _BASE.ImageDescription, _BASE.Artist)
_XMP, _SUBDIRECTORIES, _DNG_VERSION = 700, 330, 50706
_SENSOR_DATA = (32803, 34892)  # photometric interpretations: colour filter array, and linear raw
_NO_DATE = "1970:01:01 00:00:00"  # what LibRaw writes into a preview without EXIF if it knows no date
_SIDEWAYS = (5, 6, 7, 8)  # orientations

_Way = tuple[str, Callable[[], AbstractContextManager[Opened]]]


def may_be_raw(data: bytes) -> bool:
    """Whether a file looks like a camera's RAW file, so that LibRaw is asked before Pillow."""
    if FORMATS["RAW"].signature.match(data) is None or "RAW" not in supported_formats():
        return False
    if not _is_tiff(data) or data[8:10] == b"CR" or data[8:12] == b"IIII":
        return True
    tags = read_tags(data)
    reduced, photometric = tags.get(_BASE.NewSubfileType, (0,)), tags.get(_BASE.PhotometricInterpretation, (1,))
    of_camera = _SUBDIRECTORIES in tags or reduced == (1,) or photometric[0] in _SENSOR_DATA
    return _DNG_VERSION in tags or (_BASE.Make in tags and of_camera)


@contextmanager
def open_raw(data: bytes, at_least: int | None) -> Iterator[Opened | None]:
    """Decode a RAW file; None for a TIFF that LibRaw does not know as one.

    Raises:
        DecodeError: it is damaged, or has neither a preview nor sensor data that can be read.
    """
    import rawpy  # noqa: PLC0415  only for RAW files

    with rawpy.RawPy() as raw, ExitStack() as stack:
        try:
            raw.open_buffer(io.BytesIO(data))
        except rawpy.LibRawError as exc:
            if not _is_tiff(data):
                raise DecodeError("damaged, or a RAW file of a camera that LibRaw does not know") from exc
            yield None
            return
        check_size((raw.sizes.raw_width, raw.sizes.raw_height))
        ways: list[_Way] = [("sensor data", partial(_developed, raw, data))]
        if (preview := _preview(raw)) is not None:
            smallest = min(at_least or MIN_PREVIEW, MIN_PREVIEW)
            size = raw.sizes.width, raw.sizes.height
            way = "preview", partial(_previewed, data, preview, size, at_least)
            ways.insert(0 if min(_size(preview)) >= smallest else 1, way)
        yield _enter_first(stack, ways)


def _enter_first(stack: ExitStack, ways: list[_Way]) -> Opened:
    """Open a picture in the first way that succeeds; its note says which ones failed."""
    failed: list[str] = []
    for name, way in ways:
        try:
            opened = stack.enter_context(way())
        except Exception as exc:  # noqa: BLE001  a damaged preview: decoders raise anything
            failed.append(f"its {name} cannot be read ({_message(exc)})")
        else:
            return opened._replace(note=" and ".join(failed) or None)
    raise DecodeError(f"damaged, or a RAW file without a usable preview: {' and '.join(failed)}")


def _preview(raw: rawpy.RawPy) -> bytes | Image.Image | None:
    """The largest preview: a JPEG, or pixels."""
    with suppress(Exception):  # none, of an unknown kind, or damaged
        content = raw.extract_thumb().data
        return content if isinstance(content, bytes) else Image.fromarray(content)
    return None


def _size(preview: bytes | Image.Image) -> tuple[int, int]:
    with suppress(Exception), Image.open(io.BytesIO(preview)) if isinstance(preview, bytes) else preview as image:
        return image.size
    return 0, 0


@contextmanager
def _previewed(
    data: bytes, preview: bytes | Image.Image, size: tuple[int, int], at_least: int | None
) -> Iterator[Opened]:
    with ExitStack() as stack:
        if isinstance(preview, bytes):
            opened = stack.enter_context(open_with_pillow(preview, at_least))
            if opened.note is not None:
                raise DecodeError(f"its preview is {opened.note}")
            preview = opened.image
        image = preview.copy()  # without its format, and the EXIF block that Pillow has read already
        exif = _exif(data, preview)
        is_upright = (image.width < image.height) != (size[0] < size[1])
        if is_upright and exif.get(_BASE.Orientation) in _SIDEWAYS:
            del exif[_BASE.Orientation]
            size = size[1], size[0]
        yield _opened(image, exif, size)


@contextmanager
def _developed(raw: rawpy.RawPy, data: bytes) -> Iterator[Opened]:
    sizes = raw.sizes
    size = (sizes.height, sizes.width) if sizes.flip & 4 else (sizes.width, sizes.height)
    with reserve(BYTES_PER_PIXEL * sizes.raw_width * sizes.raw_height, size, "RAW"):
        image = Image.fromarray(raw.postprocess(half_size=True, use_camera_wb=True, output_bps=8))
        exif = _exif(data, None)
        if _BASE.Orientation in exif:  # LibRaw has turned it
            del exif[_BASE.Orientation]
        yield _opened(image, exif, size)


def _opened(image: Image.Image, exif: Image.Exif, size: tuple[int, int]) -> Opened:
    image.format = "RAW"
    image.info["exif"] = exif.tobytes()
    return Opened(image, size)


def _exif(data: bytes, preview: Image.Image | None) -> Image.Exif:
    """The metadata of a RAW file that is a TIFF, or else that of its preview."""
    exif = Image.Exif()
    with suppress(Exception):  # Pillow raises anything on a broken EXIF block
        own = Image.Exif()
        if _is_tiff(data):
            own.load_from_fp(io.BytesIO(data))
        elif data.startswith((b"IIU\0", b"IIR", b"MMOR")):  # TIFF but for these bytes
            own.load(b"Exif\0\0" + (b"II*\0" if data.startswith(b"II") else b"MM\0*") + data[4:])
        elif preview is not None:
            own = preview.getexif()
        for tag in _KEPT:
            if tag in own and own[tag] != _NO_DATE:
                exif[tag] = own[tag]
        for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            values = own.get_ifd(directory)
            values.pop(_BASE.MakerNote, None)
            exif.get_ifd(directory).update(values)
    return exif


def _is_tiff(data: bytes) -> bool:
    return FORMATS["TIFF"].signature.match(data) is not None


def _message(error: Exception) -> str:
    text = error.args[0] if error.args else type(error).__name__
    return text.decode("ascii", "replace") if isinstance(text, bytes) else str(text)
