"""The `models` commands."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from encoders import BASE_MODEL, ImageFeatures, Pixels
from indexer import Catalog
from tests.api.conftest import BANK, Run, press_ctrl_c
from tests.fakes import FakeEncoder

ROOT = Path(__file__).parents[3]


@pytest.fixture
def other(tmp_path: Path) -> FakeEncoder:
    """A second model, which encodes colours differently."""
    directory = tmp_path / "other"
    directory.mkdir()
    return FakeEncoder(name="other", fingerprint="0" * 64, directory=directory, turn=1)


@pytest.fixture
def ready(run: Run, folder: Path, encoder: FakeEncoder, other: FakeEncoder, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The five pictures in ./crosslook-index; models are loaded by their folder, and the first is the base model."""

    def load(model: Path | None = None, *, device: str = "auto", **_: bool) -> FakeEncoder:
        assert device == "auto"
        return encoder if model is None or model == BASE_MODEL else {other.directory: other}[model]

    for module in ("api.cli.index", "api.cli.models", "api.cli.search", "search.active_model"):
        monkeypatch.setattr(f"{module}.load_encoder", load)
    monkeypatch.setattr("search.evaluation.compare.caption_bank", lambda: BANK)
    assert run("index", folder).status == 0
    return run


def test_a_model_is_added_compared_switched_to_and_removed(ready: Run, folder: Path, other: FakeEncoder) -> None:
    """The workflow of docs/MODELS.md prints what it should."""
    (folder / "red.txt").write_text("a red wall\n")
    ready("index", folder)
    added = ready("models", "add", other.directory)
    assert added.status == 0
    assert "other (000000000000) has embedded 5 of 5 images and 1 of 1 captions of the index" in added.err
    assert "this run added 5 images and 1 caption in" in added.err
    assert "Now try: crosslook models compare; then: crosslook models switch other" in added.err
    table = ready("models", "compare").out
    assert all(words in table for words in ("fake (active)", "other", "text → image R@1 / 5 / 10", "ms per query"))
    listed = ready("models", "list").out.splitlines()
    assert [line.split()[0] for line in listed] == ["model", "active", "other"]
    assert "5 of 5" in listed[2]
    switched = ready("models", "switch", "other")
    assert switched.err == "other is active; to go back: crosslook models switch fake\n"
    assert ready("search", "red", "--json").json["hits"][0]["path"] == str(folder / "red.png")
    assert "other" in ready("stats").out
    refused = ready("models", "remove", "other")
    assert refused.status == 1
    assert "is the active model; switch to another one first" in refused.err
    ready("models", "switch", "fake")
    removed = ready("models", "remove", "other", "--vacuum")
    assert "other removed: 5 images, about " in removed.err
    assert "freed" in removed.err
    assert len(ready("models", "list", "--json").json["models"]) == 1


def test_the_documents_have_the_documented_keys(ready: Run, folder: Path, other: FakeEncoder) -> None:
    """Each command's JSON has the documented keys, and nothing else is on stdout."""
    abilities = ["reranks", "heat_maps", "probabilities"]
    model = ["name", "fingerprint", "dimension", "path", *abilities, "active", "images", "captions", "bytes"]
    added = ready("models", "add", other.directory, "--name", "mine", "--json")
    assert added.err == ""
    assert list(added.json) == ["model", "images_added", "captions_added", "unread", "stopped", "seconds"]
    assert list(added.json["model"]) == model
    assert added.json["model"]["images"] == {"embedded": 5, "of": 5, "files_missing": 0}
    assert added.json["model"]["captions"] == {"embedded": 0, "of": 0}
    assert added.json["model"]["path"] == str(other.directory)
    listed = ready("models", "list", "--json").json["models"]
    assert [(m["name"], m["active"], m["path"]) for m in listed] == [
        ("fake", True, None),
        ("mine", False, str(other.directory)),
    ]
    assert listed[0]["bytes"] == listed[1]["bytes"] == 5 * (2 * 8 + 4 + 16 * (4 + 8))
    compared = ready("models", "compare", "mine", "fake", "--json")
    assert compared.json["own_captions"] is False
    assert [m["name"] for m in compared.json["models"]] == ["mine", "fake"]
    assert "None of the images has a caption of its own" in ready("models", "compare").err
    switched = ready("models", "switch", "000000", "--json").json
    assert (switched["before"], switched["active"]["name"], switched["active"]["active"]) == ("fake", "mine", True)
    assert ready("models", "switch", "fake", "--json").json["before"] == "mine"
    (folder / "red.png").unlink()
    removed = ready("models", "remove", "mine", "--json").json
    assert (removed["removed"]["name"], removed["vacuumed"]) == ("mine", False)


def test_an_incomplete_model_is_reported(ready: Run, folder: Path, other: FakeEncoder) -> None:
    """Unread pictures are named with their reason; switching to an incomplete model needs `--incomplete`."""
    (folder / "red.png").unlink()
    added = ready("models", "add", other.directory)
    assert added.status == 0
    assert f"{folder / 'red.png'}: its files are gone" in added.err
    hidden = "1 images are not embedded by other; while it is active they are hidden, until crosslook index"
    assert hidden in added.err
    refused = ready("models", "switch", "other")
    assert refused.status == 1
    assert f"crosslook models add {other.directory} --index crosslook-index" in refused.err
    assert refused.err.count("\n") == 1
    switched = ready("models", "switch", "other", "--incomplete")
    assert switched.status == 0
    assert hidden in switched.err


def test_interrupting_ends_at_a_commit(ready: Run, other: FakeEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C after the first batch ends with status 1 and keeps it; the same command does the rest."""
    encode = other.encode_images

    def interrupt(pixels: Pixels) -> ImageFeatures:
        press_ctrl_c()
        monkeypatch.setattr(other, "encode_images", encode)
        return encode(pixels)

    monkeypatch.setattr(other, "encode_images", interrupt)
    done = ready("models", "add", other.directory, "--batch-size", "2", "--json")
    assert done.status == 1
    assert (done.json["stopped"], done.json["images_added"]) == (True, 2)
    assert "repeat the command to continue" in done.err
    assert ready("models", "add", other.directory, "--json").json["images_added"] == 3


def test_an_index_is_searched_with_the_model_that_made_it(
    ready: Run, folder: Path, other: FakeEncoder, encoder: FakeEncoder
) -> None:
    """`--model` is needed once; another model is refused until it has embedded the index."""
    made = ("--index", "mine")
    assert ready("index", folder, *made, "--model", other.directory).status == 0
    assert ready("models", "list", *made, "--json").json["models"][0]["path"] == str(other.directory)
    assert ready("search", "red", *made, "--json").json["hits"][0]["path"] == str(folder / "red.png")
    assert ready("index", folder, *made).status == 0
    assert ready("doctor", *made, "--json").json["model"]["path"] == str(other.directory)
    refused = ready("search", "red", *made, "--model", "base")
    assert refused.status == 1
    assert "was made by model other (000000000000), not by fake (ffffffffffff)" in refused.err
    assert ready("models", "add", "base", *made).status == 0
    encoder.texts_encoded = 0
    found = ready("search", "red", *made, "--model", "base", "--json")
    assert found.json["hits"][0]["path"] == str(folder / "red.png")
    assert encoder.texts_encoded == 1
    with Catalog.open(Path("mine")) as catalog:
        assert catalog.encoders()[0].name == "other"
    other_run = ready("index", folder, *made, "--model", "base")
    assert other_run.status == 1
    assert "crosslook models switch fake --index mine" in other_run.err


def test_an_index_of_an_earlier_base_model_says_how_to_move_on(
    ready: Run, folder: Path, encoder: FakeEncoder, other: FakeEncoder
) -> None:
    """The new base model is added and switched to; the old one can be brought back from a folder."""
    other.name, other.fingerprint, other.turn = encoder.name, encoder.fingerprint, 0
    encoder.fingerprint = "e" * 64
    for command in (("search", "red"), ("index", folder)):
        refused = ready(*command)
        assert refused.status == 1
        assert "to embed the pictures with the new one, run: crosslook models add base --index" in refused.err
    assert "crosslook models switch fake-eeeeee" in ready("models", "add", "base").err
    assert (
        "it holds the second as well, so switch with: crosslook models switch fake-eeeeee" in ready("search", "red").err
    )
    assert ready("models", "switch", "fake-eeeeee").status == 0
    assert ready("search", "red", "--json").json["hits"][0]["path"] == str(folder / "red.png")
    assert ready("models", "add", other.directory).status == 0
    assert ready("models", "switch", "fake").status == 0
    assert ready("search", "red", "--json").json["hits"][0]["path"] == str(folder / "red.png")


def test_a_moved_model_is_reported_and_can_be_added_again(ready: Run, folder: Path, other: FakeEncoder) -> None:
    """Errors name the model, its old directory and what to do; `doctor` reports a fault."""
    ready("index", folder, "--index", "mine", "--model", other.directory)
    directory = other.directory
    assert directory is not None
    directory.rename(directory.with_name("moved"))
    for command in (("search", "red"), ("index", folder)):
        done = ready(*command, "--index", "mine")
        assert done.status == 1
        assert f"model other (000000000000) of the index in mine is no longer in {directory};" in done.err
        assert done.err.count("\n") == 1
    faulty = ready("doctor", "--index", "mine", "--json")
    assert (faulty.status, faulty.json["model"]["sound"]) == (1, False)
    other.directory = directory.with_name("moved")
    assert ready("models", "add", other.directory, "--index", "mine").status == 0
    assert ready("search", "red", "--index", "mine").status == 0


def test_an_index_of_version_1_takes_the_base_model(ready: Run, folder: Path, other: FakeEncoder) -> None:
    """Such an index has no model directory: the base model needs none, any other must be added again."""
    with sqlite3.connect("crosslook-index/catalog.db") as connection:
        assert connection.execute("SELECT path FROM encoder").fetchall() == [(None,)]
    assert ready("search", "red").status == 0
    ready("index", folder, "--index", "mine", "--model", other.directory)
    with sqlite3.connect("mine/catalog.db") as connection:
        connection.execute("UPDATE encoder SET path = NULL")
    done = ready("search", "red", "--index", "mine")
    assert done.status == 1
    assert "made by model other (000000000000), not by fake (ffffffffffff)" in done.err
    assert "crosslook models add MODEL_DIR --index mine" in done.err
    assert ready("models", "add", other.directory, "--index", "mine").status == 0
    assert ready("search", "red", "--index", "mine").status == 0


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("models",), 2, ""),
        (("models", "switch"), 2, "Missing argument"),
        (("models", "compare", "--sample", "0"), 2, "--sample"),
        (
            ("models", "switch", "none"),
            1,
            "no model matches 'none' in the index in crosslook-index; its models: fake (",
        ),
        (("models", "remove", "none"), 1, "no model matches"),
        (("models", "compare", "none"), 1, "no model matches"),
        (("models", "list", "--index", "nowhere"), 1, "no index in nowhere; make one with: crosslook index"),
        (("models", "add", "base", "--index", "nowhere"), 1, "no index in nowhere"),
    ],
)
def test_bad_usage_is_one_line(ready: Run, arguments: tuple[str, ...], status: int, words: str) -> None:
    """Bad usage and unknown models are one-line errors, and nothing changes."""
    done = ready(*arguments)
    assert done.status == status
    assert words in done.err
    assert [m["name"] for m in ready("models", "list", "--json").json["models"]] == ["fake"]


def test_listing_switching_and_removing_load_no_heavy_library(ready: Run, other: FakeEncoder) -> None:
    """They import neither torch nor FAISS nor FastAPI."""
    ready("models", "add", other.directory)
    code = (
        "import sys; from api.cli.main import app\n"
        "for words in ('list', 'switch other', 'switch fake', 'remove other'):\n"
        "    app(['models', *words.split(), '--json'], standalone_mode=False)\n"
        "print(*{'torch', 'faiss', 'fastapi'} & set(sys.modules), file=sys.stderr)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stderr.split() == []
    assert '"before": "other"' in done.stdout
