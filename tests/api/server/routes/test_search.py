"""Searches over HTTP: pages, uploads, similar images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from indexer import Catalog, add_model, index_paths, remove_model, switch_model
from search import SearchEngine
from tests.api.server.test_app import first_id, picture, problem
from tests.conftest import Paint
from tests.fakes import FakeEncoder


def hits(client: TestClient, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The hits of all pages joined."""
    found: list[dict[str, Any]] = []
    document = client.post("/v1/search", json=body).json()
    found += document["hits"]
    while document["next_cursor"] is not None:
        document = client.post("/v1/search", json={"cursor": document["next_cursor"]}).json()
        found += document["hits"]
    return found


@pytest.mark.parametrize(
    "how", [{}, {"rerank": False}, {"depth": 2}, {"where": ["name = *.png"]}, {"without": ["blue"]}, {"image_id": 2}]
)
def test_pages_joined_are_one_long_answer(client: TestClient, how: dict[str, Any]) -> None:
    """The cursor holds the whole query."""
    all_hits = hits(client, {"text": "red", "k": 100} | how)
    assert len(all_hits) == 5
    assert hits(client, {"text": "red", "k": 2} | how) == all_hits


def test_a_cursor_is_sent_alone(client: TestClient) -> None:
    """A cursor with other fields is refused, because they would be ignored."""
    cursor = client.post("/v1/search", json={"text": "red", "k": 2}).json()["next_cursor"]
    assert "body.k: Extra" in problem(client.post("/v1/search", json={"cursor": cursor, "k": 3}), 422)
    assert "body.cursor" in problem(client.post("/v1/search", json={"cursor": None}), 422)


def test_a_cursor_that_was_changed_is_a_problem(client: TestClient) -> None:
    """A changed cursor gets a problem of type `cursor`, whose message says what to do."""
    cursor = client.post("/v1/search", json={"text": "red", "k": 2}).json()["next_cursor"]
    for place in range(0, len(cursor), 7):
        changed = cursor[:place] + ("A" if cursor[place] != "A" else "B") + cursor[place + 1 :]
        response = client.post("/v1/search", json={"cursor": changed})
        assert "Start again" in problem(response, 422)
        assert response.json()["type"] == "urn:crosslook:problem:cursor"
    browsing = client.get("/v1/images", params={"k": 2}).json()["next_cursor"]
    assert "Start again" in problem(client.post("/v1/search", json={"cursor": browsing}), 422)


def test_a_long_query_has_pages_too(client: TestClient) -> None:
    """The cursor of the longest query is accepted."""
    how = {"without": ["green" + " " * 1990] * 20, "where": ["name != " + "\u00e9" * 990] * 20}
    assert len(hits(client, {"text": "red" + " " * 1980 + "thing", "k": 2} | how)) == 5


def test_an_image_that_is_removed_between_pages_is_left_out(
    client: TestClient, engine: SearchEngine, folder: Path
) -> None:
    """The rest of the page follows without a gap."""
    all_hits = [hit["image_id"] for hit in hits(client, {"text": "red"})]
    document = client.post("/v1/search", json={"text": "red", "k": 2}).json()
    engine.image_path(all_hits[2]).unlink()
    index_paths(engine.catalog, FakeEncoder(), [folder], prune=True)
    following = client.post("/v1/search", json={"cursor": document["next_cursor"]}).json()
    assert [hit["image_id"] for hit in following["hits"]] == all_hits[3:]
    assert following["next_cursor"] is None


def test_pages_end_after_a_thousand_hits(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paging ends at the maximum, here three hits."""
    monkeypatch.setattr("api.server.routes.search.MAX_HITS", 3)
    assert len(hits(client, {"text": "red", "k": 2})) == 3


def test_a_model_of_the_index_may_be_named(client: TestClient, engine: SearchEngine) -> None:
    """A model is named by name or fingerprint prefix; unknown names list the existing models."""
    plain = client.post("/v1/search", json={"text": "red"}).json()["hits"]
    for model in ("fake", "ffffff"):
        assert client.post("/v1/search", json={"text": "red", "model": model}).json()["hits"] == plain
    add_model(engine.catalog, FakeEncoder(name="turned", fingerprint="e" * 64, turn=1))
    for model, words in (("nobody", "its models: fake"), ("turned", "only answers with model")):
        response = client.post("/v1/search", json={"text": "red", "model": model})
        assert words in problem(response, 422)
        assert response.json()["type"] == "urn:crosslook:problem:model-not-found"
        assert str(engine.catalog.directory) not in response.text


def test_a_cursor_of_a_model_that_was_removed_is_a_problem(client: TestClient, indexed: Catalog) -> None:
    """The search must start again, with the model that is active now."""
    cursor = client.post("/v1/search", json={"text": "red", "k": 2}).json()["next_cursor"]
    add_model(indexed, FakeEncoder(name="turned", fingerprint="e" * 64, turn=1))
    switch_model(indexed, "turned")
    remove_model(indexed, "fake")
    response = client.post("/v1/search", json={"cursor": cursor})
    assert "Start again" in problem(response, 422)
    assert response.json()["type"] == "urn:crosslook:problem:cursor"


def test_images_similar_to_an_upload(client: TestClient, folder: Path) -> None:
    """An upload finds similar pictures, alone or with text; both can exclude texts."""
    upload = {"image": ("x.png", picture("blue"))}
    alone = client.post("/v1/search/image", files=upload, data={"k": "1000"}).json()
    assert set(alone) == {"query", "hits", "describes", "no_match", "timings_ms"}
    assert alone["query"] == "picture"
    assert len(alone["hits"]) == 5
    assert alone["hits"][0]["path"] == str(folder / "blue.png")
    both = client.post("/v1/search/image", files=upload, data={"text": "thing", "where": ["name = *"]}).json()
    assert (both["query"], both["hits"][0]["path"]) == ("thing", str(folder / "blue.png"))
    narrow = {"where": ["name = red*", "format = png"]}
    assert len(client.post("/v1/search/image", files=upload, data=narrow).json()["hits"]) == 1
    away = client.post("/v1/search/image", files=upload, data={"without": ["white"]}).json()
    assert away["without"] == ["white"]
    before, after = (
        next(hit["retrieval_score"] for hit in found["hits"] if hit["path"] == str(folder / "white.png"))
        for found in (alone, away)
    )
    assert after < before - 0.1


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"k": "1001"}, "body.k"),
        ({"min_probability": "0.5"}, "needs 'text'"),
        ({"text": "red", "min_probability": "0.5", "rerank": "false"}, "needs reranking"),
        ({"where": ["colour = red"]}, "unknown field 'colour'"),
        ({"without": [" "]}, "an excluded phrase is empty"),
    ],
)
def test_invalid_upload_searches_are_problems(client: TestClient, data: dict[str, Any], words: str) -> None:
    """Status 422 with the reason."""
    assert words in problem(client.post("/v1/search/image", files={"image": ("x", picture())}, data=data), 422)


def test_an_unreadable_upload_has_its_own_type(client: TestClient) -> None:
    """An unreadable upload has the type `unreadable-image`."""
    response = client.post("/v1/search/image", files={"image": ("x.jpg", b"no picture")})
    assert "the upload: not an image" in problem(response, 422)
    assert response.json()["type"] == "urn:crosslook:problem:unreadable-image"
    assert "body.image" in problem(client.post("/v1/search/image"), 422)


def test_images_similar_to_an_indexed_one(client: TestClient, paint: Paint, engine: SearchEngine, folder: Path) -> None:
    """The image itself is left out, and filters apply."""
    other = paint("other.png", "red", seed=9)
    index_paths(engine.catalog, FakeEncoder(), [folder])
    red = first_id(client)
    document = client.get(f"/v1/images/{red}/similar", params={"k": 3}).json()
    assert document["query"] == str(red)
    assert red not in [hit["image_id"] for hit in document["hits"]]
    assert {document["hits"][0]["path"], str(engine.image_path(red))} == {str(other), str(folder / "red.png")}
    narrow = client.get(f"/v1/images/{red}/similar", params={"where": ["name = blue*", "format = png"]}).json()
    assert [hit["path"] for hit in narrow["hits"]] == [str(folder / "blue.png")]
    assert "999" in problem(client.get("/v1/images/999/similar"), 404)
    assert "query.k" in problem(client.get(f"/v1/images/{red}/similar", params={"k": 0}), 422)


@pytest.mark.parametrize("wrong", [{"k": "10"}, {"k": True}, {"k": 1.5}, {"rerank": 0}, {"rerank": "no"}, {"text": 1}])
def test_values_of_another_type_are_not_converted(client: TestClient, wrong: dict[str, object]) -> None:
    """Values of another JSON type are refused."""
    response = client.post("/v1/search", json={"text": "red"} | wrong)
    assert response.status_code == 422, response.text
    assert response.json()["detail"].startswith(f"body.{next(iter(wrong))}: ")


def test_a_whole_number_may_have_a_decimal_point(client: TestClient) -> None:
    """10.0 is an integer."""
    assert len(client.post("/v1/search", json={"text": "red", "k": 2.0}).json()["hits"]) == 2
