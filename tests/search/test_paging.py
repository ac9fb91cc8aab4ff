"""Answers in pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from encoders import Floats
from indexer import Catalog, VectorIndex, add_model, index_paths
from indexer.catalog.records import Ids
from search import Hit, SearchEngine
from search.answers import PageStart
from search.errors import UnknownModelError
from search.stages.keywords import Keywords
from search.stages.retrieve import Selection, retrieve
from tests.conftest import Paint, painter
from tests.fakes import COLOURS, FakeEncoder


def index_forty(catalog: Catalog, folder: Path) -> None:
    """Index forty pictures, every fifth with an unknown word in its name."""
    for n in range(40):
        colour = list(COLOURS)[n % len(COLOURS)]
        painter(folder)(f"{'anna' if n % 5 == 0 else 'img'}-{n}.png", colour, seed=n)
    index_paths(catalog, FakeEncoder(), [folder])


@pytest.fixture
def pictures(catalog: Catalog, tmp_path: Path) -> Catalog:
    """The forty pictures, for tests that change them."""
    index_forty(catalog, tmp_path / "pictures")
    return catalog


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchEngine]:
    """An engine over the forty pictures, for tests that only read."""
    home = tmp_path_factory.mktemp("forty")
    with Catalog.open(home / "index", create=True) as catalog:
        index_forty(catalog, home / "pictures")
        with SearchEngine.open(catalog.directory, encoder=FakeEncoder()) as opened:
            yield opened


@pytest.fixture
def engine(pictures: Catalog, encoder: FakeEncoder) -> Iterator[SearchEngine]:
    """An engine over the pictures that the test may change."""
    with SearchEngine.open(pictures.directory, encoder=encoder) as opened:
        yield opened


def pages(engine: SearchEngine, k: int, **how: Any) -> list[Hit]:
    """The hits of all pages, concatenated."""
    hits: list[Hit] = []
    answer = engine.search_images("red anna", k=k, **how)
    hits += answer.hits
    while answer.following is not None:
        answer = engine.search_images("red anna", k=k, after=answer.following, **how)
        hits += answer.hits
    return hits


@pytest.mark.parametrize("how", [{}, {"rerank": False}, {"keywords": False}, {"without": ["blue"]}])
@pytest.mark.parametrize(("k", "depth"), [(1, 100), (3, 5), (7, 7), (39, 10), (40, 10)])
def test_pages_joined_are_one_long_answer(shared: SearchEngine, k: int, depth: int, how: dict[str, Any]) -> None:
    """With the same scores and ranks, and no image twice, wherever the reranked depth ends."""
    single = shared.search_images("red anna", k=100, depth=depth, **how)
    assert single.following is None
    assert len(single.hits) == 40
    assert [hit.rank for hit in single.hits] == list(range(1, 41))
    assert pages(shared, k, depth=depth, **how) == list(single.hits)


def test_pages_end_where_probabilities_are_too_low(shared: SearchEngine) -> None:
    """As one long answer does."""
    single = shared.search_images("red anna", k=100, min_probability=0.5).hits
    assert 3 < len(single) < 40
    assert pages(shared, 3, min_probability=0.5) == list(single)


def test_added_pictures_do_not_shift_pages(
    engine: SearchEngine, pictures: Catalog, encoder: FakeEncoder, paint: Paint, tmp_path: Path
) -> None:
    """Even if they would rank first, no image is shown twice."""
    previous = engine.search_images("red", k=100, keywords=False).hits
    first = engine.search_images("red", k=5, keywords=False)
    for n in range(8):
        paint(f"added-{n}.png", "red", size=(50, 50), seed=n)
    index_paths(pictures, encoder, [tmp_path / "pictures"])
    assert first.following is not None
    second = engine.search_images("red", k=5, keywords=False, after=first.following)
    assert [hit.image_id for hit in first.hits + second.hits] == [hit.image_id for hit in previous[:10]]
    assert len(engine.search_images("red", k=100).hits) == 48


def test_pictures_that_are_removed_are_left_out(
    engine: SearchEngine, pictures: Catalog, encoder: FakeEncoder, tmp_path: Path
) -> None:
    """The next page is as long as before, with the remaining pictures."""
    first = engine.search_images("red", k=5)
    assert first.following is not None
    behind = engine.search_images("red", k=5, after=first.following).hits
    assert behind[0].path is not None
    behind[0].path.unlink()
    index_paths(pictures, encoder, [tmp_path / "pictures"], prune=True)
    second = engine.search_images("red", k=5, after=first.following)
    assert [hit.image_id for hit in second.hits[:4]] == [hit.image_id for hit in behind[1:]]
    assert len(second.hits) == 5


@pytest.mark.parametrize("how", [{}, {"rerank": False}, {"without": ["blue"]}])
@pytest.mark.parametrize("depth", [5, 100])
def test_removing_a_shown_picture_skips_none(
    engine: SearchEngine, pictures: Catalog, encoder: FakeEncoder, tmp_path: Path, depth: int, how: dict[str, Any]
) -> None:
    """Every other picture is shown once, and ranks continue."""
    expected = {hit.image_id for hit in engine.search_images("red", k=100, depth=depth, **how).hits}
    answer = engine.search_images("red", k=4, depth=depth, **how)
    hits = [*answer.hits]
    for gone in (hits[0], hits[-1]):
        assert gone.path is not None
        gone.path.unlink()
    index_paths(pictures, encoder, [tmp_path / "pictures"], prune=True)
    while answer.following is not None:
        answer = engine.search_images("red", k=4, depth=depth, after=answer.following, **how)
        hits += answer.hits
    assert len(hits) == 40
    assert {hit.image_id for hit in hits} == expected
    assert [hit.rank for hit in hits] == list(range(1, 41))


class Approximate:
    """An index whose nearest images depend on how many are requested, as with HNSW."""

    def search(self, _: Floats, k: int, **__: object) -> tuple[Floats, Ids]:
        """Of 2,000 images every third with up to 10, else all."""
        ids = np.arange(0, 2000, 3 if k <= 10 else 1)[:k]
        return (1 - ids[None] / 4000).astype(np.float32), ids[None]


@pytest.mark.parametrize("count", [10, 11, 1024])
def test_what_is_reranked_does_not_depend_on_how_many_are_shown(count: int) -> None:
    """Images beyond the depth follow by their cosines, each once."""
    selection = Selection(None, np.empty(0, np.int64))
    index = cast(VectorIndex, Approximate())
    candidates, first = retrieve(index, np.ones((1, 8), np.float32), Keywords(), selection, depth=10, count=count)
    assert [c.key for c in candidates[:first]] == list(range(0, 30, 3))
    assert all(c.nearest for c in candidates)
    rest = [c.key for c in candidates[first:]]
    assert rest == [i for i in range(count if count > 10 else 0) if i not in range(0, 30, 3)]


def test_a_page_after_the_last_is_empty(shared: SearchEngine) -> None:
    """No page follows it."""
    answer = shared.search_images("red", after=PageStart(tuple(range(1, 1001)), 2**40, "f" * 64))
    assert (answer.hits, answer.following) == ((), None)


# --- by any model ---


@pytest.fixture
def two_models(pictures: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SearchEngine]:
    """An index of a model `fake`, and of a model `turned` with other vectors for colours."""
    (tmp_path / "model").mkdir()
    turned = FakeEncoder(name="turned", fingerprint="e" * 64, turn=1, directory=tmp_path / "model")
    add_model(pictures, turned)
    monkeypatch.setattr("search.active_model.load_encoder", lambda place, **_: turned if place else FakeEncoder())
    with SearchEngine.open(pictures.directory) as engine:
        yield engine


def test_an_engine_can_be_bound_to_any_model(two_models: SearchEngine) -> None:
    """By name or fingerprint; each answers with its own vectors, and is loaded once."""
    active = two_models.search_images("red", k=1)
    assert two_models.by_model("fake").search_images("red", k=1).hits == active.hits
    other = two_models.by_model("turned")
    answer = other.search_images("red", k=1)
    assert answer.hits[0].path is not None
    assert answer.following is not None
    assert answer.following.model == "e" * 64
    assert two_models.by_model("eeeeee")._models is other._models
    message = "no single model of the index is called 'none'; its models: fake"
    with pytest.raises(UnknownModelError, match=message) as told:
        two_models.by_model("none")
    assert str(two_models.catalog.directory) not in str(told.value)


def test_an_engine_opened_with_a_model_rejects_others(engine: SearchEngine, pictures: Catalog) -> None:
    """The message names both."""
    assert engine.by_model("fake") is engine
    add_model(pictures, FakeEncoder(name="turned", fingerprint="e" * 64, turn=1))
    with pytest.raises(UnknownModelError, match="only answers with model fake"):
        engine.by_model("turned")
