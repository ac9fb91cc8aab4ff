"""The HTTP application."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from PIL import Image
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from api.server import create_app
from api.server.gate.body_limits import MAX_OTHER_BODY, BodyLimits
from indexer import Catalog, index_paths
from indexer.catalog.contents import catalog_stats
from indexer.catalog.records import CatalogStats
from search import CaptionAnswer, SearchEngine
from tests.api.conftest import BANK
from tests.api.server.conftest import Serve
from tests.fakes import FakeEncoder


def picture(colour: str = "red", kind: str = "PNG") -> bytes:
    """An upload."""
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), colour).save(buffer, kind)
    return buffer.getvalue()


def problem(response: Response, status: int) -> str:
    """Check that a response is a problem document, and return its detail."""
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert set(document) == {"type", "title", "status", "detail"}
    assert document["status"] == status
    assert "Traceback" not in document["detail"]
    return str(document["detail"])


def first_id(client: TestClient, text: str = "red") -> int:
    """The id of the best hit."""
    return int(client.post("/v1/search", json={"text": text}).json()["hits"][0]["image_id"])


def test_a_search_answers_as_the_command_line_does(client: TestClient, folder: Path) -> None:
    """The JSON is that of `crosslook search --json`."""
    response = client.post("/v1/search", json={"text": "a red square", "k": 2})
    assert response.status_code == 200
    document = response.json()
    assert set(document) == {"query", "hits", "describes", "no_match", "timings_ms", "next_cursor"}
    assert document["hits"][0]["path"] == str(folder / "red.png")
    assert len(document["hits"]) == 2
    plain = client.post("/v1/search", json={"text": "red", "rerank": False}).json()
    assert plain["hits"][0]["rerank_score"] is None
    narrow = client.post("/v1/search", json={"text": "red", "where": ["width > 9999"]}).json()
    assert narrow["hits"] == []


def test_a_search_takes_a_picture_exclusions_and_keywords(client: TestClient, folder: Path) -> None:
    """`image_id`, exclusions and keywords work as on the command line."""
    blue = first_id(client, "blue")
    both = client.post("/v1/search", json={"text": "thing", "image_id": blue, "rerank": False}).json()
    assert both["hits"][0]["image_id"] == blue
    assert "999" in problem(client.post("/v1/search", json={"text": "thing", "image_id": 999}), 404)
    for body in ({"text": "a thing -red"}, {"text": "a thing", "without": ["red"]}):
        away = client.post("/v1/search", json=body).json()
        assert (away["query"], away["without"]) == ("a thing", ["red"])
        assert away["hits"][-1]["path"] == str(folder / "red.png")
    named = {"text": "black.png"}
    assert client.post("/v1/search", json=named).json()["hits"][0]["sources"] == ["vector", "name"]
    plain = client.post("/v1/search", json=named | {"keywords": False}).json()
    assert {tuple(hit["sources"]) for hit in plain["hits"]} == {("vector",)}
    document = client.get("/openapi.json").json()["components"]["schemas"]
    assert document["SearchRequest"]["properties"]["without"]["examples"]
    assert {"sources", "matched"} <= set(document["ImageHit"]["required"])


def test_captions_for_an_upload_and_for_an_indexed_image(client: TestClient) -> None:
    """Both give the same captions, and only those that fit."""
    upload = client.post("/v1/captions", files={"image": ("x.png", picture())}, data={"k": "2"})
    assert upload.status_code == 200
    assert upload.json()["query"] == "picture"
    assert [hit["text"] for hit in upload.json()["hits"]] == [BANK[0]]
    indexed = client.post("/v1/captions", data={"image_id": str(first_id(client, "green"))})
    assert indexed.json()["hits"][0]["text"] == BANK[1]


@pytest.mark.parametrize("kind", ["HEIF", "AVIF", "WEBP", "JPEG"])
def test_uploads_of_every_format_are_read(client: TestClient, kind: str) -> None:
    """Uploads are decoded like indexed files."""
    assert client.post("/v1/captions", files={"image": ("x", picture("red", kind))}).status_code == 200


def test_an_image_is_described_by_its_id(client: TestClient, folder: Path, engine: SearchEngine) -> None:
    """The document has size, format, path and own captions."""
    (folder / "red.txt").write_text("a red square\n")
    index_paths(engine.catalog, FakeEncoder(), [folder])
    document = client.get(f"/v1/images/{first_id(client)}").json()
    assert (document["width"], document["height"], document["format"]) == (48, 40, "PNG")
    assert document["path"] == str(folder / "red.png")
    assert [c["text"] for c in document["captions"]] == ["a red square"]


def test_a_file_is_served_by_id_and_never_sniffed(client: TestClient, folder: Path) -> None:
    """The file is sent unchanged, with an image type and `nosniff`."""
    response = client.get(f"/v1/images/{first_id(client)}/file")
    assert response.content == (folder / "red.png").read_bytes()
    assert response.headers["content-type"] == "image/png"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_missing_images_are_not_found(client: TestClient, folder: Path) -> None:
    """Unknown ids and deleted files get 404."""
    assert "no image has the id 999" in problem(client.get("/v1/images/999"), 404)
    assert "999" in problem(client.get("/v1/images/999/file"), 404)
    assert "999" in problem(client.post("/v1/captions", data={"image_id": "999"}), 404)
    number = first_id(client)
    (folder / "red.png").unlink()
    assert "is gone" in problem(client.get(f"/v1/images/{number}/file"), 404)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "body.text: Field required"),
        ({"text": ""}, "the query is empty"),
        ({"text": "word " * 61}, "the limit is 60"),
        ({"text": "word" + " " * 2000}, "at most 2000"),
        ({"text": "red", "k": 0}, "body.k"),
        ({"text": "red", "k": 10**30}, "body.k"),
        ({"text": "red", "depth": 10**6}, "body.depth"),
        ({"text": "red", "nonsense": 1}, "nonsense"),
        ({"text": "red", "where": ["colour = red"]}, "unknown field 'colour'"),
        ({"text": "red", "min_probability": 0.5, "rerank": False}, "needs reranking"),
        ({"text": ["red"]}, "body.text"),
    ],
)
def test_an_invalid_search_is_a_problem(client: TestClient, body: dict[str, Any], words: str) -> None:
    """Status 422 with the reason."""
    assert words in problem(client.post("/v1/search", json=body), 422)


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe", b"[1]", b'{"text": "\\ud800"}'])
def test_bodies_that_are_not_json_are_a_problem(client: TestClient, content: bytes) -> None:
    """Invalid JSON gets 422."""
    response = client.post("/v1/search", content=content, headers={"content-type": "application/json"})
    assert response.status_code in (400, 422)
    problem(response, response.status_code)


def test_unreadable_uploads_are_problems(client: TestClient) -> None:
    """Unreadable, truncated, missing and ambiguous uploads get 422."""
    for data in (b"no picture", picture()[:50], b""):
        assert "the upload: " in problem(client.post("/v1/captions", files={"image": ("x.jpg", data)}), 422)
    both = client.post("/v1/captions", files={"image": ("x.png", picture())}, data={"image_id": "1"})
    assert "either an image file" in problem(both, 422)
    assert "either an image file" in problem(client.post("/v1/captions"), 422)
    problem(client.post("/v1/captions", data={"image": "text"}), 422)


def test_unknown_routes_and_methods_are_problems(client: TestClient) -> None:
    """Unknown routes, wrong methods and invalid ids are problem documents."""
    problem(client.get("/nothing"), 404)
    problem(client.get("/v1/search"), 405)
    for number in ("abc", "0", "-1", str(2**63), "1/../../etc/passwd"):
        response = client.get(f"/v1/images/{number}")
        problem(response, 404 if "/" in number else 422)


def test_large_bodies_are_refused_with_or_without_a_length(client: TestClient) -> None:
    """The limit applies to Content-Length and to the bytes received."""
    response = client.post("/v1/captions", files={"image": ("x.png", b"0" * 300_000)})
    assert "too large; the limit is" in problem(response, 413)

    def chunks() -> Any:
        for _ in range(40):
            yield b'{"text": "' + b"x" * 10_000

    untold = client.post("/v1/search", content=chunks(), headers={"content-type": "application/json"})
    assert "too large; the limit is" in problem(untold, 413)


def test_a_large_body_that_no_route_reads_is_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that the route never reads, as of a GET, is limited too."""
    refused = threading.Event()
    too_large = BodyLimits._too_large

    def telling(bodies: BodyLimits, headers: Headers) -> HTTPException:
        refused.set()
        return too_large(bodies, headers)

    def chunks() -> Any:
        for _ in range(40):
            yield b"x" * 10_000

    def slowly(catalog: Catalog) -> CatalogStats:
        refused.wait(10)
        return catalog_stats(catalog)

    monkeypatch.setattr(BodyLimits, "_too_large", telling)
    monkeypatch.setattr("api.server.routes.index.catalog_stats", slowly)
    assert "too large; the limit is" in problem(client.request("GET", "/v1/stats", content=chunks()), 413)
    assert refused.is_set()


def test_only_an_upload_may_be_large(serve: Serve) -> None:
    """JSON and form fields are limited to 1 MiB, uploads are not."""
    client = serve()
    json = client.post("/v1/search", content=b" " * (MAX_OTHER_BODY + 1), headers={"content-type": "application/json"})
    assert "too large; the limit is 1,048,576 bytes" in problem(json, 413)
    form = client.post("/v1/captions", data={"image_id": "1" * (MAX_OTHER_BODY + 1)})
    assert "too large; the limit is 1,048,576 bytes" in problem(form, 413)
    upload = client.post("/v1/captions", files={"image": ("x.png", picture() + b"0" * MAX_OTHER_BODY)})
    assert upload.status_code == 200


def test_uploads_have_room_together(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many large uploads at once get 503; the room is released afterwards, and small uploads need none."""
    monkeypatch.setattr("api.server.gate.body_limits.MAX_LARGE_UPLOADS", 1)
    client = serve(upload_bytes=3 * MAX_OTHER_BODY)
    asked: list[int] = []
    find = SearchEngine.find_captions

    def meanwhile(*arguments: Any, **options: Any) -> CaptionAnswer:
        if not asked:
            asked.append(0)
            for content in (large, picture()):
                answer = client.post("/v1/captions", files={"image": ("x.png", content)})
                asked.append(answer.status_code)
        return find(*arguments, **options)

    large = picture() + b"0" * (5 * MAX_OTHER_BODY // 2)
    monkeypatch.setattr(SearchEngine, "find_captions", meanwhile)
    assert client.post("/v1/captions", files={"image": ("x.png", large)}).status_code == 200
    assert asked == [0, 503, 200]
    assert client.post("/v1/captions", files={"image": ("x.png", large)}).status_code == 200


def test_head_is_answered_as_get_without_the_body(client: TestClient) -> None:
    """HEAD has the headers of GET and no body (RFC 9110); routes without GET have no HEAD."""
    for path in (
        "/healthz",
        "/v1/images",
        "/v1/images/1",
        "/v1/images/1/file",
        "/v1/images/1/thumbnail",
        "/v1/images/9",
    ):
        got, head = client.get(path), client.head(path)
        assert (head.status_code, head.content) == (got.status_code, b"")
        names = ("content-type", "content-length", "etag", "cache-control")
        assert [head.headers.get(name) for name in names] == [got.headers.get(name) for name in names]
    assert client.head("/v1/search").status_code == 405


def test_an_unforeseen_error_is_a_problem_that_tells_nothing_inside(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status 500; the cause is only in the log."""

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a secret path: /home/me")

    monkeypatch.setattr(SearchEngine, "search_images", fail)
    assert "secret" not in problem(client.post("/v1/search", json={"text": "red"}), 500)


def test_an_index_of_another_model_is_a_problem(indexed: Catalog) -> None:
    """Status 503; the path of the index is only in the log."""
    with SearchEngine.open(indexed.directory, encoder=FakeEncoder(name="other", fingerprint="0" * 64)) as engine:
        client = TestClient(create_app(engine), base_url="http://localhost", raise_server_exceptions=False)
        detail = problem(client.post("/v1/search", json={"text": "red"}), 503)
        assert "built with a different model" in detail
        assert str(indexed.directory) not in detail


def test_openapi_describes_every_route(client: TestClient) -> None:
    """The document lists every route except the page."""
    described = set(client.get("/openapi.json").json()["paths"])
    assert {"/healthz", "/readyz", "/metrics", "/v1/search", "/v1/images/{image_id}/thumbnail", "/v1/jobs"} < described
    assert all(path.startswith("/v1/") for path in described - {"/healthz", "/readyz", "/metrics"})


# --- who may ask ---


def test_without_a_key_only_local_names_are_answered(client: TestClient) -> None:
    """A foreign host name, as in DNS rebinding, is refused."""
    for host in ("evil.example", "evil.example:8000", "", "localhost.evil.example"):
        assert "answers only to" in problem(client.get("/healthz", headers={"host": host}), 421)
    for host in ("localhost:8000", "127.0.0.1:8000", "[::1]:8000"):
        assert client.get("/healthz", headers={"host": host}).status_code == 200
