"""The image of a query, in every form that it can be given in."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from indexer import Catalog
from search import ImageQuery, SearchEngine
from search.errors import ImageNotFoundError, QueryError
from tests.conftest import Paint
from tests.fakes import FakeEncoder


@pytest.fixture
def engine(indexed: Catalog, encoder: FakeEncoder) -> Iterator[SearchEngine]:
    """An engine over the five pictures, opened by a string."""
    with SearchEngine.open(str(indexed.directory), encoder=encoder) as opened:
        yield opened


def turned(path: Path) -> Path:
    """A picture whose left half is red and whose right half is blue, stored lying on its side."""
    image = Image.new("RGB", (60, 40), "red")
    image.paste("blue", (30, 0, 60, 40))
    exif = Image.Exif()
    exif[274] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    return path


def lazily(path: Path) -> Image.Image:
    """A Pillow image whose pixels are not read yet."""
    return Image.open(io.BytesIO(path.read_bytes()))


def scores(engine: SearchEngine, image: ImageQuery) -> list[tuple[str, float]]:
    """The names and scores of the hits."""
    hits = engine.similar_images(image).hits
    return [(hit.path.name, round(hit.retrieval_score, 5)) for hit in hits if hit.path]


@pytest.mark.parametrize(
    "given",
    [str, Path, Path.read_bytes, lambda path: memoryview(path.read_bytes()), lazily],
    ids=["str", "Path", "bytes", "memoryview", "Pillow image"],
)
def test_a_picture_is_the_same_query_however_it_is_given(
    engine: SearchEngine, tmp_path: Path, given: Callable[[Path], ImageQuery]
) -> None:
    """It is turned upright in every form, for every search."""
    path = turned(tmp_path / "turned.png")
    array = np.asarray(lazily(path).transpose(Image.Transpose.ROTATE_270))
    assert scores(engine, given(path)) == scores(engine, array)
    assert engine.find_captions(given(path)).hits == engine.find_captions(array).hits
    assert engine.search_images("green", image=given(path)).hits == engine.search_images("green", image=array).hits
    explanation = engine.explain(given(path), "red")
    np.testing.assert_array_equal(explanation.weights, engine.explain(array, "red").weights)
    assert explanation.image.size == (60, 40)


def test_a_string_that_names_an_indexed_file_is_that_image(
    engine: SearchEngine, encoder: FakeEncoder, folder: Path
) -> None:
    """Nothing is encoded, and the image is not its own hit."""
    encoder.images_encoded = 0
    assert "red.png" not in dict(scores(engine, str(folder / "red.png")))
    assert encoder.images_encoded == 0
    assert engine.similar_images(str(folder / "red.png")).query == str(folder / "red.png")


@pytest.mark.parametrize("kind", [int, np.int64, np.uint8, np.int16])
def test_an_id_can_be_any_whole_number(engine: SearchEngine, kind: Callable[[int], Any]) -> None:
    """NumPy's too."""
    answer = engine.similar_images(kind(2))
    assert answer.hits == engine.similar_images(2).hits
    assert answer.query == "2"


@pytest.mark.parametrize("image", [True, np.True_, 2.0, None, [2], {}, 3j])
def test_what_is_no_image_is_refused(engine: SearchEngine, image: Any) -> None:
    """The message says how an image is given."""
    with pytest.raises(QueryError, match="an image is given as a path, an id"):
        engine.similar_images(image)


@pytest.mark.parametrize("number", [0, -1, 99, 2**63, 2**200])
def test_an_id_that_does_not_exist_is_refused(engine: SearchEngine, number: int) -> None:
    """However large."""
    with pytest.raises(ImageNotFoundError, match=f"no image has the id {number}"):
        engine.similar_images(number)


def test_a_file_that_is_no_picture_is_refused(engine: SearchEngine, tmp_path: Path) -> None:
    """A pipe does not block, and a device is not read."""
    os.mkfifo(tmp_path / "pipe.jpg")
    refused: dict[str | Path, str] = {
        tmp_path / "pipe.jpg": "not a regular file but a pipe",
        "/dev/null": "not a regular file but a device",
        tmp_path: "Is a directory",
        "a\0b": "no such image",
        "none.jpg": "no such image",
    }
    for path, words in refused.items():
        with pytest.raises(QueryError, match=words):
            engine.similar_images(path)
    with pytest.raises(QueryError, match="the picture: an array of int64"):
        engine.similar_images(np.zeros((4, 4), np.int64))


def test_a_single_string_is_one_phrase(engine: SearchEngine, paint: Paint) -> None:
    """It is not taken as its letters, where several can be given."""
    paint("other.png", "red")
    assert engine.search_images("a red square", without="dark blue").without == ("dark blue",)
    assert engine.similar_images(1, without="dark blue").without == ("dark blue",)
    hits = engine.search_images("red", where="format = png").hits
    assert hits == engine.search_images("red", where=["format = png"]).hits
    assert engine.similar_images(1, where="name = none.png").hits == ()
    assert "a violet thing" in [hit.text for hit in engine.find_captions(1, bank="a violet thing", k=500).hits]
    nothing: Any = None
    assert engine.search_images("red", where=nothing, without=nothing).hits == engine.search_images("red").hits


@pytest.mark.parametrize("text", [None, ["dog", "cat"], 5, b"dog"])
def test_a_text_that_is_no_string_is_refused(engine: SearchEngine, text: Any) -> None:
    """The message shows what was given."""
    with pytest.raises(QueryError, match="the query must be a string, not "):
        engine.search_images(text)
    with pytest.raises(QueryError, match="the query must be a string, not "):
        engine.explain(1, text)
    with pytest.raises(QueryError, match="an excluded phrase must be a string"):
        engine.search_images("red", without=[text])
    with pytest.raises(QueryError, match="a filter must be a string"):
        engine.search_images("red", where=[text])


@pytest.mark.parametrize("options", [{"k": "5"}, {"k": 2.5}, {"depth": None}, {"min_probability": "0.5"}])
def test_numbers_of_another_type_are_refused(engine: SearchEngine, options: dict[str, Any]) -> None:
    """A number in quotes is no number."""
    with pytest.raises(QueryError, match="must be between"):
        engine.search_images("red", **options)
    assert len(engine.search_images("red", k=int(np.int64(2))).hits) == 2
