"""Pretrained pairs in an index: added, compared, switched to, searched with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from skimage import data

from tests.encoders.conftest import painted_pictures

ROOT = Path(__file__).parents[3]
PHOTOGRAPHS = Path(data.__file__).parent


class Crosslook:
    """The program, run in a folder of three photographs, with the user's data kept beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {"PYTHONPATH": str(ROOT), "XDG_DATA_HOME": str(folder.parent / "data")}

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run a command."""
        command = [sys.executable, "-m", "api.cli", *map(str, arguments)]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )

    def json(self, *arguments: object) -> Any:
        """Run a command with `--json`, and read its output."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def crosslook(tmp_path: Path) -> Crosslook:
    """The program; the photographs are indexed by the base model, and one has a caption."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for name in ("chelsea.png", "coffee.png", "rocket.jpg"):
        (folder / name).write_bytes((PHOTOGRAPHS / name).read_bytes())
    (folder / "chelsea.txt").write_text("a tabby cat\n")
    program = Crosslook(folder)
    program.json("index", ".")
    return program


@pytest.mark.slow
@pytest.mark.usefixtures("architecture")
@pytest.mark.parametrize(
    ("architecture", "form"),
    [("tiny-vit", "immich"), ("tiny-cnn", "transformers_js")],
    indirect=["architecture"],
)
def test_a_pair_is_used_as_any_model(form: str, request: pytest.FixtureRequest, crosslook: Crosslook) -> None:
    """Added by the name of its folder, compared, switched to; then search, similar and captions answer with it."""
    source = request.getfixturevalue(form)
    added = crosslook.json("models", "add", f"onnx:{source}")
    assert (added["images_added"], added["captions_added"], added["model"]["name"]) == (3, 1, source.name)
    assert Path(added["model"]["path"]).parent == crosslook.folder.parent / "data" / "crosslook" / "models"
    again = crosslook.json("models", "add", f"onnx:{source}")
    assert (again["images_added"], again["model"]["path"]) == (0, added["model"]["path"])
    base, pair = crosslook.json("models", "compare")["models"]
    assert base["active"]
    assert pair["text_to_image"]["retrieval"] == pair["text_to_image"]["reranked"]
    crosslook.json("models", "switch", source.name)
    hits = crosslook.json("search", "a tabby cat", "--no-keywords")["hits"]
    assert len(hits) == 3
    assert [hit["match_probability"] for hit in hits] == [None] * 3
    cosines = [hit["retrieval_score"] for hit in hits]
    assert cosines == sorted(cosines, reverse=True)
    assert len(crosslook.json("similar", "coffee.png")["hits"]) == 2
    assert crosslook.json("captions", "chelsea.png")["hits"]
    with Image.open(crosslook.folder / "coffee.png") as coffee:
        coffee.convert("RGB").resize((300, 200)).save(crosslook.folder / "small.jpg")
    assert crosslook.json("index", ".")["added"] == 1
    (group,) = crosslook.json("duplicates")["groups"]
    assert sorted(Path(file["path"]).name for file in group["files"]) == ["coffee.png", "small.jpg"]
    refused = crosslook.run("search", "a tabby cat", "--min-probability", "0.5")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "gives no probability" in refused.stderr
    unexplained = crosslook.run("explain", "chelsea.png", "a cat", "--out", "cat.png")
    assert (unexplained.returncode, unexplained.stderr.count("\n")) == (1, 1)
    assert "has no regions" in unexplained.stderr


def test_a_name_that_is_no_pair_is_refused(crosslook: Crosslook) -> None:
    """With one sentence that says how to write one."""
    for source, words in (
        ("open_clip:RN50", "write open_clip:ARCHITECTURE/WEIGHTS, hf:OWNER/REPOSITORY or"),
        ("open_clip:RN50/nothing", "RN50 has no weights 'nothing'"),
        ("onnx:nowhere", "is not a folder"),
    ):
        done = crosslook.run("models", "add", source)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert words in done.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("architecture")
@pytest.mark.parametrize("architecture", ["tiny-vit"], indirect=True)
def test_a_pair_with_states_is_shown_calibrated_and_reranked(pair: Path, crosslook: Crosslook) -> None:
    """By itself it has heat maps, and probabilities from the captions of the index; with a reranker it reranks."""
    pictures = painted_pictures(crosslook.folder)
    rows = [
        f"{example.image},{words} {caption} {number},{example.split}"  # pictures of the same colours are one
        for number, example in enumerate(pictures.examples)
        for caption in example.captions
        for words in ("a picture of", "here is", "look:")
    ]
    (crosslook.folder / "captions.csv").write_text("\n".join(["image,caption,split", *rows]) + "\n")
    crosslook.json("index", ".", "--captions", "captions.csv")
    alone = crosslook.folder.parent / "alone"
    shutil.copytree(pair, alone)
    added = crosslook.run("models", "add", alone)
    assert "Match probabilities fitted to 241 captions of the index" in added.stderr
    crosslook.json("models", "switch", "tiny-vit")
    listed = crosslook.json("models", "list")["models"][0]
    assert (listed["name"], listed["reranks"], listed["heat_maps"], listed["probabilities"]) == (
        "tiny-vit",
        False,
        True,
        True,
    )
    assert "heat maps, probabilities" in " ".join(crosslook.run("models", "list").stdout.split())
    (hit, *_) = crosslook.json("search", "red over blue")["hits"]
    assert 0 < hit["match_probability"] < 1
    assert crosslook.run("explain", "chelsea.png", "a cat", "--out", "alone.png").returncode == 0
    trained = ("train", "captions.csv", "--towers", alone, "--out", "reranked", "--epochs", "1", "--views", "1")
    result = crosslook.json(*trained, "--batch-size", "14", "--device", "cpu")
    assert result["model"] == "reranked/model"
    assert {path.name for path in (crosslook.folder / "reranked" / "model").iterdir()} == {
        *("model.json", "model.safetensors", "graphs.json", "image.onnx", "text.onnx", "reranker.onnx", "pair"),
    }
    crosslook.json("models", "add", "reranked/model")
    crosslook.json("models", "switch", "reranked")
    listed = crosslook.json("models", "list")["models"][0]
    assert (listed["name"], listed["reranks"], listed["heat_maps"]) == ("reranked", True, True)
    (hit, *_) = crosslook.json("search", "red over blue")["hits"]
    assert hit["rerank_score"] is not None
    assert crosslook.run("explain", "chelsea.png", "a cat", "--out", "reranked.png").returncode == 0
    assert crosslook.json("captions", "chelsea.png")["hits"]
    refused = crosslook.run("train", "captions.csv", "--init", "reranked/model", "--out", "again")
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1] == (
        "crosslook: reranked/model is a reranker on a pair; train another one with: --towers reranked/model/pair"
    )
