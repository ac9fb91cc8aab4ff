"""TIFF files whose samples Pillow does not know."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress
from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest

from indexer import open_image
from indexer.errors import DecodeError
from indexer.pictures import limits
from indexer.pictures.decode import read_picture
from tests.indexer.pictures.hostile import photograph


def tiff(
    values: npt.NDArray[np.generic],
    *,
    order: Literal["<", ">"] = "<",
    predictor: int = 1,
    tile: int = 0,
    compression: int = 8,
) -> bytes:
    """Write samples (H, W, S) in one strip, or in square tiles; deflated, or as they are."""
    height, width, samples = values.shape
    values = values.astype(values.dtype.newbyteorder(order))
    blocks = [values]
    if tile:
        padded = np.pad(values, ((0, -height % tile), (0, -width % tile), (0, 0)))
        blocks = [padded[y : y + tile, x : x + tile] for y in range(0, height, tile) for x in range(0, width, tile)]
    packed = [_predict(block, predictor).tobytes() for block in blocks]
    if compression == 8:
        packed = [zlib.compress(block) for block in packed]
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    offsets = [8 + sum(map(len, packed[:number])) for number in range(len(packed))]
    tags = {256: [width], 257: [height], 258: [8 * values.dtype.itemsize] * samples, 259: [compression]}
    tags |= {262: [2 if samples >= 3 else 1], 277: [samples], 284: [1], 317: [predictor], 339: [kind] * samples}
    places = {322: [tile], 323: [tile], 324: offsets, 325: [len(block) for block in packed]}
    tags |= places if tile else {273: offsets, 278: [height], 279: [len(packed[0])]}
    return _file(tags, b"".join(packed), order)


def _predict(block: npt.NDArray[np.generic], predictor: int) -> npt.NDArray[np.generic]:
    if predictor == 2:
        return np.diff(block, axis=1, prepend=np.zeros_like(block[:, :1])).astype(block.dtype)
    if predictor == 1:
        return block
    height, width, samples = block.shape
    size = block.dtype.itemsize
    big = np.ascontiguousarray(block.astype(block.dtype.newbyteorder(">"))).view(np.uint8)
    planes = big.reshape(height, width * samples, size).swapaxes(1, 2).reshape(height, -1, samples)
    return np.diff(planes, axis=1, prepend=np.zeros_like(planes[:, :1])).astype(np.uint8)


def _file(tags: dict[int, list[int]], data: bytes, order: str) -> bytes:
    start = 8 + len(data)
    entries, values, after = struct.pack(order + "H", len(tags)), b"", start + 2 + 12 * len(tags) + 4
    for tag, numbers in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(numbers)}I", *numbers)
        if len(numbers) > 1:
            packed, values = struct.pack(order + "I", after + len(values)), values + packed
        entries += struct.pack(order + "HHI", tag, 4, len(numbers)) + packed
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", start)
    return head + data + entries + bytes(4) + values


def shade(dtype: str, samples: int = 3) -> npt.NDArray[np.generic]:
    """The photograph as values of a type: floats from 0 to 1, whole numbers over their range."""
    picture = np.asarray(photograph()).astype(np.float64) / 255
    picture = np.dstack([picture, picture])[..., :samples]
    if np.dtype(dtype).kind == "f":
        return picture.astype(dtype)
    return (picture * np.iinfo(dtype).max).astype(dtype)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("tile", [0, 32])
@pytest.mark.parametrize(
    ("dtype", "predictor"), [("f2", 1), ("f2", 3), ("f4", 1), ("f4", 3), ("u4", 1), ("u4", 2), ("f8", 3)]
)
def test_samples_are_read_in_every_layout(dtype: str, predictor: int, tile: int, order: Literal["<", ">"]) -> None:
    """In either byte order, in strips and tiles, with each predictor."""
    image, metadata = read_picture(tiff(shade(dtype), predictor=predictor, tile=tile, order=order))
    assert metadata.format == "TIFF"
    expected = np.asarray(photograph()).astype(int)
    if dtype == "u4":  # shown over the range in use
        expected = ((expected - expected.min()) * 255 / (expected.max() - expected.min())).round()
    assert np.abs(np.asarray(image).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("samples", [1, 5, 6])
def test_other_numbers_of_bands_are_shown_as_grey_or_by_the_first_three(samples: int) -> None:
    """Instruments and satellites record what has no colour."""
    dtype = "f2" if samples == 1 else "u1"
    pixels = np.asarray(open_image(tiff(shade(dtype, samples), compression=1)))
    expected = np.asarray(photograph())[..., [0, 0, 0]] if samples == 1 else np.asarray(photograph())
    assert pixels.shape == (48, 64, 3)
    assert np.corrcoef(pixels.ravel(), expected.ravel())[0, 1] > 0.999


def test_missing_measurements_do_not_change_the_range() -> None:
    """NaN becomes black."""
    values = shade("f4").copy()
    values[0, 0] = np.nan
    pixels = np.asarray(open_image(tiff(values)))
    assert pixels[0, 0].tolist() == [0, 0, 0]
    assert np.abs(pixels[1:].astype(int) - np.asarray(photograph())[1:]).max() <= 1


@pytest.mark.parametrize("compression", [34712, 50002, 34887])
def test_a_sound_file_of_an_unknown_kind_is_called_that(compression: int) -> None:
    """JPEG 2000, JPEG XL or LERC inside a TIFF is no damage."""
    with pytest.raises(DecodeError, match="a kind of TIFF that crosslook does not read"):
        open_image(tiff(shade("f2"), compression=compression))


def test_a_tiff_with_hostile_dimensions_takes_no_memory() -> None:
    """Neither a wide tile nor a wide picture is allocated."""
    data = tiff(shade("f2"))
    wide = data.replace(struct.pack("<HHII", 256, 4, 1, 64), struct.pack("<HHII", 256, 4, 1, 2**31 - 1))
    with pytest.raises(DecodeError, match="too many pixels"):
        open_image(wide)
    tall = data.replace(struct.pack("<HHII", 257, 4, 1, 48), struct.pack("<HHII", 257, 4, 1, 3_000_000))
    with pytest.raises(DecodeError, match="would take"):
        open_image(tall)
    tiled = tiff(shade("f2"), tile=32)
    tiled = tiled.replace(struct.pack("<HHII", 322, 4, 1, 32), struct.pack("<HHII", 322, 4, 1, 2**24))
    with pytest.raises(DecodeError, match=r"too many pixels|would take"):
        open_image(tiled)


def test_damage_raises_nothing_but_a_decode_error() -> None:
    """Any byte may be wrong, and any number of them missing."""
    data = tiff(shade("f2"), predictor=3, tile=32)
    chance = np.random.default_rng(3)
    for _ in range(300):
        changed = bytearray(data)
        for at in chance.integers(max(0, len(data) - 400), len(data), 4):
            changed[at] = chance.integers(256)
        with suppress(DecodeError):
            assert open_image(bytes(changed[: chance.integers(len(data) - 400, len(data) + 1)])).mode == "RGB"


def test_memory_is_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    """The samples count, not only the pixels."""
    monkeypatch.setattr(limits, "MAX_MEMORY", 50_000)
    with pytest.raises(DecodeError, match="64x48 pixels of TIFF would take"):
        open_image(io.BytesIO(tiff(shade("f8"))).read())
