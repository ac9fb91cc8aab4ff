"""The web page's files and how they are served."""

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
MAX_BYTES = 200_000
"""Of all files together, uncompressed."""

NAMES = sorted(FILES)


def addresses() -> Iterator[tuple[str, str]]:
    """Every address in the page's files, with the file that names it."""
    patterns = {
        "html": r'(?:src|href)="([^"#]+)',
        "js": r'(?:from|import)\s*\(?\s*["`]\./([^"`$]+)|["`](static/[^"`#$]+)',
        "css": r"url\(([^)]+)\)",
        "svg": r'href="([^"#]+)',
    }
    for name, file in FILES.items():
        for match in re.finditer(patterns[name.rpartition(".")[2]], file.content.decode()):
            address = next(group for group in match.groups() if group)
            folder = "/" if name == INDEX or address.startswith("static/") else "/static/"
            yield name, f"{folder}{address.removeprefix('./')}"


def test_the_page_is_at_the_root(client: TestClient) -> None:
    """`/` serves index.html, and `/static/index.html` does not exist."""
    response = client.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.text == (WEB / "index.html").read_text(encoding="utf-8")
    assert "no such file" in problem(client.get(f"/static/{INDEX}"), 404)


def test_every_file_that_ships_is_served(client: TestClient) -> None:
    """Every file in api/web is served unchanged, with its media type."""
    kinds = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml"}
    names = {str(path.relative_to(WEB)) for path in WEB.rglob("*") if path.is_file()}
    assert names == set(NAMES)
    for name in names - {INDEX}:
        response = client.get(f"/static/{name}")
        assert response.content == (WEB / name).read_bytes()
        assert response.headers["content-type"] == kinds[name.rpartition(".")[2]]


def test_all_that_the_page_names_is_there_and_its_own(client: TestClient) -> None:
    """Every address in the page is one of its own files, and every file is used."""
    pairs = list(addresses())
    assert {"/static/app.js", "/static/dom.js", "/static/indexing.js"} <= {address for _, address in pairs}
    for name, address in pairs:
        assert client.get(address).status_code == 200, f"{name} names {address}"
    named = {address for name, address in pairs if address != f"/static/{name}"}
    assert {f"/static/{name}" for name in NAMES if name != INDEX} <= named, "nothing uses these files"


def test_the_page_names_nothing_by_its_whole_path() -> None:
    """Every address is relative to the page, which a proxy may serve below a path."""
    for name, file in FILES.items():
        absolute = re.findall(r"""(?:["'`(]/(?:v1|static)|(?:src|href|action)="/).*""", file.content.decode())
        assert not absolute, name


def test_a_cached_page_file_is_not_sent_again(client: TestClient) -> None:
    """A matching If-None-Match gets 304 with the same ETag, another one the file."""
    for address in ("/", "/static/app.js"):
        first = client.get(address)
        assert first.headers["cache-control"] == "no-cache"
        again = client.get(address, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert client.get(address, headers={"If-None-Match": '"another"'}).status_code == 200


def test_page_files_are_sent_compressed(client: TestClient) -> None:
    """Clients that accept gzip get gzip."""
    response = client.get("/static/app.js", headers={"Accept-Encoding": "gzip"})
    assert response.headers["content-encoding"] == "gzip"
    assert int(response.headers["content-length"]) < len(response.content)


@pytest.mark.parametrize(
    "name", ["", "../server/app.py", "%2e%2e/server/app.py", "styles", "/etc/passwd", "app.js/", "APP.JS"]
)
def test_no_other_file_is_served(client: TestClient, name: str) -> None:
    """Traversal, folders, other cases and absolute paths are all 404."""
    assert client.get(f"/static/{name}").status_code == 404


def test_the_page_takes_no_key_and_its_answers_do(serve: Serve, secret: Callable[[Access], dict[str, str]]) -> None:
    """The page must load without a key, because it asks the user for one."""
    secret("read")
    client = serve(require_keys=True)
    assert client.get("/").status_code == client.get("/static/app.js").status_code == 200
    assert client.get("/v1/images").status_code == 401


def test_the_page_is_not_part_of_the_api(client: TestClient) -> None:
    """The page is not in OpenAPI, and accepts only GET and HEAD."""
    assert not any(path == "/" or path.startswith("/static") for path in client.get("/openapi.json").json()["paths"])
    head = client.head("/")
    assert (head.status_code, head.content) == (200, b"")
    assert client.post("/", json={}).status_code == 405


def test_the_page_is_small() -> None:
    """All files together stay below the limit."""
    assert sum(len(file.content) for file in FILES.values()) < MAX_BYTES


def test_the_html_has_nothing_that_the_policy_forbids() -> None:
    """The HTML has no inline script, style or handler, which the CSP would block."""
    page = FILES[INDEX].content.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", page)
    assert all(b"eval(" not in file.content and b"innerHTML" not in file.content for file in FILES.values())
