"""Search, captions and serving with the real model, in processes, on the photographs of scikit-image."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import skimage
from PIL import Image

from encoders import BASE_MODEL

ROOT = Path(__file__).parent.parent.parent
PHOTOGRAPHS = Path(skimage.__file__).parent / "data"
NAMES = ("chelsea.png", "coffee.png", "astronaut.png", "camera.png", "motorcycle_left.png", "page.png", "coins.png")
UNPLUGGED = """
import socket
def refuse(*_):
    raise OSError("the network is unplugged")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
from api.cli.main import main
main()
"""


def crosslook(*arguments: object, where: Path) -> subprocess.CompletedProcess[str]:
    """Run the program in a folder, without network."""
    command = [sys.executable, "-c", UNPLUGGED, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(where / "cache")}
    return subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True, timeout=300, check=False)


def document(done: subprocess.CompletedProcess[str]) -> Any:
    """The JSON output of a successful run."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index of some photographs."""
    folder = tmp_path_factory.mktemp("home")
    report = document(crosslook("index", *(PHOTOGRAPHS / name for name in NAMES), "--json", where=folder))
    assert report["added"] == len(NAMES)
    return folder


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("a tabby cat", "chelsea.png"),
        ("a cup of coffee on a wooden table", "coffee.png"),
        ("a man with a camera in a field", "camera.png"),
        ("a motorcycle in a garage", "motorcycle_left.png"),
    ],
)
def test_sentences_find_their_photograph(home: Path, query: str, name: str) -> None:
    """Each sentence finds its photograph, in a new process without network."""
    hits = document(crosslook("search", query, "--json", where=home))["hits"]
    assert Path(hits[0]["path"]).name == name
    assert all(0 <= hit["match_probability"] <= 1 for hit in hits)


@pytest.mark.slow
def test_a_second_model_is_tried_and_used_without_being_named(tmp_path: Path) -> None:
    """A copy of the base model is added, compared, switched to and used for searches."""
    twin = tmp_path / "twin"
    shutil.copytree(BASE_MODEL, twin)
    description = json.loads((twin / "model.json").read_text(encoding="utf-8"))
    (twin / "model.json").write_text(json.dumps(description | {"name": "twin"}), encoding="utf-8")
    for name, caption in (("chelsea.png", "a tabby cat"), ("coffee.png", "a cup of coffee on a table")):
        shutil.copy(PHOTOGRAPHS / name, tmp_path)
        (tmp_path / name).with_suffix(".txt").write_text(caption)
    document(crosslook("index", ".", "--json", where=tmp_path))
    added = document(crosslook("models", "add", "twin", "--json", where=tmp_path))
    assert (added["images_added"], added["captions_added"], added["model"]["path"]) == (2, 2, str(twin))
    base, other = document(crosslook("models", "compare", "--json", where=tmp_path))["models"]
    assert (base["active"], other["name"]) == (True, "twin")
    assert base["text_to_image"] == other["text_to_image"]
    assert other["text_to_image"]["reranked"]["r1"] == 100.0
    document(crosslook("models", "switch", "twin", "--json", where=tmp_path))
    hits = document(crosslook("search", "a tabby cat", "--json", where=tmp_path))["hits"]
    assert Path(hits[0]["path"]).name == "chelsea.png"
    shutil.rmtree(twin)
    gone = crosslook("search", "a tabby cat", where=tmp_path)
    assert gone.returncode == 1
    assert f"is no longer in {twin}; if it moved, run: crosslook models add" in gone.stderr


def test_captions_of_the_bank_fit_or_are_withheld(home: Path) -> None:
    """The captions of a photograph of a cat mention it; a microscope's picture has none."""
    hits = document(crosslook("captions", PHOTOGRAPHS / "chelsea.png", "--json", where=home))["hits"]
    assert "cat" in hits[0]["text"]
    assert hits[0]["source"] == "bank"
    assert document(crosslook("captions", PHOTOGRAPHS / "ihc.png", "--json", where=home))["hits"] == []


def test_a_heat_map_is_drawn_for_every_word(home: Path) -> None:
    """The sheet has five panels, the picture and four words, in two rows."""
    done = crosslook("explain", PHOTOGRAPHS / "coffee.png", "a cup of coffee", "--out", "heat.png", where=home)
    assert done.returncode == 0, done.stderr
    with Image.open(home / "heat.png") as sheet:
        assert sheet.width > 4 * 320
        assert sheet.height > 2 * 200


def test_a_checkpoint_cut_short_is_one_sentence(home: Path, tmp_path: Path) -> None:
    """A truncated checkpoint is a one-line error."""
    base = ROOT / "encoders" / "base"
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.json").write_bytes((base / "model.json").read_bytes())
    (tmp_path / "model" / "model.safetensors").write_bytes((base / "model.safetensors").read_bytes()[:1_000_000])
    done = crosslook("search", "a cat", "--model", tmp_path / "model", where=home)
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(r"crosslook: .*model\.safetensors is cut short or altered: .*\n", done.stderr)


def test_the_server_answers_over_a_real_socket(home: Path) -> None:
    """A server process answers search, file and health requests, and stops on Ctrl-C with status 130."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "api.cli", "serve", "--port", str(port), "--index", str(home / "crosslook-index")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as server:
        try:
            base = f"http://127.0.0.1:{port}"
            _wait(f"{base}/healthz", server)
            body = json.dumps({"text": "a tabby cat", "k": 1}).encode()
            request = urllib.request.Request(  # noqa: S310  our own server
                f"{base}/v1/search", body, {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310  as above
                hit = json.load(response)["hits"][0]
            assert Path(hit["path"]).name == "chelsea.png"
            with urllib.request.urlopen(f"{base}/v1/images/{hit['image_id']}/file", timeout=60) as response:  # noqa: S310
                assert response.read() == (PHOTOGRAPHS / "chelsea.png").read_bytes()
        finally:
            server.send_signal(signal.SIGINT)
            status = server.wait(timeout=60)
    assert status == 130


def _wait(url: str, server: subprocess.Popen[str]) -> None:
    """Wait until the server answers."""
    for _ in range(240):
        assert server.poll() is None, server.stderr.read() if server.stderr else ""
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310  our own server
                return
        except OSError:
            time.sleep(0.25)
    raise AssertionError("the server did not answer")


def test_the_demo_writes_a_page_of_its_own(tmp_path: Path) -> None:
    """The demo page embeds pictures and heat maps, and has no scripts or external resources."""
    command = [sys.executable, "scripts/demo.py", "--out", str(tmp_path / "demo")]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "demo" / "index.html")
    page = (tmp_path / "demo" / "index.html").read_text()
    assert page.count("<section>") == 10
    assert page.count("data:image/jpeg;base64,") > 50
    assert "<script" not in page
    assert "http" not in re.sub(r"data:[^\"]*", "", page)
