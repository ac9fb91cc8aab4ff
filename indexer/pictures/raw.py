"""Camera RAW files, read by LibRaw: the largest preview inside, or else the sensor's data at half size.

The preview is the picture as the camera developed it, takes a tenth of the time, and in most cameras has enough
pixels. Its metadata is the RAW file's own where it is a TIFF, else the preview's.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterator, MutableMapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from PIL import ExifTags, Image

from ..errors import DecodeError
from .formats import FORMATS, supported_formats
from .limits import check_size, reserve
from .metadata import iptc
from .metadata.exif_tags import COORDINATES, POINTERS, WANTED
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
_KEPT: dict[int | None, Collection[int]] = {
    None: WANTED - POINTERS,
    ExifTags.IFD.Exif: WANTED,
    ExifTags.IFD.GPSInfo: COORDINATES,
}
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
        own = _own_exif(data, preview)
        _add_packets(image, own)
        exif = _kept(own)
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
        own = _own_exif(data, None)
        _add_packets(image, own)
        exif = _kept(own)
        if _BASE.Orientation in exif:  # LibRaw has turned it
            del exif[_BASE.Orientation]
        yield _opened(image, exif, size)


def _opened(image: Image.Image, exif: Image.Exif, size: tuple[int, int]) -> Opened:
    image.format = "RAW"
    image.info["exif"] = exif.tobytes()
    return Opened(image, size)


def _own_exif(data: bytes, preview: Image.Image | None) -> Image.Exif:
    """The metadata of a RAW file that is a TIFF, or else that of its preview."""
    own = Image.Exif()
    with suppress(Exception):  # Pillow raises anything on a broken EXIF block
        if _is_tiff(data):
            own.load_from_fp(io.BytesIO(data))
        elif data.startswith((b"IIU\0", b"IIR", b"MMOR")):  # TIFF but for these bytes
            own.load(b"Exif\0\0" + (b"II*\0" if data.startswith(b"II") else b"MM\0*") + data[4:])
        elif preview is not None:
            own = preview.getexif()
    return own


def _kept(own: Image.Exif) -> Image.Exif:
    """The tags that are read, without those that are damaged or of a type that cannot be written."""
    exif = Image.Exif()
    for directory, tags in _KEPT.items():
        values = _directory(own, directory)
        for tag in set(values).intersection(tags):
            with suppress(Exception):  # as above
                trial = Image.Exif()
                _directory(trial, directory)[tag] = values[tag]
                if trial.tobytes() and values[tag] != _NO_DATE:
                    _directory(exif, directory)[tag] = values[tag]
    return exif


def _directory(exif: Image.Exif, directory: int | None) -> MutableMapping[int, Any]:
    """One directory of an EXIF block; None is the first."""
    if directory is None:
        return exif
    with suppress(Exception):  # as above
        return exif.get_ifd(directory)
    return {}


def _add_packets(image: Image.Image, own: Image.Exif) -> None:
    """Put XMP and IPTC where Pillow has those of a JPEG."""
    values = {} if own._info is None else own._info._tagdata  # noqa: SLF001  see iptc_block
    if _XMP in values:
        image.info["xmp"] = values[_XMP]
    if iptc.TIFF_TAG in values:
        image.info["photoshop"] = {iptc.RESOURCE: values[iptc.TIFF_TAG]}


def _is_tiff(data: bytes) -> bool:
    return FORMATS["TIFF"].signature.match(data) is not None


def _message(error: Exception) -> str:
    text = error.args[0] if error.args else type(error).__name__
    return text.decode("ascii", "replace") if isinstance(text, bytes) else str(text)
