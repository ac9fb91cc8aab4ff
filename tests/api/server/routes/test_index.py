"""The index as a whole, over HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from indexer import add_model, index_paths
from search import SearchEngine
from tests.api.conftest import Run
from tests.api.server.test_app import problem
from tests.conftest import Paint
from tests.fakes import FakeEncoder


def test_facets_count_what_filters_choose(client: TestClient, folder: Path, engine: SearchEngine, paint: Paint) -> None:
    """Facets count matching images, and follow changes of the index."""
    document = client.get("/v1/facets").json()
    assert document["images"] == 5
    assert document["folders"] == [{"value": str(folder), "count": 5}]
    assert document["cameras"] == document["years"] == document["months"] == [{"value": None, "count": 5}]
    assert document["formats"] == [{"value": "PNG", "count": 5}]
    assert document["orientations"] == [{"value": "landscape", "count": 5}]
    named = client.get("/v1/facets", params={"where": ["name = red*", "format = png"]}).json()
    assert named["images"] == 1
    paint("below/tall.png", "red", size=(20, 40))
    index_paths(engine.catalog, FakeEncoder(), [folder])
    document = client.get("/v1/facets").json()
    assert [count["count"] for count in document["folders"]] == [5, 1]
    assert {"value": "portrait", "count": 1} in document["orientations"]
    assert "unknown field" in problem(client.get("/v1/facets", params={"where": "colour = red"}), 422)


def test_facets_follow_captions(client: TestClient, engine: SearchEngine, run: Run, folder: Path) -> None:
    """Facets follow `index --captions`, which changes no file, and the removal of a sidecar."""

    def captioned() -> tuple[int, int]:
        counts = [client.get("/v1/facets", params={"where": f"has_caption = {value}"}) for value in ("true", "false")]
        return counts[0].json()["images"], counts[1].json()["images"]

    assert captioned() == (0, 5)
    file = folder.parent / "captions.csv"
    file.write_text("image,caption\nred.png,a red thing\ngreen.png,a green thing\n")
    done = run("index", folder, "--captions", file, "--index", engine.catalog.directory)
    assert done.status == 0, done.err
    assert captioned() == (2, 3)
    (folder / "blue.txt").write_text("a blue thing\n")
    assert run("index", folder, "--index", engine.catalog.directory).status == 0
    assert captioned() == (3, 2)
    (folder / "blue.txt").write_text("")
    assert run("index", folder, "--index", engine.catalog.directory).status == 0
    assert captioned() == (2, 3)


def test_slow_answers_are_computed_once(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, engine: SearchEngine
) -> None:
    """While the index is unchanged, facets per filter and duplicates are computed once."""
    addresses = ("/v1/facets", "/v1/facets?where=width+%3E+1", "/v1/duplicates", "/v1/duplicates?k=1")
    documents = [client.get(address).json() for address in addresses]
    with monkeypatch.context() as broken:
        for name in ("facets", "find_duplicates"):
            broken.setattr(f"api.server.routes.index.{name}", None)
        assert [client.get(address).json() for address in addresses] == documents
        engine.image_path(1).unlink()
        index_paths(engine.catalog, FakeEncoder(), [], prune=True)
        assert client.get(addresses[0]).status_code == client.get(addresses[2]).status_code == 500
    assert client.get(addresses[0]).json()["images"] == 4


def test_duplicates_are_groups_of_images(client: TestClient, engine: SearchEngine, folder: Path) -> None:
    """An identical copy has the same image id, a smaller version another."""
    big = Image.effect_mandelbrot((400, 300), (-2, -1, 1, 1), 60).convert("RGB")
    big.save(folder / "m.png")
    big.resize((200, 150)).save(folder / "m-small.png")
    (folder / "red-copy.png").write_bytes((folder / "red.png").read_bytes())
    index_paths(engine.catalog, FakeEncoder(), [folder])
    document = client.get("/v1/duplicates").json()
    assert document["total"] == 2
    fractal, copies = document["groups"]
    assert [file["path"] for file in fractal["files"]] == [str(folder / "m.png"), str(folder / "m-small.png")]
    assert len(fractal["image_ids"]) == 2
    assert (len(copies["image_ids"]), len(copies["files"]), copies["likeness"]) == (1, 2, 1)
    first = client.get("/v1/duplicates", params={"k": 1}).json()
    assert (first["groups"], first["total"]) == ([fractal], 2)
    assert [file["kind"] for file in fractal["files"] + copies["files"]] == [
        *("largest", "version", "largest", "same bytes")
    ]
    (folder / "red-copy.png").unlink()  # the cached answer is not believed
    document = client.get("/v1/duplicates").json()
    assert (document["groups"], document["total"]) == ([fractal], 1)


def test_models_are_listed_with_what_they_embedded(client: TestClient, engine: SearchEngine, tmp_path: Path) -> None:
    """The active model comes first, and no path is disclosed."""
    add_model(engine.catalog, FakeEncoder(name="turned", fingerprint="e" * 64, turn=1, directory=tmp_path))
    response = client.get("/v1/models")
    first, second = response.json()["models"]
    assert (first["name"], first["active"], first["images"], first["images_of"]) == ("fake", True, 5, 5)
    assert (second["name"], second["fingerprint"], second["active"]) == ("turned", "e" * 64, False)
    assert str(tmp_path) not in response.text


def test_stats_are_those_of_the_command_line(client: TestClient, engine: SearchEngine, run: Run, folder: Path) -> None:
    """The same as `crosslook stats --json`, without the model's path."""
    document = client.get("/v1/stats").json()
    expected: dict[str, Any] = run("stats", "--index", engine.catalog.directory, "--json").json
    for private in ("id", "path", "active"):
        expected["encoder"].pop(private)
    assert document == expected
    assert document["roots"] == [str(folder)]
    assert str(engine.catalog.directory) not in json.dumps(document)
