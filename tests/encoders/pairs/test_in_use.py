"""Pretrained pairs in an index: added, compared, switched to, searched with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from skimage import data

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
