"""From a file to an upright RGB picture."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from indexer import DecodeError, open_image, supported_formats
from indexer import decode as module
from indexer.decode import read_picture


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """The bytes of a picture file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def corners() -> Image.Image:
    """30 wide, 20 high: red top left, green top right, blue bottom left, white bottom right."""
    image = Image.new("RGB", (30, 20))
    for box, colour in {
        (0, 0, 15, 10): "red",
        (15, 0, 30, 10): "lime",
        (0, 10, 15, 20): "blue",
        (15, 10, 30, 20): "white",
    }.items():
        image.paste(colour, box)
    return image


INVERSE = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_made_upright(orientation: int) -> None:
    """A camera held in any of eight ways gives the same picture, and the header's size is the upright one."""
    undo = INVERSE[orientation]
    stored = corners() if undo is None else corners().transpose(undo)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    image, header = read_picture(encoded(stored, "PNG", exif=exif))
    assert (header.width, header.height) == (30, 20)
    assert image.size == (30, 20)
    np.testing.assert_array_equal(np.asarray(image), np.asarray(corners()))


def test_alpha_lies_over_white() -> None:
    """A transparent pixel is white, a half transparent black one grey."""
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 0, 128))
    pixels = np.asarray(open_image(encoded(image, "PNG")))
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert abs(int(pixels[0, 1, 0]) - 127) <= 1


def test_grey_with_alpha_lies_over_white() -> None:
    """Mode LA is treated as RGBA is."""
    assert np.asarray(open_image(encoded(Image.new("LA", (4, 4), (0, 0)), "PNG"))).min() == 255


def test_a_transparent_colour_of_an_rgb_png_is_white() -> None:
    """A tRNS chunk names one colour as transparent."""
    data = encoded(Image.new("RGB", (4, 4), (1, 2, 3)), "PNG", transparency=(1, 2, 3))
    assert np.asarray(open_image(data)).min() == 255


def test_a_palette_keeps_its_colours_and_transparency() -> None:
    """Mode P becomes the colours it stands for."""
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    pixels = np.asarray(open_image(encoded(image, "PNG")))
    assert pixels.tolist() == [[[10, 20, 30], [200, 100, 50]]]
    assert np.asarray(open_image(encoded(image, "PNG", transparency=1)))[0, 1].tolist() == [255, 255, 255]


def test_cmyk_becomes_rgb() -> None:
    """A printer's red is red."""
    red, green, blue = np.asarray(open_image(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG")))[8, 8]
    assert red > 200
    assert green < 60
    assert blue < 60


def test_sixteen_bits_are_scaled_not_cut() -> None:
    """A 16-bit ramp keeps its order and range; cutting off the upper byte would leave it white."""
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    pixels = np.asarray(open_image(encoded(Image.fromarray(ramp), "PNG")))[..., 0].ravel()
    assert pixels[0] == 0
    assert pixels[-1] == 255
    assert (np.diff(pixels.astype(int)) >= 0).all()
    assert abs(int(pixels[128]) - 128) <= 1


def test_floating_point_is_scaled_by_its_range() -> None:
    """A TIFF of measurements shows its darkest and brightest values."""
    values = np.array([[-3.5, 0, 3.5]], np.float32)
    dark, middle, bright = np.asarray(open_image(encoded(Image.fromarray(values), "TIFF")))[0, :, 0].tolist()
    assert (dark, bright) == (0, 255)
    assert middle in (127, 128)


def test_one_bit_is_black_and_white() -> None:
    """Mode 1 has two colours."""
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    assert np.asarray(open_image(encoded(image, "PNG")))[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_stands_for_an_animation(kind: str) -> None:
    """Of several frames the first is taken."""
    frames = [Image.new("RGB", (20, 20), c) for c in ("red", "blue", "lime")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    red, green, blue = (int(v) for v in np.asarray(open_image(data))[10, 10])
    assert red > 240
    assert max(green, blue) < 16


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_telephone_formats_are_read(kind: str) -> None:
    """HEIC and AVIF decode, and say what they are."""
    image, header = read_picture(encoded(Image.new("RGB", (64, 48), "red"), kind, quality=90))
    assert image.size == (64, 48)
    assert header.format == kind
    assert np.asarray(image)[24, 32, 0] > 220
    assert kind in supported_formats()


def test_a_rotated_heic_is_turned_once() -> None:
    """The HEIF decoder turns the picture itself; turning it again by EXIF would lay it on its side."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    image, header = read_picture(encoded(Image.new("RGB", (64, 48), "red"), "HEIF", exif=exif.tobytes()))
    assert image.size == (48, 64)
    assert (header.width, header.height) == (48, 64)


def test_a_large_jpeg_is_decoded_smaller_but_described_whole() -> None:
    """Draft mode saves time; the header still tells the real size."""
    image, header = read_picture(encoded(Image.new("RGB", (1600, 1200), "red"), "JPEG"), at_least=300)
    assert (header.width, header.height) == (1600, 1200)
    assert 300 <= max(image.size) < 1600


def test_a_draft_never_falls_below_what_is_asked() -> None:
    """A panorama's short side must not become too small for the model."""
    image, _ = read_picture(encoded(Image.new("RGB", (4000, 400), "red"), "JPEG"), at_least=448)
    assert image.width >= 448


def test_exif_tells_date_camera_and_place() -> None:
    """What a camera writes ends in the header."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Leitz"
    exif[ExifTags.Base.Model] = "M3"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2024:03:01 12:30:00"
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitudeRef], gps[ExifTags.GPS.GPSLatitude] = "S", (33.0, 30.0, 0.0)
    gps[ExifTags.GPS.GPSLongitudeRef], gps[ExifTags.GPS.GPSLongitude] = "E", (151.0, 15.0, 0.0)
    _, header = read_picture(encoded(Image.new("RGB", (8, 8)), "JPEG", exif=exif))
    assert header.taken_at == "2024-03-01T12:30:00"
    assert header.camera == "Leitz M3"
    assert (header.latitude, header.longitude) == (-33.5, 151.25)


def test_broken_exif_does_not_lose_the_picture() -> None:
    """Metadata that make no sense are passed over."""
    data = encoded(Image.new("RGB", (8, 8), "red"), "JPEG", exif=b"Exif\x00\x00garbage garbage")
    assert open_image(data).size == (8, 8)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"this is no picture", "not an image"),
        (encoded(corners(), "PNG")[:60], "damaged or cut short"),
        (encoded(Image.new("RGB", (64, 64), "red"), "JPEG")[:300], "damaged or cut short"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(data: bytes, words: str) -> None:
    """Empty, foreign and truncated files each say what is wrong."""
    with pytest.raises(DecodeError, match=words):
        open_image(data)


def test_a_missing_file_is_refused_with_a_reason(tmp_path: Path) -> None:
    """The system's own reason is passed on."""
    with pytest.raises(DecodeError, match="No such file"):
        open_image(tmp_path / "none.jpg")


def test_a_decompression_bomb_is_refused_before_it_is_decoded() -> None:
    """A few bytes that promise 40 gigapixels cost nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 200_000, 200_000, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0")) + chunk(b"IEND", b"")
    with pytest.raises(DecodeError, match=f"more than the limit of {module.MAX_PIXELS}"):
        open_image(data)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damage_is_refused_or_survived_but_never_crashes(data: st.DataObject) -> None:
    """Bytes changed anywhere in a file give a picture or a DecodeError, nothing else."""
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"]))
    whole = bytearray(encoded(corners(), kind))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(1, len(whole)))
    with suppress(DecodeError):
        assert open_image(bytes(whole[:cut])).mode == "RGB"
