"""Pictures, paths, ids and texts as people pass them from Python: one way in for each."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer import Catalog, open_image
from indexer.errors import DecodeError
from search import SearchEngine
from search.errors import QueryError
from tests.fakes import COLOURS, FakeEncoder

UPRIGHT = (64, 48)


def gradient() -> Image.Image:
    """A picture whose corners differ."""
    across = np.linspace(0, 255, UPRIGHT[0])[None, :].repeat(UPRIGHT[1], 0)
    down = np.linspace(0, 255, UPRIGHT[1])[:, None].repeat(UPRIGHT[0], 1)
    return Image.fromarray(np.stack([across, down, 255 - across], axis=2).astype(np.uint8))


def turned(folder: Path) -> Path:
    """As a camera that was held on its side stores it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    gradient().transpose(Image.Transpose.ROTATE_90).save(folder / "turned.png", exif=exif)
    return folder / "turned.png"


def transparent(folder: Path) -> Path:
    """With a transparent margin."""
    image = gradient().convert("RGBA")
    alpha = Image.new("L", image.size, 0)
    alpha.paste(255, (10, 10, 54, 38))
    image.putalpha(alpha)
    image.save(folder / "transparent.png")
    return folder / "transparent.png"


def deep(folder: Path) -> Path:
    """Grey, with 16 bits."""
    Image.fromarray(np.asarray(gradient().convert("L")).astype(np.uint16) * 257).save(folder / "deep.png")
    return folder / "deep.png"


@pytest.mark.parametrize("make", [turned, transparent, deep])
def test_every_way_to_pass_a_picture_gives_the_same(make: Callable[[Path], Path], tmp_path: Path) -> None:
    """A string, a path, bytes, and a Pillow image are read alike."""
    path = make(tmp_path)
    expected = np.asarray(open_image(path))
    assert expected.shape == (*reversed(UPRIGHT), 3)
    data = path.read_bytes()
    with Image.open(path) as image:
        for source in (str(path), data, bytearray(data), memoryview(data), image, Image.open(io.BytesIO(data))):
            assert (np.asarray(open_image(source)) == expected).all(), type(source)


def test_arrays_are_pictures() -> None:
    """Of bytes, 16 bits and numbers from 0 to 1; others are refused."""
    expected = np.asarray(gradient())
    for array in (expected, expected.astype(np.uint16) * 257, expected / 255, (expected / 255).astype(np.float32)):
        assert abs(np.asarray(open_image(array)).astype(int) - expected).max() <= 1
    for nonsense in (np.zeros(3), np.zeros((4, 4, 7), np.uint8), np.zeros((0, 4), np.uint8)):
        with pytest.raises(DecodeError):
            open_image(nonsense)


@pytest.fixture
def engine(indexed: Catalog, encoder: FakeEncoder) -> Iterator[SearchEngine]:
    """The engine over five pictures."""
    with SearchEngine.open(str(indexed.directory), encoder=encoder) as opened:
        yield opened


@pytest.mark.parametrize("kind", [int, np.int64, np.int32, np.uint8])
def test_ids_of_every_whole_number(engine: SearchEngine, kind: type) -> None:
    """NumPy's too."""
    expected = engine.similar_images(2, k=3).hits
    assert engine.similar_images(kind(2), k=3).hits == expected


def test_pictures_in_memory_are_searched_like_files(engine: SearchEngine, folder: Path) -> None:
    """By every call that takes a picture; a file of the index leaves itself out, its pixels find it."""
    path = folder / "red.png"
    expected = [hit.image_id for hit in engine.similar_images(path, k=3).hits]
    assert [hit.image_id for hit in engine.similar_images(str(path), k=3).hits] == expected
    red = engine.search_images("red", where="name = red.png", k=1).hits[0].image_id
    data = path.read_bytes()
    for source in (data, Image.open(io.BytesIO(data)), np.asarray(Image.open(io.BytesIO(data)))):
        assert engine.similar_images(source, k=4).hits[0].image_id == red
        assert engine.search_images("red", image=source, k=1).hits
        engine.find_captions(source, k=1)
        engine.explain(source, "a red thing")


def test_a_single_string_is_one_string(engine: SearchEngine) -> None:
    """Not its letters."""
    assert len(engine.search_images("red", where="format = png", k=9).hits) == len(COLOURS) - 1
    assert engine.search_images("red", without="blue", k=1).without == ("blue",)


@pytest.mark.parametrize("text", [None, ["red", "blue"], 7])
def test_what_is_no_text_is_refused(engine: SearchEngine, text: object) -> None:
    """With a clear error."""
    with pytest.raises(QueryError):
        engine.search_images(text)  # type: ignore[arg-type]  # on purpose
