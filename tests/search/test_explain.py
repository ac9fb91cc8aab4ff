"""Heat maps of attention."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer import Catalog
from search import Explanation, SearchEngine
from search.errors import ImageNotFoundError, QueryError
from tests.fakes import SIDE, FakeEncoder

UNKNOWN = np.array([np.nan], np.float32)


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """A picture that is red on the left and blue on the right."""
    image = Image.new("RGB", (64, 64), (255, 0, 0))
    image.paste((0, 0, 255), (32, 0, 64, 64))
    image.save(tmp_path / "split.png")
    return tmp_path / "split.png"


@pytest.fixture
def explanation(indexed: Catalog, encoder: FakeEncoder, split: Path) -> Explanation:
    """The attention of two words, one for each half."""
    with SearchEngine.open(indexed.directory, encoder=encoder) as engine:
        return engine.explain(split, "red blue")


def test_each_word_attends_to_its_colour(explanation: Explanation) -> None:
    """Weights sum to 1 for each word."""
    assert explanation.words == ("red", "blue")
    assert explanation.weights.shape == (2, SIDE, SIDE)
    np.testing.assert_allclose(explanation.weights.sum(axis=(1, 2)), 1, rtol=1e-5)
    assert explanation.weights[0, :, : SIDE // 2].sum() > 0.9
    assert explanation.weights[1, :, SIDE // 2 :].sum() > 0.9


class Unstored(FakeEncoder):
    """A model whose regions no index has, as those of a pretrained pair."""

    @property
    def stores_regions(self) -> bool:
        """They are computed when asked for."""
        return False


def test_regions_that_no_index_has_are_computed_from_the_file(indexed: Catalog, encoder: FakeEncoder) -> None:
    """With the same heat map; without the file there is none."""
    with SearchEngine.open(indexed.directory, encoder=encoder) as stored:
        image_id = stored.search_images("red", k=1).hits[0].image_id
        expected = stored.attention(image_id, "red thing").weights
        path = stored.image_path(image_id)
    other = Unstored()
    with SearchEngine.open(indexed.directory, encoder=other) as engine:
        found = engine.attention(image_id, "red thing").weights
        assert other.images_encoded == 1
        path.unlink()
        with pytest.raises(ImageNotFoundError, match="index its folder again"):
            engine.attention(image_id, "red thing")
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_an_overlay_is_bright_where_the_word_attends(explanation: Explanation) -> None:
    """It has the shape of the picture."""
    pixels = np.asarray(explanation.overlay(0, size=64), np.float32)
    assert pixels.shape == (64, 64, 3)
    assert pixels[:, :24].mean() > 2 * pixels[:, 40:].mean()


def test_a_sheet_has_the_picture_and_a_panel_for_each_word(explanation: Explanation) -> None:
    """Many words are wrapped into rows."""
    sheet = explanation.sheet(size=100)
    assert sheet.width > 3 * 100
    assert sheet.height < 2 * 100
    many = Explanation(("word",) * 9, np.full((9, 2, 2), 0.25, np.float32), UNKNOWN.repeat(9), explanation.image)
    assert many.sheet(size=100).height > 3 * 100


def test_uniform_and_zero_weights_divide_by_nothing() -> None:
    """Neither raises a warning."""
    picture = Image.new("RGB", (10, 30), "white")
    for weights in (np.full((1, 2, 2), 0.25, np.float32), np.zeros((1, 2, 2), np.float32)):
        assert Explanation(("a",), weights, UNKNOWN, picture).overlay(0, size=30).size == (10, 30)


def test_a_word_that_nothing_matches_is_shown_as_such(indexed: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """Its panel is grey and its label says so; a word that says nothing about pictures has a heat map."""
    with SearchEngine.open(indexed.directory, encoder=encoder) as engine:
        explanation = engine.explain(folder / "red.png", "the red blue")
    assert np.isnan(explanation.probabilities[0])
    assert [explanation.label(i) for i in range(3)] == ["the", "red", "blue (no match)"]
    pixels = [np.asarray(explanation.overlay(i, size=32), np.int16) for i in range(3)]
    assert [bool((each[..., 0] == each[..., 2]).all()) for each in pixels] == [False, False, True]


def test_an_empty_sentence_is_rejected(indexed: Catalog, encoder: FakeEncoder, split: Path) -> None:
    """As in a search."""
    with SearchEngine.open(indexed.directory, encoder=encoder) as engine, pytest.raises(QueryError, match="empty"):
        engine.explain(split, "  ")
