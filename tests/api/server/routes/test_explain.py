"""Word attention over HTTP."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from search import SearchEngine
from tests.api.server.test_app import first_id, problem


def test_weights_are_those_of_the_engine(client: TestClient, engine: SearchEngine) -> None:
    """Each word has a grid that sums to 1; the picture's size is returned too."""
    red = first_id(client)
    document = client.post("/v1/explain", json={"image_id": red, "text": "a red  thing"}).json()
    explained = engine.explain(red, "a red thing")
    assert document == {
        "words": ["a", "red", "thing"],
        "weights": explained.weights.tolist(),
        "probabilities": [None, pytest.approx(float(explained.probabilities[1])), None],
        "absent": [False] * 3,
        "width": 48,
        "height": 40,
    }
    for grid in document["weights"]:
        assert sum(map(sum, grid)) == pytest.approx(1)


def test_words_below_the_threshold_are_absent(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not those without a probability."""
    monkeypatch.setattr("search.verdicts.ABSENT", 1.0)
    document = client.post("/v1/explain", json={"image_id": first_id(client), "text": "a red  thing"}).json()
    assert document["absent"] == [False, True, False]


def test_the_drawing_is_that_of_the_command_line(client: TestClient, engine: SearchEngine) -> None:
    """The PNG is the engine's sheet, pixel for pixel."""
    red = first_id(client)
    response = client.post("/v1/explain/png", json={"image_id": red, "text": "a red thing"})
    assert response.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(response.content)) as drawn:
        assert drawn.convert("RGB").tobytes() == engine.explain(red, "a red thing").sheet().convert("RGB").tobytes()


def test_weights_need_no_file_and_the_drawing_does(client: TestClient, folder: Path) -> None:
    """Without the file, numbers work and the PNG is an error that names the id."""
    body = {"image_id": first_id(client), "text": "red"}
    (folder / "red.png").write_bytes(b"no picture")
    assert client.post("/v1/explain", json=body).status_code == 200
    response = client.post("/v1/explain/png", json=body)
    assert f"image {body['image_id']}: not an image" in problem(response, 422)
    assert str(folder) not in response.text
    (folder / "red.png").unlink()
    response = client.post("/v1/explain/png", json=body)
    problem(response, 404)
    assert str(folder) not in response.text


@pytest.mark.parametrize("way", ["/v1/explain", "/v1/explain/png"])
def test_invalid_explain_requests_are_problems(client: TestClient, way: str) -> None:
    """Unknown images, empty texts and unknown fields are problems."""
    assert "no image has the id 999" in problem(client.post(way, json={"image_id": 999, "text": "red"}), 404)
    assert "the query is empty" in problem(client.post(way, json={"image_id": 1, "text": " "}), 422)
    assert "body.k" in problem(client.post(way, json={"image_id": 1, "text": "red", "k": 1}), 422)
