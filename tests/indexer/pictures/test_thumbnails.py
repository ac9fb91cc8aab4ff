"""Thumbnails and their cache."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageOps, ImageStat

from indexer import Catalog, index_paths
from indexer.catalog.browse import ImageDetails, image_details
from indexer.errors import DecodeError, ReadError
from indexer.pictures import thumbnails
from indexer.pictures.thumbnails import Thumbnails
from tests.conftest import Paint
from tests.fakes import FakeEncoder

ORIENTATION = 0x0112


@pytest.fixture
def cache(tmp_path: Path) -> Thumbnails:
    """A cache large enough for everything."""
    return Thumbnails(tmp_path / "cache" / "thumbnails", 10**6)


def details(catalog: Catalog, image_id: int = 1) -> ImageDetails:
    """The details of an existing image."""
    image = image_details(catalog, image_id)
    assert image is not None
    return image


def picture(content: bytes) -> Image.Image:
    """Decode a thumbnail."""
    with Image.open(io.BytesIO(content), formats=["WEBP"]) as image:
        return image.convert("RGB")


def cached_files(cache: Thumbnails) -> list[Path]:
    """Every file of the cache."""
    return [file for file in cache.directory.rglob("*") if file.is_file()]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_thumbnails_are_upright(tmp_path: Path, orientation: int) -> None:
    """For every EXIF orientation, four colours are where Pillow's own transposition puts them."""
    quarters = Image.new("RGB", (600, 400))
    for x, y, colour in ((0, 0, "red"), (300, 0, "lime"), (0, 200, "blue"), (300, 200, "white")):
        quarters.paste(colour, (x, y, x + 300, y + 200))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    quarters.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    with Image.open(tmp_path / "turned.jpg") as stored:
        expected = ImageOps.exif_transpose(stored).convert("RGB")
    upright = picture(thumbnails.thumbnail(tmp_path / "turned.jpg", 128))
    assert upright.size == ((128, 85) if orientation < 5 else (85, 128))
    difference = ImageChops.difference(upright, expected.resize(upright.size)).convert("L")
    assert ImageStat.Stat(difference).mean[0] < 8


def test_a_small_picture_keeps_its_size(indexed: Catalog, cache: Thumbnails) -> None:
    """Thumbnails are never enlarged."""
    assert picture(cache.get(details(indexed), 1024)[0]).size == (48, 40)


def test_a_long_picture_keeps_a_pixel_of_its_short_side(paint: Paint) -> None:
    """The shorter side is at least one pixel."""
    assert picture(thumbnails.thumbnail(paint("long.png", size=(3000, 3)), 128)).size == (128, 1)


def test_a_thumbnail_is_made_once(indexed: Catalog, cache: Thumbnails, monkeypatch: pytest.MonkeyPatch) -> None:
    """Later requests are served from the cache, whose folders only the user can read."""
    made = cache.get(details(indexed), 128)
    monkeypatch.setattr(thumbnails, "open_image", None)
    assert cache.get(details(indexed), 128) == made == (made[0], True)
    (file,) = cached_files(cache)
    assert file.relative_to(cache.directory) == Path(details(indexed).content_hash, "128.webp")
    assert cache.directory.stat().st_mode & 0o077 == 0
    assert picture(file.read_bytes()).size == (48, 40)


@pytest.mark.parametrize("damage", [b"", b"short", bytes(500)])
def test_a_damaged_thumbnail_is_replaced(indexed: Catalog, cache: Thumbnails, damage: bytes) -> None:
    """An empty, truncated or overwritten file is replaced, and the response is intact."""
    made = cache.get(details(indexed), 128)
    (file,) = cached_files(cache)
    content = file.read_bytes()
    file.write_bytes(damage)
    assert cache.get(details(indexed), 128) == made
    assert file.read_bytes() == content


def test_a_thumbnail_with_one_wrong_byte_is_replaced(indexed: Catalog, cache: Thumbnails) -> None:
    """The checksum detects one at any position."""
    made = cache.get(details(indexed), 128)
    (file,) = cached_files(cache)
    content = file.read_bytes()
    for place in range(len(content)):
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert cache.get(details(indexed), 128) == made


def test_a_full_cache_evicts_the_least_recently_used(indexed: Catalog, tmp_path: Path) -> None:
    """A thumbnail used since then stays, and empty folders are removed too."""
    room = Thumbnails(tmp_path / "some", 10**6)
    for image_id in range(1, 5):
        room.get(details(indexed, image_id), 128)
        (file,) = (room.directory / details(indexed, image_id).content_hash).iterdir()
        os.utime(file, ns=(image_id, image_id))
    room.get(details(indexed, 1), 128)  # now the most recently used
    used = sum(file.stat().st_size for file in cached_files(room))
    full = Thumbnails(room.directory, used)
    full.get(details(indexed, 5), 128)
    left = {file.parent.name for file in cached_files(full)}
    assert sum(file.stat().st_size for file in cached_files(full)) <= 0.9 * used
    assert details(indexed, 2).content_hash not in left
    assert {details(indexed, 1).content_hash, details(indexed, 5).content_hash} <= left
    assert {folder.name for folder in full.directory.iterdir()} == left


def test_a_limit_of_0_disables_the_cache(indexed: Catalog, tmp_path: Path) -> None:
    """Thumbnails are served, but not stored."""
    none = Thumbnails(tmp_path / "none", 0)
    assert picture(none.get(details(indexed), 128)[0]).size == (48, 40)
    assert not none.directory.exists()


@pytest.mark.parametrize("where", ["nobody/writes", "a-file"])
def test_a_cache_that_cannot_be_written_is_skipped(
    indexed: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Without write permission, or with a file in place of the folder, thumbnails are still served."""
    (tmp_path / "a-file").write_text("")
    refusing = Thumbnails(tmp_path / where, 10**6)
    if where == "nobody/writes":  # root may write everywhere, so permissions alone refuse nothing

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "write_bytes", refuse)
    assert picture(refusing.get(details(indexed), 128)[0]).size == (48, 40)
    assert not cached_files(refusing)


def test_a_disk_that_fills_up_leaves_nothing_half_written(
    indexed: Catalog, cache: Thumbnails, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The partial file is removed at once."""
    write = Path.write_bytes

    def half(path: Path, data: bytes) -> int:
        write(path, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    cache.get(details(indexed), 128)
    assert not cached_files(cache)


def test_a_changed_file_is_shown_but_not_cached(indexed: Catalog, cache: Thumbnails) -> None:
    """Under the old hash, its thumbnail would be that of another picture."""
    path = details(indexed).places[0].path
    cache.get(details(indexed), 128)
    Image.new("RGB", (20, 10), "white").save(path)
    content, unchanged = cache.get(details(indexed), 128)
    assert (picture(content).size, unchanged) == ((20, 10), False)
    assert len(cached_files(cache)) == 1


def test_missing_and_damaged_files_are_reported(indexed: Catalog, cache: Thumbnails) -> None:
    """The message names the image's id, never its path."""
    path = details(indexed).places[0].path
    cache.get(details(indexed), 128)
    path.write_bytes(b"no picture")
    with pytest.raises(DecodeError, match=r"^image 1: not an image") as damaged:
        cache.get(details(indexed), 128)
    path.unlink()
    with pytest.raises(ReadError, match="the file of image 1 is gone") as gone:
        cache.get(details(indexed), 128)
    assert path.name not in str(damaged.value) + str(gone.value)


def test_a_copy_replaces_a_missing_file(indexed: Catalog, folder: Path, cache: Thumbnails) -> None:
    """Any file with the same content serves."""
    path = details(indexed).places[0].path
    (folder / "zz.png").write_bytes(path.read_bytes())
    index_paths(indexed, FakeEncoder(), [folder])
    path.unlink()
    assert cache.get(details(indexed), 128)[1]


def test_the_user_cache_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is in $XDG_CACHE_HOME, or else in ~/.cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Thumbnails.of_user(1).directory == tmp_path / "crosslook" / "thumbnails"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert Thumbnails.of_user(1).directory == Path.home() / ".cache" / "crosslook" / "thumbnails"


@pytest.mark.parametrize("home", [None, "/dev/null/nowhere"])
def test_without_a_home_directory_nothing_is_cached(
    indexed: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str | None
) -> None:
    """Thumbnails work without `HOME` and a passwd entry, as in a container, and with a home that does not exist."""
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if home is None:
        monkeypatch.delenv("HOME")
        monkeypatch.setattr(os, "getuid", lambda: 3_999_999_999)
    else:
        monkeypatch.setenv("HOME", home)
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    homeless = Thumbnails.of_user(10**6)
    for _ in range(2):
        assert picture(homeless.get(details(indexed), 128)[0]).size == (48, 40)
    assert list(empty.iterdir()) == []
