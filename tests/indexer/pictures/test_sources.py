"""Pictures in memory are read as files are."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from indexer import open_image
from indexer.errors import DecodeError
from indexer.pictures.decode import read_picture
from indexer.pictures.sources import PictureSource
from tests.indexer.pictures.hostile import encoded, photograph, whole
from tests.indexer.pictures.profiles import ADOBE_RGB, rgb_profile
from tests.indexer.pictures.raws import psd

EXIF = Image.Exif()
EXIF[274] = 6
CLEAR = photograph()
CLEAR.putalpha(photograph().convert("L").point(lambda level: 255 * (level > 60)))
DEEP = Image.fromarray(np.asarray(photograph().convert("L")).astype(np.uint16) * 16)

FILES = {
    "plain": whole("PNG"),
    "turned": encoded(photograph(), "JPEG", exif=EXIF),
    "turned TIFF": encoded(photograph(), "TIFF", exif=EXIF),
    "turned HEIF": encoded(photograph(), "HEIF", exif=EXIF.tobytes()),
    "turned PNG": encoded(photograph(), "PNG", exif=EXIF),
    "transparent": encoded(CLEAR, "PNG"),
    "transparent palette": encoded(photograph().quantize(16), "PNG", transparency=3),
    "12 bits": encoded(DEEP, "PNG"),
    "wide colours": encoded(photograph(), "PNG", icc_profile=rgb_profile(ADOBE_RGB, 2.2)),
    "inks": encoded(photograph().convert("CMYK"), "JPEG"),
}


@pytest.mark.parametrize("name", FILES)
def test_each_way_in_gives_the_picture_of_the_file(name: str, tmp_path: Path) -> None:
    """A path, a string, bytes, and a Pillow image before and after its pixels are loaded."""
    data = FILES[name]
    path = tmp_path / "picture"
    path.write_bytes(data)
    expected = np.asarray(open_image(path))
    loaded = Image.open(io.BytesIO(data))
    loaded.load()
    sources: list[PictureSource] = [str(path), data, bytearray(data), memoryview(data), loaded]
    if name != "turned TIFF":  # whose copies have no metadata, but are upright
        sources.append(loaded.copy())
    sources.append(Image.open(io.BytesIO(data)))
    for source in sources:
        np.testing.assert_array_equal(np.asarray(open_image(source)), expected)


@pytest.mark.parametrize(
    "data",
    [
        encoded(photograph(), "JPEG")[:-2],
        encoded(Image.new("RGB", (64, 48)), "GIF", save_all=True, append_images=[photograph()]),
        psd(CLEAR),
    ],
    ids=["without its end", "an animation that fades in", "a saved selection"],
)
def test_an_image_whose_pixels_are_not_read_yet_is_its_file(data: bytes) -> None:
    """What is done for files is done for it, and it can still be used."""
    image = Image.open(io.BytesIO(data))
    np.testing.assert_array_equal(np.asarray(open_image(image)), np.asarray(open_image(data)))
    assert image.size == (64, 48)
    if not data.startswith(b"\xff"):
        image.load()


def test_the_frame_that_a_caller_chose_is_the_picture() -> None:
    """Not the first one."""
    image = Image.open(
        io.BytesIO(encoded(photograph(), "GIF", save_all=True, append_images=[Image.new("RGB", (64, 48))]))
    )
    image.seek(1)
    assert np.asarray(open_image(image)).max() < 8


def test_a_picture_that_was_opened_can_be_given_again() -> None:
    """Its turn and its colours are not applied twice."""
    for data in FILES.values():
        picture = open_image(data)
        np.testing.assert_array_equal(np.asarray(open_image(picture)), np.asarray(picture))


def test_a_given_image_is_not_changed() -> None:
    """It belongs to the caller."""
    image = Image.open(io.BytesIO(FILES["turned"]))
    open_image(image, at_least=16)
    assert image.size == (64, 48)
    assert "exif" in image.info


def test_a_large_image_in_memory_is_reduced() -> None:
    """As a file is."""
    assert open_image(Image.new("RGB", (1000, 600), "red"), at_least=100).size == (167, 100)
    assert read_picture(np.zeros((600, 1000), np.uint8), at_least=100)[1].width == 1000


COLOURS = np.asarray(photograph())


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (COLOURS, COLOURS),
        (COLOURS[..., 0], COLOURS[..., [0, 0, 0]]),
        (COLOURS[..., :1], COLOURS[..., [0, 0, 0]]),
        (np.asarray(CLEAR), np.asarray(open_image(FILES["transparent"]))),
        (COLOURS.astype(np.uint16) * 257, COLOURS),
        (COLOURS[..., 0].astype(np.uint16) * 257, COLOURS[..., [0, 0, 0]]),
        (COLOURS / 255, COLOURS),
        ((COLOURS / 255).astype(np.float32)[..., 0], COLOURS[..., [0, 0, 0]]),
        (COLOURS[:, ::-1], COLOURS[:, ::-1]),
    ],
)
def test_arrays_are_pictures(array: npt.NDArray[Any], expected: npt.NDArray[np.uint8]) -> None:
    """Grey, colours, alpha; 8 bits, 16 bits, and floats from 0 to 1; in any memory layout."""
    assert np.abs(np.asarray(open_image(array)).astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (np.zeros((3, 48, 64), np.uint8), r"shape 3x48x64; a picture has the shape \(H, W\)"),
        (np.zeros((2, 48, 64, 3), np.uint8), "shape 2x48x64x3"),
        (np.zeros((0, 4), np.uint8), "shape 0x4"),
        (np.zeros(5, np.uint8), "shape 5;"),
        (np.zeros((4, 4), np.int64), "an array of int64"),
        (np.zeros((4, 4), bool), "an array of bool"),
        (np.full((4, 4), "a"), "an array of <U1"),
        (np.full((4, 4), 255.0), r"floats from 255 to 255; they must be in \[0, 1\]"),
        (np.full((4, 4), np.nan), "floats from nan to nan"),
        (np.full((4, 4), -0.1), "floats from -0.1"),
        (None, "NoneType is not a picture; give a path, the bytes of a file, a Pillow image or an array"),
        ([1, 2], "list is not a picture"),
        (5, "int is not a picture"),
        (io.BytesIO(b"x"), "BytesIO is not a picture"),
        (b"", "the file is empty"),
        (memoryview(b""), "the file is empty"),
        ("", "Is a directory"),
        ("a\0b", "cannot be read"),
        ("/dev/null", "not a regular file but a device"),
        (Image.new("RGB", (0, 5)), "it has no pixels"),
    ],
)
def test_anything_else_is_refused_with_a_reason(source: Any, words: str) -> None:
    """The message says what was given, and what can be."""
    with pytest.raises(DecodeError, match=words):
        open_image(source)


def test_an_image_whose_file_is_closed_is_refused() -> None:
    """Pillow reads pixels when they are first needed."""
    with Image.open(io.BytesIO(whole("PNG"))) as image:
        pass
    with pytest.raises(DecodeError, match="damaged or truncated"):
        open_image(image)
