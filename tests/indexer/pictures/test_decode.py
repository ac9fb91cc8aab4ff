"""Decoding files to upright RGB pictures."""

from __future__ import annotations

import io
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageFile, TiffImagePlugin

from indexer import open_image
from indexer.errors import DecodeError
from indexer.pictures import colours
from indexer.pictures import limits as module
from indexer.pictures.colours import to_rgb
from indexer.pictures.decode import read_picture
from indexer.pictures.formats import FORMATS, begins_like_a_picture, supported_formats
from indexer.pictures.safe_read import MemoryBudget
from tests.indexer.pictures.hostile import png, whole
from tests.indexer.pictures.profiles import ADOBE_RGB, SRGB, grey_profile, ink_profile, rgb_profile


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


def turned(upright: Image.Image, kind: str, orientation: int, **options: object) -> bytes:
    """Encode a picture as a camera in one of eight orientations stores it."""
    undo = INVERSE[orientation]
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return encoded(upright if undo is None else upright.transpose(undo), kind, exif=exif, **options)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_made_upright(orientation: int, kind: str) -> None:
    """A camera held in any of eight ways gives the same picture, and the header's size is the upright one."""
    options: dict[str, dict[str, Any]] = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}
    options["AVIF"] = {"quality": 100, "subsampling": "4:4:4"}
    image, header = read_picture(turned(corners(), kind, orientation, **options.get(kind, {})))
    assert (header.width, header.height) == (30, 20)
    assert image.size == (30, 20)
    apart = np.abs(np.asarray(image, int) - np.asarray(corners(), int))
    assert apart.max() == 0 if kind in ("PNG", "TIFF", "WEBP") else apart.mean() < 3


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_reduced_picture_is_upright_too(orientation: int, kind: str) -> None:
    """Reduced during or after decoding, a turned picture equals the upright one."""
    upright = corners().resize((810, 540), Image.Resampling.NEAREST)
    image, header = read_picture(turned(upright, kind, orientation), at_least=90)
    assert (header.width, header.height) == (810, 540)
    assert image.size == ((135, 90) if kind == "PNG" else image.size)
    assert image.width > image.height >= 90
    expected = np.asarray(corners().resize(image.size, Image.Resampling.NEAREST), int)
    assert np.abs(np.asarray(image, int) - expected).mean() < 3


def test_alpha_lies_over_white() -> None:
    """A transparent pixel becomes white, a half transparent black one grey."""
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 0, 128))
    pixels = np.asarray(open_image(encoded(image, "PNG")))
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert abs(int(pixels[0, 1, 0]) - 127) <= 1


def test_grey_with_alpha_lies_over_white() -> None:
    """Mode LA is treated like RGBA."""
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


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    """A 16-bit ramp keeps its order and range; clipping at 255 would make it white."""
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
    """The first of several frames is used."""
    frames = [Image.new("RGB", (20, 20), c) for c in ("red", "blue", "lime")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    red, green, blue = (int(v) for v in np.asarray(open_image(data))[10, 10])
    assert red > 240
    assert max(green, blue) < 16


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_phone_formats_are_read(kind: str) -> None:
    """HEIC and AVIF decode and report their format."""
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


def test_a_jpeg_in_draft_mode_reports_its_full_size() -> None:
    """Draft mode reduces the pixels, not the size in the metadata."""
    image, header = read_picture(encoded(Image.new("RGB", (1600, 1200), "red"), "JPEG"), at_least=300)
    assert (header.width, header.height) == (1600, 1200)
    assert 300 <= max(image.size) < 1600


def test_a_draft_is_never_smaller_than_requested() -> None:
    """The short side of a panorama must not become too small for the model."""
    image, _ = read_picture(encoded(Image.new("RGB", (4000, 400), "red"), "JPEG"), at_least=448)
    assert image.width >= 448


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "BMP", "GIF", "HEIF", "AVIF"])
def test_every_large_picture_is_reduced(kind: str) -> None:
    """Formats without a draft mode are reduced after decoding, with aspect ratio and reported size intact."""
    image, header = read_picture(encoded(Image.new("RGB", (1000, 600), "red"), kind), at_least=100)
    assert image.size == (167, 100)
    assert (header.width, header.height) == (1000, 600)
    red, green, blue = np.asarray(image).reshape(-1, 3).mean(axis=0)
    assert red > 240
    assert max(green, blue) < 16


@pytest.mark.parametrize("size", [(30_000, 2), (2, 30_000), (30_000, 1), (1, 1)])
def test_an_extreme_shape_takes_no_extreme_memory(size: tuple[int, int]) -> None:
    """The longer side of a narrow picture is bounded, even if the shorter one falls below `at_least`."""
    image = open_image(encoded(Image.new("RGB", size, "red"), "PNG"), at_least=100)
    assert max(image.size) <= 16 * 100
    assert np.asarray(image).reshape(-1, 3).min(axis=0).tolist() == [255, 0, 0]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
@pytest.mark.parametrize("factor", [1, 3])
def test_conversion_in_strips_equals_conversion_at_once(
    mode: str, factor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strips of huge pictures show no seams and share one range of values."""
    ramp = np.linspace(0, 60_000, 37 * 23).reshape(23, 37)
    grey = Image.fromarray((ramp / 256).astype(np.uint8))
    alpha = Image.merge("RGBA", (grey, grey.rotate(180), grey, grey))
    image = {
        "I;16": Image.fromarray(ramp.astype(np.uint16)),
        "F": Image.fromarray(ramp.astype(np.float32)),
        "LA": alpha.convert("LA"),
        "RGBA": alpha,
    }.get(mode) or alpha.convert("RGB").convert(mode)
    at_once = to_rgb(image, factor)
    monkeypatch.setattr(colours, "STRIP", 100)
    np.testing.assert_array_equal(np.asarray(to_rgb(image, factor)), np.asarray(at_once))
    assert at_once.size == (-(-37 // factor), -(-23 // factor))


def test_transparent_pixels_do_not_bleed_into_neighbours() -> None:
    """A reduced cut-out has no dark fringe, because invisible pixels do not count in the average."""
    image = Image.new("RGBA", (200, 200), (0, 0, 0, 0))
    image.paste((255, 0, 0, 255), (0, 0, 101, 200))
    assert np.asarray(open_image(encoded(image, "PNG"), at_least=20))[..., 0].min() == 255


def test_nan_and_infinity_do_not_change_the_range() -> None:
    """Missing and overflowing measurements do not affect how the others are scaled."""
    values = np.array([[np.nan, 2, 4, 6, np.inf, -np.inf, 3e38, -3e38]], np.float32)[:, :6]
    pixels = np.asarray(open_image(encoded(Image.fromarray(values), "TIFF")))[0, :, 0].tolist()
    assert pixels == [0, 0, 128, 255, 255, 0]
    ends = np.array([[-3e38, 0, 3e38]], np.float32)
    assert np.asarray(open_image(encoded(Image.fromarray(ends), "TIFF")))[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_a_colour_profile_is_applied(kind: str) -> None:
    """An Adobe RGB colour becomes the colorimetrically equal sRGB colour."""
    stored = np.array([100, 150, 100])
    linear = (stored / 255) ** 2.2 @ np.array(ADOBE_RGB) @ np.linalg.inv(np.array(SRGB))
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clip(0) ** (1 / 2.4) - 0.055) * 255
    assert np.abs(expected - stored).max() > 15
    image = Image.new("RGB", (32, 32), tuple(stored.tolist()))
    options = {"WEBP": {"lossless": True}}.get(kind, {"quality": 100})
    pixels = np.asarray(open_image(encoded(image, kind, icc_profile=rgb_profile(ADOBE_RGB, 2.2), **options)))
    np.testing.assert_allclose(pixels[16, 16], expected, atol=4)


def test_grey_and_cmyk_profiles_are_applied() -> None:
    """A linear grey is brightened for sRGB, and inks get the colour of their profile."""
    grey = encoded(Image.new("L", (9, 9), 128), "PNG", icc_profile=grey_profile(1.0))
    np.testing.assert_allclose(np.asarray(open_image(grey))[4, 4], [188, 188, 188], atol=2)
    inks = Image.new("CMYK", (9, 9), (0, 255, 255, 0))
    invisible = encoded(inks, "TIFF", icc_profile=ink_profile((255, 128, 128)))  # L* 100: white paper
    assert np.asarray(open_image(invisible)).min() > 250
    assert np.asarray(open_image(encoded(inks, "TIFF")))[4, 4].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    "profile",
    [
        rgb_profile(ADOBE_RGB, 2.2)[:150],
        b"no profile at all",
        grey_profile(2.2),
        rgb_profile(ADOBE_RGB, 2.2, "sRGB IEC61966-2.1"),
        bytes(5_000_000),
    ],
    ids=["cut", "garbage", "of greys", "sRGB by name", "huge"],
)
def test_a_broken_or_redundant_profile_is_ignored(profile: bytes) -> None:
    """The pixels are returned as stored."""
    image = Image.new("RGB", (8, 8), (100, 150, 100))
    assert np.asarray(open_image(encoded(image, "TIFF", icc_profile=profile)))[4, 4].tolist() == [100, 150, 100]


def test_the_first_of_several_jpegs_in_a_file_is_used() -> None:
    """Cameras append previews; such a file is reported and reduced as a JPEG."""
    first, second = Image.new("RGB", (1600, 1200), "red"), Image.new("RGB", (160, 120), "blue")
    data = encoded(first, "MPO", save_all=True, append_images=[second])
    image, header = read_picture(data, at_least=300)
    assert (header.format, header.width, header.height) == ("JPEG", 1600, 1200)
    assert image.size == (400, 300)
    assert np.asarray(image)[150, 200, 0] > 240


def test_an_adobe_cmyk_jpeg_is_not_a_negative() -> None:
    """Programs invert the inks in a JPEG; the marker for this may have been stripped with the metadata."""
    paper = encoded(Image.new("CMYK", (16, 16), (0, 0, 0, 0)), "JPEG", quality=100)
    marker = paper.index(b"\xff\xee\0\x0eAdobe")
    stripped = paper[:marker] + paper[marker + 16 :]
    for data in (paper, stripped):
        assert np.asarray(open_image(data)).min() > 250


def test_damage_in_the_middle_of_a_png_is_detected() -> None:
    """A pixel stream that breaks off must not pass for a complete picture."""
    data = bytearray(zlib.compress(b"\0" + bytes(range(90)) + (b"\0" + bytes(90)) * 29, level=0))
    data[2] = 7  # no such kind of block
    with pytest.raises(DecodeError, match="damaged or truncated"):
        open_image(png(30, 30, packed=bytes(data)))


def test_exif_gives_date_camera_and_position() -> None:
    """Metadata that a camera writes is returned."""
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


@pytest.mark.parametrize(
    ("maker", "model", "camera"),
    [
        ("NIKON CORPORATION", "NIKON D750", "NIKON D750"),
        ("Canon", "Canon EOS 5D", "Canon EOS 5D"),
        ("Apple", "iPhone 12", "Apple iPhone 12"),
        ("Apple", "", "Apple"),
        ("", "M3", "M3"),
    ],
)
def test_a_maker_is_not_named_twice(maker: str, model: str, camera: str) -> None:
    """Many cameras repeat the maker in the model."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = maker, model
    _, header = read_picture(encoded(Image.new("RGB", (8, 8)), "JPEG", exif=exif))
    assert header.camera == camera


def test_broken_exif_does_not_lose_the_picture() -> None:
    """Invalid metadata is ignored."""
    data = encoded(Image.new("RGB", (8, 8), "red"), "JPEG", exif=b"Exif\x00\x00garbage garbage")
    assert open_image(data).size == (8, 8)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"this is no picture", "not an image"),
        (encoded(corners(), "PNG")[:60], "damaged or truncated"),
        (encoded(Image.new("RGB", (64, 64), "red"), "JPEG")[:300], "damaged or truncated"),
    ],
)
def test_unreadable_data_is_rejected_with_a_reason(data: bytes, words: str) -> None:
    """Empty, foreign and truncated files each have their message."""
    with pytest.raises(DecodeError, match=words):
        open_image(data)


@pytest.mark.parametrize(
    "gps",
    [
        {2: (91.0, 0.0, 0.0), 4: (0.0, 0.0, 0.0)},
        {2: (0.0, 0.0, 0.0), 4: (181.0, 0.0, 0.0)},
        {2: (TiffImagePlugin.IFDRational(1, 0),) * 3, 4: (1.0, 2.0, 3.0)},
        {2: (1.0, 2.0, 3.0)},
    ],
    ids=["beyond the pole", "beyond the date line", "of zero denominators", "of latitude only"],
)
def test_an_invalid_position_is_ignored(gps: dict[int, object]) -> None:
    """Date and camera are still read."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.DateTime] = "Leitz", "2024:03:01 12:30:00"
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(gps)
    _, header = read_picture(encoded(Image.new("RGB", (8, 8)), "JPEG", exif=exif))
    assert (header.latitude, header.longitude) == (None, None)
    assert (header.camera, header.taken_at) == ("Leitz", "2024-03-01T12:30:00")


def test_a_picture_that_needs_too_much_memory_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit applies to the memory that each format's decoder needs, and the message says what to do."""
    monkeypatch.setattr(module, "MAX_MEMORY", 1_000_000)
    image = Image.new("RGB", (400, 400))
    assert open_image(encoded(image, "PNG"), at_least=100).size == (100, 100)
    with pytest.raises(
        DecodeError, match=r"400x400 pixels of WEBP would take .* GB to decode.* make the picture smaller"
    ):
        open_image(encoded(image, "WEBP"), at_least=100)
    with pytest.raises(DecodeError, match="would take"):
        open_image(encoded(Image.new("RGB", (800, 800)), "JPEG", progressive=True), at_least=100)
    assert open_image(encoded(Image.new("RGB", (800, 800)), "JPEG"), at_least=100).size == (100, 100)


def test_decoding_waits_for_memory_of_other_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """All threads together stay within one budget."""
    budget = MemoryBudget(1_000_000)
    monkeypatch.setattr(module, "_MEMORY", budget)
    least = budget.total
    load = ImageFile.ImageFile.load

    def watch(image: ImageFile.ImageFile) -> object:
        nonlocal least
        least = min(least, budget.left)
        return load(image)

    monkeypatch.setattr(ImageFile.ImageFile, "load", watch)
    data = encoded(Image.new("RGB", (320, 320), "red"), "PNG")
    with ThreadPoolExecutor(4) as pool:
        sizes = [image.size for image in pool.map(lambda _: open_image(data, at_least=64), range(12))]
    assert sizes == [(64, 64)] * 12
    assert budget.left == budget.total
    assert 0 <= least < budget.total


def test_a_missing_file_is_rejected_with_a_reason(tmp_path: Path) -> None:
    """The message contains the reason of the operating system."""
    with pytest.raises(DecodeError, match="No such file"):
        open_image(tmp_path / "none.jpg")


def test_a_decompression_bomb_is_rejected_before_decoding() -> None:
    """A few bytes that claim 40 gigapixels are rejected by their header."""
    with pytest.raises(DecodeError, match=f"the limit is {module.MAX_PIXELS:,}"):
        open_image(png(200_000, 200_000))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damage_never_raises_anything_but_a_decode_error(data: st.DataObject) -> None:
    """Any bytes changed in a file give a picture or a DecodeError."""
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"]))
    content = bytearray(encoded(corners(), kind))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(1, len(content)))
    with suppress(DecodeError):
        assert open_image(bytes(content[:cut])).mode == "RGB"


def test_every_format_begins_with_its_signature() -> None:
    """Every supported format matches its entry in the table that decoding and the server share."""
    assert set(supported_formats()) <= FORMATS.keys() - {"MPO"}
    for kind in supported_formats():
        data = whole(kind)
        assert FORMATS[kind].signature.match(data[:16]), kind
        assert begins_like_a_picture(data), kind
        assert FORMATS[kind].media_type.startswith("image/"), kind
        assert read_picture(data)[1].format == kind
    for data in (b"", b"<!DOCTYPE html>", b"\0\0\0\x18ftypmp42", b"%PDF-1.7"):
        assert not begins_like_a_picture(data)
