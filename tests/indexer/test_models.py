"""Several models in one index."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from encoders import ImageFeatures, Pixels
from indexer import Catalog, add_model, index_paths, remove_model, switch_model
from indexer.catalog.captions import add_bank, captions_by_id
from indexer.catalog.embeddings import features_of, read_vectors
from indexer.catalog.images import images_by_id
from indexer.catalog.records import Kind
from indexer.errors import CatalogError, EncoderMismatchError, IndexBusyError, ModelError
from indexer.ingest.lock import indexing_lock
from indexer.models import find_model, model_directory, model_states
from tests.conftest import Paint
from tests.fakes import FakeEncoder
from tests.indexer.catalog.test_migrations import load

ROOT = Path(__file__).parent.parent.parent
OTHER = "0" * 64


@pytest.fixture
def other(tmp_path: Path) -> FakeEncoder:
    """A second model, which assigns other vectors to the colours."""
    directory = tmp_path / "other"
    directory.mkdir()
    return FakeEncoder(name="other", fingerprint=OTHER, directory=directory, turn=1)


def content(catalog: Catalog, encoder: FakeEncoder) -> dict[str, bytes]:
    """The embeddings of a model by path and caption text."""
    view = catalog.for_model(encoder.name, encoder.fingerprint)
    embeddings: dict[str, bytes] = {}
    for kind in Kind:
        ids = [int(i) for i in read_vectors(view, kind)[0]]
        names = (
            {i: str(r.path) for i, r in images_by_id(view, ids).items()}
            if kind is Kind.IMAGE
            else {i: r.text for i, r in captions_by_id(view, ids).items()}
        )
        vectors, states = features_of(view, kind, ids)
        embeddings |= {names[i]: v.tobytes() + s.tobytes() for i, v, s in zip(ids, vectors, states, strict=True)}
    return embeddings


def rows(catalog: Catalog, table: str) -> int:
    """The number of rows of a table."""
    with sqlite3.connect(catalog.directory / "catalog.db") as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608  our own names


# --- adding ---


def test_a_second_model_embeds_beside_the_first(
    indexed: Catalog, encoder: FakeEncoder, other: FakeEncoder, folder: Path, tmp_path: Path
) -> None:
    """Its embeddings equal those of an index of its own; the first model's are unchanged, and it stays active."""
    (folder / "red.txt").write_text("a red wall\n")
    index_paths(indexed, encoder, [folder])
    bank = ["a blue thing", "white"]
    add_bank(indexed, bank, encoder.encode_texts(bank))
    previous = content(indexed, encoder)
    report = add_model(indexed, other)
    assert (report.images_added, report.captions_added, report.unread, report.stopped) == (5, 3, [], False)
    assert content(indexed, encoder) == previous
    active = indexed.active_encoder()
    assert active is not None
    assert active.fingerprint == encoder.fingerprint
    with Catalog.open(tmp_path / "alone", create=True) as alone:
        index_paths(alone, other, [folder])
        add_bank(alone, bank, other.encode_texts(bank))
        assert content(indexed, other) == content(alone, other)


def test_what_is_embedded_is_not_embedded_again(
    indexed: Catalog, encoder: FakeEncoder, other: FakeEncoder, paint: Paint, folder: Path
) -> None:
    """After a new picture is indexed with the active model, adding the other again embeds that picture only."""
    add_model(indexed, other)
    paint("sun.png", "yellow")
    index_paths(indexed, encoder, [folder])
    assert [state.images for state in model_states(indexed)] == [6, 5]
    other.images_encoded = other.texts_encoded = 0
    assert add_model(indexed, other).images_added == 1
    assert (other.images_encoded, other.texts_encoded) == (1, 0)
    assert [state.images for state in model_states(indexed)] == [6, 6]


PROGRAM = """
import os, signal, sys
from pathlib import Path
from indexer import Catalog, add_model
from tests.fakes import FakeEncoder

class Dying(FakeEncoder):
    def encode_images(self, pixels):
        if self.images_encoded >= 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode_images(pixels)

with Catalog.open(Path(sys.argv[1])) as catalog:
    add_model(catalog, Dying(name="other", fingerprint="0" * 64, turn=1), batch_size=2)
"""


def test_a_killed_run_loses_only_the_batch_in_flight(
    catalog: Catalog, encoder: FakeEncoder, other: FakeEncoder, paint: Paint, tmp_path: Path
) -> None:
    """The next run embeds the rest, with the same result as an uninterrupted one."""
    for i in range(9):
        paint(f"{i}.png", ("red", "blue", "green")[i % 3], seed=i)
    pictures = tmp_path / "pictures"
    index_paths(catalog, encoder, [pictures])
    first = content(catalog, encoder)
    command = [sys.executable, "-c", PROGRAM, str(catalog.directory)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert [state.images for state in model_states(catalog)] == [9, 4]
    assert content(catalog, encoder) == first
    assert add_model(catalog, other, batch_size=2).images_added == 5
    assert other.images_encoded == 5
    with Catalog.open(tmp_path / "whole", create=True) as whole:
        index_paths(whole, other, [pictures])
        assert content(catalog, other) == content(whole, other)


def test_a_run_that_is_stopped_ends_at_a_commit(indexed: Catalog, other: FakeEncoder) -> None:
    """The report says so, and the next run does the rest."""
    stop = threading.Event()
    report = add_model(indexed, other, batch_size=2, stop=stop, progress=lambda *_: stop.set())
    assert (report.stopped, report.images_added, report.state.images) == (True, 2, 2)
    assert add_model(indexed, other).images_added == 3


def test_images_whose_files_are_missing_are_reported(
    indexed: Catalog, encoder: FakeEncoder, other: FakeEncoder, folder: Path
) -> None:
    """They do not prevent a switch, and are embedded when their files are back."""
    red = (folder / "red.png").read_bytes()
    status = (folder / "red.png").stat()
    (folder / "red.png").unlink()
    report = add_model(indexed, other)
    assert [(Path(u.path).name, u.reason) for u in report.unread] == [("red.png", "its files are gone")]
    assert (report.state.unembedded, report.state.missing) == (1, 0)
    with pytest.raises(ModelError, match="embedded 4 of 5 images"):  # no indexing run has marked it as missing yet
        switch_model(indexed, "other")
    index_paths(indexed, encoder, [folder])
    state = next(state for state in model_states(indexed) if state.name == "other")
    assert (state.unembedded, state.missing) == (0, 1)
    switch_model(indexed, "other")
    assert len(read_vectors(indexed, Kind.IMAGE)[0]) == 4
    (folder / "red.png").write_bytes(red)
    os.utime(folder / "red.png", ns=(status.st_mtime_ns, status.st_mtime_ns))
    report_back = index_paths(indexed, other, [folder])
    assert (report_back.unchanged, report_back.completed) == (5, 1)
    assert len(read_vectors(indexed, Kind.IMAGE)[0]) == 5


def test_a_file_with_new_content_is_not_embedded_as_the_old_image(
    indexed: Catalog, encoder: FakeEncoder, other: FakeEncoder, folder: Path, paint: Paint
) -> None:
    """An unchanged copy at another path is."""
    (folder / "copy.png").write_bytes((folder / "red.png").read_bytes())
    index_paths(indexed, encoder, [folder])
    for name in ("red.png", "white.png"):
        paint(name, "blue", seed=3)
    report = add_model(indexed, other)
    assert report.images_added == 4
    assert [(Path(u.path).name, u.reason) for u in report.unread] == [
        ("white.png", "it has changed since it was indexed")
    ]


def test_a_name_that_is_taken_gets_digits_of_the_fingerprint(indexed: Catalog) -> None:
    """A retrained model keeps its name with digits added; an explicit name that is taken is an error."""
    again = FakeEncoder(name="fake", fingerprint="ab" * 32)
    assert add_model(indexed, again).state.name == "fake-ababab"
    with pytest.raises(
        ModelError, match=r"the index in .* already has another model named fake; choose a different --name"
    ):
        add_model(indexed, again, name="fake")
    assert add_model(indexed, again, name="mine").state.name == "mine"
    assert [state.name for state in model_states(indexed)] == ["fake", "mine"]
    for name in ("", "  ", "a\nb"):
        with pytest.raises(ModelError, match="is not a valid model name"):
            add_model(indexed, again, name=name)


def test_a_model_cannot_be_added_to_an_empty_index(catalog: Catalog, other: FakeEncoder) -> None:
    """`crosslook index` sets its first model."""
    with pytest.raises(ModelError, match="is empty; fill it with: crosslook index FOLDER --model MODEL_DIR"):
        add_model(catalog, other)


# --- finding ---


def test_models_are_found_by_name_or_fingerprint(indexed: Catalog, other: FakeEncoder) -> None:
    """Other names are rejected with the list of models."""
    add_model(indexed, other)
    assert find_model(indexed, "other").fingerprint == OTHER
    assert find_model(indexed, "FFFFFF").name == "fake"
    for unknown in ("none", "fff", ""):
        with pytest.raises(ModelError, match=r"no model matches .* its models: fake \(ffffffffffff\), other \(0000"):
            find_model(indexed, unknown)


def test_an_index_records_the_directory_of_its_model(
    catalog: Catalog, other: FakeEncoder, folder: Path, tmp_path: Path
) -> None:
    """If it is gone, the error says what to run; adding the moved model updates the directory."""
    index_paths(catalog, other, [folder])
    assert model_directory(catalog, catalog.active_encoder()) == tmp_path / "other"
    (tmp_path / "other").rename(tmp_path / "moved")
    with pytest.raises(ModelError, match=r"model other \(000000000000\) .* is no longer in .*/other; .*models add"):
        model_directory(catalog, catalog.active_encoder())
    other.directory = tmp_path / "moved"
    assert add_model(catalog, other).images_added == 0
    assert model_directory(catalog, catalog.active_encoder()) == tmp_path / "moved"
    assert len(model_states(catalog)) == 1


def test_a_catalog_of_version_1_has_a_model_without_a_directory(tmp_path: Path, other: FakeEncoder) -> None:
    """It counts as the base model; a second one can be added."""
    with Catalog.open(load(1, tmp_path / "old")) as catalog:
        first = catalog.active_encoder()
        assert first is not None
        assert first.path is None
        assert model_directory(catalog, first) is None
        report = add_model(catalog, other)
        assert len(report.unread) == 7  # their files are on another machine
        assert [(s.name, s.images, s.captions) for s in model_states(catalog)] == [(first.name, 7, 3), ("other", 0, 3)]


# --- switching ---


def test_switching_back_and_forth_changes_no_embedding(
    indexed: Catalog, encoder: FakeEncoder, other: FakeEncoder
) -> None:
    """One model is active at a time, and switching embeds nothing."""
    previous = content(indexed, encoder)
    add_model(indexed, other)
    encoded = other.images_encoded
    was, state = switch_model(indexed, "other")
    assert (was.name, state.name, state.active) == ("fake", "other", True)
    assert [(m.name, m.active) for m in indexed.encoders()] == [("other", True), ("fake", False)]
    switch_model(indexed, "fake")
    assert [(m.name, m.active) for m in indexed.encoders()] == [("fake", True), ("other", False)]
    assert content(indexed, encoder) == previous
    assert other.images_encoded == encoded


def test_an_incomplete_model_needs_incomplete_to_become_active(
    indexed: Catalog, encoder: FakeEncoder, other: FakeEncoder, folder: Path
) -> None:
    """The error says what is missing and what to do; the next indexing run completes an active model."""
    stop = threading.Event()
    add_model(indexed, other, batch_size=2, stop=stop, progress=lambda *_: stop.set())
    with pytest.raises(
        ModelError, match=r"other has embedded 2 of 5 images and 0 of 0 captions; .*models add .*/other "
    ):
        switch_model(indexed, "other")
    assert indexed.encoders()[0].name == "fake"
    _, state = switch_model(indexed, "other", incomplete=True)
    assert state.unembedded == 3
    report = index_paths(indexed, other, [folder])
    assert (report.unchanged, report.completed) == (5, 3)
    assert model_states(indexed)[0].unembedded == 0
    assert index_paths(indexed, other, [folder]).completed == 0
    with pytest.raises(EncoderMismatchError, match=r"active model, other .*crosslook models switch fake"):
        index_paths(indexed, encoder, [folder])


def test_an_indexing_run_keeps_its_model(indexed: Catalog, other: FakeEncoder, folder: Path, paint: Paint) -> None:
    """If another one becomes active during the run, embeddings are still stored under the right model."""
    add_model(indexed, other)

    class Switching(FakeEncoder):
        def encode_images(self, pixels: Pixels) -> ImageFeatures:
            switch_model(indexed, "other", incomplete=True)
            return super().encode_images(pixels)

    paint("sun.png", "yellow")
    (folder / "sun.txt").write_text("a yellow sun\n")
    index_paths(indexed, Switching(), [folder])
    states = {state.name: state for state in model_states(indexed)}
    assert (states["fake"].images, states["fake"].captions) == (6, 1)
    assert (states["other"].images, states["other"].captions) == (5, 0)
    assert states["other"].active


# --- removing ---


def test_the_active_model_is_not_removed(indexed: Catalog, other: FakeEncoder) -> None:
    """The index would be left without one."""
    add_model(indexed, other)
    with pytest.raises(ModelError, match=r"fake .* is the active model; switch to another one first"):
        remove_model(indexed, "fake")
    assert len(model_states(indexed)) == 2


def test_a_removed_model_leaves_nothing_behind(indexed: Catalog, encoder: FakeEncoder, other: FakeEncoder) -> None:
    """Embeddings, states and FAISS files are deleted; other models' and the model's directory are not."""
    previous, tables = content(indexed, encoder), ("embedding", "states", "encoder")
    counts = [rows(indexed, table) for table in tables]
    files = sorted((indexed.directory / "vectors").iterdir())
    add_model(indexed, other)
    assert sorted((indexed.directory / "vectors").iterdir()) != files
    assert remove_model(indexed, "other").images == 5
    assert [rows(indexed, table) for table in tables] == counts
    assert sorted((indexed.directory / "vectors").iterdir()) == files
    assert content(indexed, encoder) == previous
    assert other.directory is not None
    assert other.directory.is_dir()
    with pytest.raises(EncoderMismatchError):
        read_vectors(indexed.for_model(other.name, other.fingerprint), Kind.IMAGE)
    assert add_model(indexed, other).images_added == 5


def test_vacuum_shrinks_the_file(
    catalog: Catalog, encoder: FakeEncoder, other: FakeEncoder, paint: Paint, tmp_path: Path
) -> None:
    """Removing a model does not; the rest of the contents is unchanged."""
    for i in range(40):
        paint(f"{i}.png", seed=i)
    index_paths(catalog, encoder, [tmp_path / "pictures"])
    add_model(catalog, other)
    file, previous = catalog.directory / "catalog.db", content(catalog, encoder)
    remove_model(catalog, "other")
    catalog.vacuum()
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)
    small = file.stat().st_size
    add_model(catalog, other)
    catalog.vacuum()
    assert file.stat().st_size > small
    remove_model(catalog, "other")
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA freelist_count").fetchone()[0] > 0
    catalog.vacuum()
    assert file.stat().st_size <= small
    assert content(catalog, encoder) == previous


def test_a_model_that_is_removed_while_it_embeds_is_an_error(indexed: Catalog) -> None:
    """Nothing is written for it."""

    class Removed(FakeEncoder):
        def encode_images(self, pixels: Pixels) -> ImageFeatures:
            remove_model(indexed, "other")
            return super().encode_images(pixels)

    with pytest.raises(CatalogError, match="not by other"):
        add_model(indexed, Removed(name="other", fingerprint=OTHER))
    assert len(model_states(indexed)) == 1
    assert rows(indexed, "embedding") == 5


def test_a_caption_bank_does_not_prevent_a_switch(indexed: Catalog, encoder: FakeEncoder, other: FakeEncoder) -> None:
    """It is not counted, because a model embeds it when first needed."""
    add_model(indexed, other)
    switch_model(indexed, other.name)
    add_bank(indexed, ["a red thing"], other.encode_texts(["a red thing"]))
    assert switch_model(indexed, encoder.name)[1].captions_of == 0


def test_only_one_run_can_add_a_model(indexed: Catalog, other: FakeEncoder) -> None:
    """The second one is an error; an indexing run may go on."""
    with (
        indexing_lock(indexed.directory, f"adding-{other.fingerprint[:16]}.lock"),
        pytest.raises(IndexBusyError, match=str(os.getpid())),
    ):
        add_model(indexed, other)
    with indexing_lock(indexed.directory):
        assert add_model(indexed, other).images_added == 5
