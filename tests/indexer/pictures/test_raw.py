"""Camera RAW files: previews, sensor data, metadata, and what is wrong with them."""

from __future__ import annotations

import io
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from indexer import open_image
from indexer.errors import DecodeError
from indexer.pictures import limits
from indexer.pictures.decode import read_picture
from tests.indexer.pictures.raws import dng


def jpeg(width: int, height: int, colour: str, **options: object) -> bytes:
    """A preview of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def sky_and_meadow() -> Image.Image:
    """Bright above, dark below."""
    image = Image.new("RGB", (640, 480), (220, 220, 220))
    image.paste((20, 20, 20), (0, 240, 640, 480))
    return image


@pytest.mark.parametrize("largest_first", [True, False])
def test_the_largest_preview_is_the_picture(largest_first: bool) -> None:  # noqa: FBT001  a parameter
    """Cameras store several, in any order."""
    previews = [jpeg(640, 480, "lime"), jpeg(160, 120, "red")]
    image, metadata = read_picture(dng(*previews[:: 1 if largest_first else -1]))
    assert image.size == (640, 480)
    assert np.asarray(image)[100, 100, 1] > 240
    assert (metadata.format, metadata.width, metadata.height, metadata.words.notes) == ("RAW", 640, 480, ())


def test_a_large_preview_is_reduced_while_it_is_decoded() -> None:
    """A preview has the pixels of the sensor; the size that is reported is the sensor's."""
    image, metadata = read_picture(dng(jpeg(1920, 1440, "lime")), at_least=384)
    assert 384 <= image.height < 1440
    assert (metadata.width, metadata.height) == (640, 480)


@pytest.mark.parametrize("preview", [True, False])
def test_a_raw_file_is_upright(preview: bool) -> None:  # noqa: FBT001  a parameter
    """The orientation of the file applies to its preview, and to what is developed."""
    buffer = io.BytesIO()
    sky_and_meadow().save(buffer, "JPEG")
    image, metadata = read_picture(dng(*[buffer.getvalue()] * preview, orientation=6, sensor=sky_and_meadow()))
    assert (metadata.width, metadata.height) == (480, 640)
    pixels = np.asarray(image)[..., 1].astype(int)
    assert image.height > image.width
    assert pixels[:, : image.width // 3].mean() + 100 < pixels[:, -image.width // 3 :].mean()  # the sky is on the right


def test_a_preview_that_is_upright_already_is_not_turned() -> None:
    """Some programs turn the preview, and leave the orientation of the file."""
    image, metadata = read_picture(dng(jpeg(480, 640, "lime"), orientation=6))
    assert image.size == (metadata.width, metadata.height) == (480, 640)


def test_date_and_camera_come_from_the_raw_file() -> None:
    """A preview need not have an EXIF block."""
    _, metadata = read_picture(dng(jpeg(640, 480, "lime"), date="2024:03:01 12:30:00"))
    assert (metadata.taken_at, metadata.camera) == ("2024-03-01T12:30:00", "Leitz M3")
    _, metadata = read_picture(dng(jpeg(640, 480, "lime")))
    assert metadata.taken_at is None  # LibRaw would write 1970


def test_without_a_useful_preview_the_sensor_data_is_developed() -> None:
    """Half the sensor's size is enough for a search, and far more than a thumbnail."""
    for data in (dng(sensor=sky_and_meadow()), dng(jpeg(160, 120, "lime"), sensor=sky_and_meadow())):
        image, metadata = read_picture(data)
        assert image.size == (320, 240)
        assert (metadata.width, metadata.height, metadata.words.notes) == (640, 480, ())
        assert np.asarray(image)[20].mean() > 100 + np.asarray(image)[-20].mean()
    assert open_image(dng(jpeg(160, 120, "lime")), at_least=96).size == (160, 120)


def test_sensor_data_that_is_cut_off_leaves_a_small_preview() -> None:
    """The note says why the picture is small."""
    image, metadata = read_picture(dng(jpeg(160, 120, "lime"), cut=300_000))
    assert image.size == (160, 120)
    assert "sensor data cannot be read" in metadata.words.notes[0]


def test_a_preview_that_cannot_be_used_is_replaced_by_sensor_data() -> None:
    """A preview that breaks off is no reason to refuse the file."""
    preview = jpeg(640, 480, "lime", quality=100)
    image, metadata = read_picture(dng(preview[: len(preview) // 2]))
    assert image.size == (320, 240)
    assert "preview" in metadata.words.notes[0]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (dng(cut=300_000), "damaged, or a RAW file without a usable preview: its sensor data cannot be read"),
        (dng()[:800], "damaged"),
        (b"FUJIFILMCCD-RAW 0201" + bytes(500), "of a camera that LibRaw does not know"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(500), "of a camera that LibRaw does not know"),
        (b"IIRO\x08\0\0\0" + bytes(500), "of a camera that LibRaw does not know"),
    ],
    ids=["no preview, cut sensor data", "cut directories", "RAF", "CR3", "ORF"],
)
def test_an_unusable_raw_file_is_refused_with_a_reason(data: bytes, words: str) -> None:
    """One sentence says what is wrong."""
    with pytest.raises(DecodeError, match=words):
        open_image(data)


def test_a_sensor_of_too_many_pixels_is_refused_before_it_is_developed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits of pixels and memory apply to RAW files."""
    monkeypatch.setattr(limits, "MAX_PIXELS", 300_000)
    with pytest.raises(DecodeError, match="too many pixels"):
        open_image(dng(jpeg(640, 480, "lime")))
    monkeypatch.undo()
    monkeypatch.setattr(limits, "MAX_MEMORY", 1_000_000)
    with pytest.raises(DecodeError, match="would take"):
        open_image(dng())


def test_damage_in_a_raw_file_raises_nothing_but_a_decode_error() -> None:
    """Any byte may be wrong."""
    data = dng(jpeg(160, 120, "lime"), sensor=Image.new("RGB", (64, 48)), date="2024:03:01 12:30:00")
    chance = np.random.default_rng(5)
    for _ in range(150):
        changed = bytearray(data)
        for at in chance.integers(0, len(data), 6):
            changed[at] = chance.integers(256)
        with suppress(DecodeError):
            assert open_image(bytes(changed[: chance.integers(1, len(data))]), at_least=96).mode == "RGB"


def test_an_ordinary_tiff_with_the_name_of_a_camera_is_no_raw_file() -> None:
    """Scanners and editors write the maker too."""
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[271] = "Leitz"
    Image.new("RGB", (60, 40), "red").save(buffer, "TIFF", exif=exif)
    image, metadata = read_picture(buffer.getvalue())
    assert (image.size, metadata.format, metadata.camera) == ((60, 40), "TIFF", "Leitz")
