"""The web page's files, and how they are served."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.server.gate.keys import Access
from api.server.routes.page import FILES, INDEX
from tests.api.server.conftest import Serve
from tests.api.server.test_app import problem

WEB = Path(__file__).parents[4] / "api" / "web"
MOST = 200_000
"""Bytes of all files, uncompressed."""

NAMES = sorted(FILES)


def addresses() -> Iterator[tuple[str, str]]:
    """Every address that a file of the page names, with that file."""
    patterns = {
        "html": r'(?:src|href)="([^"#]+)',
        "js": r'(?:from|import)\s*\(?\s*["`]\./([^"`$]+)|["`](/static/[^"`#$]+)',
        "css": r"url\(([^)]+)\)",
        "svg": r'href="([^"#]+)',
    }
    for name, file in FILES.items():
        for groups in re.finditer(patterns[name.rpartition(".")[2]], file.content.decode()):
            found = next(group for group in groups.groups() if group)
            yield name, found if found.startswith("/") else f"/static/{found}"


def test_the_page_is_at_the_root(client: TestClient) -> None:
    """As HTML, and at no other address."""
    response = client.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.text == (WEB / "index.html").read_text(encoding="utf-8")
    assert "no such file" in problem(client.get(f"/static/{INDEX}"), 404)


def test_every_file_that_ships_is_served(client: TestClient) -> None:
    """Byte by byte, with its own type."""
    kinds = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml"}
    there = {str(path.relative_to(WEB)) for path in WEB.rglob("*") if path.is_file()}
    assert there == set(NAMES)
    for name in there - {INDEX}:
        response = client.get(f"/static/{name}")
        assert response.content == (WEB / name).read_bytes()
        assert response.headers["content-type"] == kinds[name.rpartition(".")[2]]


def test_all_that_the_page_names_is_there_and_its_own(client: TestClient) -> None:
    """No file of it names another server, or a file that does not ship."""
    found = list(addresses())
    assert {"/static/app.js", "/static/dom.js", "/static/indexing.js"} <= {address for _, address in found}
    for name, address in found:
        assert client.get(address).status_code == 200, f"{name} names {address}"
    named = {address for name, address in found if address != f"/static/{name}"}
    assert {f"/static/{name}" for name in NAMES if name != INDEX} <= named, "what nothing names is dead"


def test_a_browser_that_has_a_file_is_told_so(client: TestClient) -> None:
    """By its tag; each time it asks."""
    for address in ("/", "/static/app.js"):
        first = client.get(address)
        assert first.headers["cache-control"] == "no-cache"
        again = client.get(address, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert client.get(address, headers={"If-None-Match": '"another"'}).status_code == 200


def test_files_travel_compressed(client: TestClient) -> None:
    """To browsers that say they can read that."""
    response = client.get("/static/app.js", headers={"Accept-Encoding": "gzip"})
    assert response.headers["content-encoding"] == "gzip"
    assert int(response.headers["content-length"]) < len(response.content)


@pytest.mark.parametrize(
    "name", ["", "../server/app.py", "%2e%2e/server/app.py", "styles", "/etc/passwd", "app.js/", "APP.JS"]
)
def test_no_other_file_is_served(client: TestClient, name: str) -> None:
    """Whatever the name says: names are looked up in a table."""
    assert client.get(f"/static/{name}").status_code == 404


def test_the_page_takes_no_key_and_its_answers_do(serve: Serve, secret: Callable[[Access], dict[str, str]]) -> None:
    """It is what asks people for one."""
    secret("read")
    client = serve(require_keys=True)
    assert client.get("/").status_code == client.get("/static/app.js").status_code == 200
    assert client.get("/v1/images").status_code == 401


def test_what_is_asked_for_is_nothing_of_the_api(client: TestClient) -> None:
    """OpenAPI does not tell of the page; it takes GET and HEAD alone."""
    assert not any(path == "/" or path.startswith("/static") for path in client.get("/openapi.json").json()["paths"])
    head = client.head("/")
    assert (head.status_code, head.content) == (200, b"")
    assert client.post("/", json={}).status_code == 405


def test_the_page_is_small() -> None:
    """All of it, uncompressed."""
    assert sum(len(file.content) for file in FILES.values()) < MOST


def test_nothing_is_inside_that_the_policy_forbids() -> None:
    """No script, style or handler within HTML: browsers would not run them."""
    page = FILES[INDEX].content.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", page)
    assert all(b"eval(" not in file.content and b"innerHTML" not in file.content for file in FILES.values())
