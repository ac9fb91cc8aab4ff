"""Security headers, media types and CORS."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from PIL import Image

from api.server.gate.keys import Access
from indexer import Catalog, index_paths
from indexer.catalog.images import images_by_id
from indexer.pictures.formats import FORMATS, supported_formats
from search import SearchEngine
from tests.api.server.conftest import Raw, Serve
from tests.api.server.test_app import first_id, problem
from tests.fakes import FakeEncoder
from tests.indexer.pictures.hostile import whole

ORIGIN = "https://photos.example"


def checked(response: Response) -> Response:
    """Check that a response has all security headers."""
    headers = response.headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "geolocation=()" in headers["permissions-policy"]
    policy = headers.get_list("content-security-policy")
    assert len(policy) == 1
    assert "frame-ancestors 'none'" in policy[0]
    assert "unsafe" not in policy[0]
    assert "server" not in headers
    return response


def test_every_answer_carries_the_headers(client: TestClient, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Successful, missing, refused and failed responses all carry the headers."""
    for response in (
        client.post("/v1/search", json={"text": "red"}),
        client.get("/v1/images/1"),
        client.get("/v1/images/1/file"),
        client.get("/healthz"),
        client.get("/openapi.json"),
        client.get("/nothing"),
        client.get("/v1/search"),
        client.post("/v1/search", json={}),
        client.get("/healthz", headers={"host": "evil.example"}),
        serve(require_keys=True).get("/v1/images/1"),
        serve(rate=1, cors_origins=[ORIGIN]).options(
            "/v1/search", headers={"origin": ORIGIN, "access-control-request-method": "POST"}
        ),
    ):
        policy = checked(response).headers["content-security-policy"]
        assert policy.startswith("default-src 'none';")
        assert policy.endswith("sandbox")

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(SearchEngine, "search_images", fail)
    failed = client.post("/v1/search", json={"text": "red"})
    assert failed.status_code == 500
    checked(failed)


def test_the_page_may_use_what_this_server_serves_and_no_more(client: TestClient) -> None:
    """The page's policy allows its own files and blob images, and no inline script."""
    for path in ("/", "/static/app.js"):
        rules = checked(client.get(path)).headers["content-security-policy"].split("; ")
        assert rules[:3] == ["default-src 'self'", "img-src 'self' blob: data:", "object-src 'none'"]
        assert not any(rule.startswith("script-src") for rule in rules)


def test_responses_are_not_stored_unless_their_route_allows_it(client: TestClient) -> None:
    """Responses are `no-store` unless their route says otherwise."""
    assert client.post("/v1/search", json={"text": "red"}).headers["cache-control"] == "no-store"
    assert client.get("/v1/images/1/file").headers["cache-control"].startswith("private")


# --- files ---


def index(engine: SearchEngine, path: Path, kind: str) -> int:
    """Index a picture under any name, and return its id."""
    path.write_bytes(whole(kind))
    index_paths(engine.catalog, FakeEncoder(), [path])
    return max(images_by_id(engine.catalog, list(range(1, 50))))


@pytest.mark.parametrize("name", ["x.svg", "x.html", "x.xml", "x.js", "x", "x.png.svg"])
def test_a_picture_is_served_as_what_it_is_whatever_its_name(
    client: TestClient, engine: SearchEngine, folder: Path, name: str
) -> None:
    """The media type follows the content, not the file name."""
    response = client.get(f"/v1/images/{index(engine, folder / name, 'PNG')}/file")
    assert response.headers["content-type"] == "image/png"
    checked(response)


PAGE = b"<!DOCTYPE html><script>alert(1)</script>"
DRAWING = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.mark.parametrize("content", [PAGE, DRAWING, b"", b"root:x:0:0:", b"%PDF-1.7"])
def test_a_file_that_is_another_by_now_is_not_served(client: TestClient, folder: Path, content: bytes) -> None:
    """A file replaced by HTML or SVG is not served."""
    number = first_id(client)
    (folder / "red.png").write_bytes(content)
    response = client.get(f"/v1/images/{number}/file")
    assert "index its folder again" in problem(response, 404)


@pytest.mark.skipif(os.name == "nt", reason="links and pipes are made otherwise there")
def test_a_link_to_what_is_no_picture_is_not_followed(client: TestClient, folder: Path, tmp_path: Path) -> None:
    """A symbolic link to another file is not served, and a named pipe does not block."""
    number = first_id(client)
    (tmp_path / "secret").write_text("a secret")
    (folder / "red.png").unlink()
    (folder / "red.png").symlink_to(tmp_path / "secret")
    assert "secret" not in problem(client.get(f"/v1/images/{number}/file"), 404)
    (folder / "red.png").unlink()
    os.mkfifo(folder / "red.png")
    problem(client.get(f"/v1/images/{number}/file"), 404)


def test_every_indexed_format_has_a_media_type(client: TestClient, engine: SearchEngine, folder: Path) -> None:
    """Every format has an image type, none that browsers execute."""
    assert set(supported_formats()) <= set(FORMATS)
    for kind in supported_formats():
        number = index(engine, folder / f"{kind}.jpg", kind)
        assert images_by_id(engine.catalog, [number])[number].format == kind
        response = client.get(f"/v1/images/{number}/file")
        assert response.status_code == 200, kind
        assert response.headers["content-type"] == FORMATS[kind][0]
    assert {entry.media_type for entry in FORMATS.values()}.isdisjoint({"image/svg+xml", "text/html"})


@pytest.mark.skipif(os.name == "nt", reason="such names cannot be made there")
def test_a_file_name_adds_no_header(raw: Raw, indexed: Catalog, encoder: FakeEncoder, folder: Path) -> None:
    """Line breaks and quotes in a file name cannot inject a header."""
    names = ["a\r\nX-Evil: 1\r\n\r\n.png", 'a"; x="y.png', "ü.png"]
    for number, name in enumerate(names, start=6):
        Image.new("RGB", (48, 40), (255, number, 9)).save(folder / name)
        index_paths(indexed, encoder, [folder / name])
        answer = raw(f"GET /v1/images/{number}/file HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        head = answer.partition(b"\r\n\r\n")[0].lower()
        assert head.startswith(b"http/1.1 200"), answer
        assert b"\nx-evil" not in head
        described = raw(f"GET /v1/images/{number} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        assert described.startswith(b"HTTP/1.1 200"), described[:400]


# --- other origins ---


def test_no_other_origin_reads_anything_unless_it_is_named(serve: Serve) -> None:
    """By default there are no CORS headers."""
    client = serve()
    asked = {"origin": ORIGIN, "access-control-request-method": "POST"}
    assert client.options("/v1/search", headers=asked).status_code == 405
    response = client.get("/v1/images/1", headers={"origin": ORIGIN})
    assert not any(name.startswith("access-control") for name in response.headers)


def test_an_origin_that_is_named_may_ask_without_cookies(
    serve: Serve, secret: Callable[[Access], dict[str, str]]
) -> None:
    """A configured origin may send a key, but no cookies, and read errors; other origins get nothing."""
    header = secret("read")
    client = serve(cors_origins=[ORIGIN], host="0.0.0.0", base_url="http://photos.example")  # noqa: S104  the case
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization, content-type"}
    granted = client.options("/v1/search", headers=asked | {"origin": ORIGIN})
    assert granted.status_code == 200
    assert granted.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-credentials" not in granted.headers
    assert client.options("/v1/search", headers=asked | {"origin": "https://evil.example"}).status_code == 400
    for headers in ({}, header):
        response = client.get("/v1/images/1", headers=headers | {"origin": ORIGIN})
        assert response.headers["access-control-allow-origin"] == ORIGIN
        assert "access-control-allow-credentials" not in response.headers
    evil = client.get("/v1/images/1", headers=header | {"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in evil.headers
