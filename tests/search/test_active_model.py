"""An engine that follows the active model of its index."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer import Catalog, add_model, index_paths, remove_model, switch_model
from indexer.catalog.contents import catalog_stats
from indexer.catalog.images import content_hashes
from indexer.catalog.records import EncoderRow
from indexer.errors import EncoderMismatchError, ModelError
from search import SearchEngine
from search.active_model import ActiveModel
from search.model_index import ModelIndex
from tests.conftest import Paint
from tests.fakes import FakeEncoder

LINES = ("a red thing", "a green thing", "a blue thing", "white")


@pytest.fixture
def other(tmp_path: Path) -> FakeEncoder:
    """A model with other vectors for colours, so that its image vectors do not match the first model's queries."""
    directory = tmp_path / "other"
    directory.mkdir()
    return FakeEncoder(name="other", fingerprint="0" * 64, directory=directory, turn=1)


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch, encoder: FakeEncoder, other: FakeEncoder) -> list[str]:
    """Load models from their directories, with the first one as base model; return the names of loaded models."""
    names: list[str] = []

    def load(model: Path | None, *, device: str, workers: int) -> FakeEncoder:
        assert (device, workers) == ("auto", 1)
        loaded_model = encoder if model is None else {other.directory: other}[model]
        names.append(loaded_model.name)
        return loaded_model

    monkeypatch.setattr("search.active_model.load_encoder", load)
    monkeypatch.setattr("search.caption_search.caption_bank", lambda: LINES)
    return names


@pytest.fixture
def both(indexed: Catalog, other: FakeEncoder) -> Catalog:
    """Five pictures, embedded by both models; the first is active."""
    add_model(indexed, other)
    return indexed


@pytest.fixture
def engine(both: Catalog, loaded: list[str]) -> Iterator[SearchEngine]:
    """An engine that was opened without a model."""
    del loaded[:]
    with SearchEngine.open(both.directory) as opened:
        yield opened


def first(engine: SearchEngine, text: str) -> str:
    """The file name of the best hit."""
    path = engine.search_images(text).hits[0].path
    assert path is not None
    return path.name


def test_an_open_engine_follows_a_switch_and_back(engine: SearchEngine, both: Catalog, loaded: list[str]) -> None:
    """The query after a switch loads the new model from its directory, once."""
    for _ in range(2):
        assert first(engine, "red") == "red.png"
    assert loaded == ["fake"]
    switch_model(both, "other")
    for _ in range(2):
        assert first(engine, "red") == "red.png"
    assert loaded == ["fake", "other"]
    assert engine.encoder.name == "other"
    switch_model(both, "fake")
    assert first(engine, "blue") == "blue.png"
    assert loaded == ["fake", "other", "fake"]


def test_mixing_two_models_gives_wrong_pictures(both: Catalog, encoder: FakeEncoder, other: FakeEncoder) -> None:
    """The other tests rely on this."""
    model = ModelIndex(both.for_model(other.name, other.fingerprint), lambda: other)
    model._encoder = encoder
    assert first(SearchEngine(model), "red") != "red.png"


def test_searches_during_switches_are_correct(engine: SearchEngine, both: Catalog) -> None:
    """Every answer comes from one model or the other, without an error."""
    stop, answers, errors = threading.Event(), [0], []

    def search() -> None:
        while not stop.is_set():
            try:
                for colour in ("red", "green", "blue"):
                    assert first(engine, colour) == f"{colour}.png"
            except Exception as exc:  # noqa: BLE001  whatever it is, the test must tell
                errors.append(exc)
                return
            answers[0] += 1

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for name in ("other", "fake", "other", "fake"):
        previous, until = answers[0], time.monotonic() + 60
        while answers[0] < previous + 3 and not errors and time.monotonic() < until:
            time.sleep(0.001)
        switch_model(both, name)
    stop.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert answers[0] >= 12


def test_a_late_reader_does_not_undo_a_switch(
    engine: SearchEngine, both: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that read the previous model makes no other thread open the new one again."""
    models, results = engine._models, list[ModelIndex]()
    read, inside, go_on = models.catalog.active_encoder, threading.Event(), threading.Event()

    def late() -> EncoderRow | None:
        row = read()
        if not inside.is_set():
            inside.set()
            go_on.wait(10)
        return row

    monkeypatch.setattr(models.catalog, "active_encoder", late)
    early = threading.Thread(target=models.current)
    early.start()
    assert inside.wait(10)
    switch_model(both, "other")
    later = threading.Thread(target=lambda: results.append(models.current()))
    later.start()
    later.join(0.3)
    go_on.set()
    for thread in (early, later):
        thread.join()
    assert results == [models.current()]


def test_one_model_beside_the_active_one_stays_loaded(engine: SearchEngine, both: Catalog, loaded: list[str]) -> None:
    """The one that was requested last."""
    add_model(both, FakeEncoder(name="third", fingerprint="3" * 64), name="third")
    for name in ("other", "fake", "other"):
        assert first(engine.by_model(name), "red") == "red.png"
    assert loaded == ["other", "fake"]
    engine.by_model("third")
    assert first(engine.by_model("other"), "red") == "red.png"
    assert loaded == ["other", "fake", "other"]


def test_a_query_ends_with_the_model_it_began_with(
    engine: SearchEngine, both: Catalog, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A switch between encoding and retrieval does not affect the running query."""
    encode = encoder.encode_texts

    def switching(texts: list[str]) -> object:
        switch_model(both, "other")
        return encode(texts)

    monkeypatch.setattr(encoder, "encode_texts", switching)
    assert first(engine, "red") == "red.png"
    assert engine.encoder.name == "other"


def test_a_query_whose_model_is_removed_is_repeated(
    engine: SearchEngine, both: Catalog, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next active model answers it."""
    encode = encoder.encode_texts

    def removing(texts: list[str]) -> object:
        switch_model(both, "other")
        remove_model(both, "fake")
        return encode(texts)

    monkeypatch.setattr(encoder, "encode_texts", removing)
    assert first(engine, "red") == "red.png"
    assert [model.name for model in both.encoders()] == ["other"]


def test_a_model_that_is_given_answers_whether_active_or_not(
    both: Catalog, other: FakeEncoder, loaded: list[str], folder: Path
) -> None:
    """A switch does not affect the engine; once the model is removed, queries raise an error."""
    assert other.directory is not None
    for engine in (
        SearchEngine.open(both.directory, encoder=other),
        SearchEngine.open(both.directory, model=other.directory),
    ):
        assert first(engine, "red") == "red.png"
        assert engine.encoder.name == "other"
        assert len(engine.similar_images(folder / "red.png").hits) == 4
        switch_model(both, "other")
        switch_model(both, "fake")
        assert engine.encoder.name == "other"
    remove_model(both, "other")
    with pytest.raises(EncoderMismatchError, match=r"made by model fake .* not by other"):
        engine.search_images("red")
    with pytest.raises(EncoderMismatchError, match=r"made by model fake .* not by other"):
        engine.similar_images(folder / "red.png")
    assert loaded == ["other"]


def test_each_model_has_its_own_caption_bank(
    engine: SearchEngine, both: Catalog, other: FakeEncoder, folder: Path
) -> None:
    """The other model embeds the same captions when it first needs them, and stores them."""
    assert engine.find_captions(folder / "red.png").hits[0].text == LINES[0]
    switch_model(both, "other", incomplete=True)
    for _ in range(2):
        assert engine.find_captions(folder / "green.png").hits[0].text == LINES[1]
    assert other.texts_encoded == len(LINES)
    assert catalog_stats(both).captions == {"bank": len(LINES)}


def test_a_picture_that_the_model_has_not_embedded_is_read_from_its_file(
    engine: SearchEngine, both: Catalog, encoder: FakeEncoder, other: FakeEncoder, paint: Paint, folder: Path
) -> None:
    """It is no hit, but can be the image of a query, by path or id."""
    paint("crimson.png", "red", seed=7)
    index_paths(both, encoder, [folder])
    switch_model(both, "other", incomplete=True)
    other.images_encoded = 0
    for asked in (folder / "crimson.png", max(content_hashes(both).values())):
        hits = engine.similar_images(asked).hits
        assert hits[0].path == folder / "red.png"
        assert folder / "crimson.png" not in [hit.path for hit in hits]
    assert other.images_encoded == 2


def test_a_missing_or_retrained_model_is_an_error(both: Catalog, other: FakeEncoder, loaded: list[str]) -> None:
    """The message names it and the command to run; switching back needs neither."""
    assert other.directory is not None
    switch_model(both, "other")
    other.fingerprint = "1" * 64
    with SearchEngine.open(both.directory) as engine:
        with pytest.raises(
            EncoderMismatchError, match=r"other \(000000000000\), not by other \(111111111111\).*models add"
        ):
            engine.search_images("red")
        other.directory.rmdir()
        with pytest.raises(ModelError, match=r"is no longer in .*/other; if it moved, run: crosslook models add"):
            engine.search_images("red")
        switch_model(both, "fake")
        assert first(engine, "red") == "red.png"
    assert loaded == ["other", "fake"]


def test_an_empty_index_waits_for_its_first_model(
    catalog: Catalog, encoder: FakeEncoder, folder: Path, loaded: list[str]
) -> None:
    """The base model is used, gives no hits until something is indexed, and is loaded once."""
    with SearchEngine.open(catalog.directory) as engine:
        assert isinstance(engine._models, ActiveModel)
        assert engine.search_images("red").hits == ()
        index_paths(catalog, encoder, [folder])
        assert first(engine, "red") == "red.png"
    assert loaded == ["fake"]
