"""Images over HTTP: listing, metadata, files, thumbnails."""

from __future__ import annotations

import io
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from indexer import index_paths
from indexer.catalog.images import content_hashes
from search import SearchEngine
from tests.api.server.test_app import first_id, problem
from tests.fakes import FakeEncoder


@pytest.fixture
def red(client: TestClient) -> int:
    """The id of the red picture."""
    return first_id(client)


def described(engine: SearchEngine, values: str, image_id: int) -> None:
    """Change columns of an image."""
    with sqlite3.connect(engine.catalog.directory / "catalog.db") as connection:
        connection.execute(f"UPDATE image SET {values} WHERE id = ?", (image_id,))  # noqa: S608  a test's own words


# --- browsing ---


def test_pages_joined_are_all_images_newest_first(client: TestClient, engine: SearchEngine) -> None:
    """Pages joined are all images, newest first; the cursor holds filters and page size."""
    for image_id, date in ((4, "2020-01-01T00:00:00"), (2, "2021-01-01T00:00:00")):
        described(engine, f"taken_at = '{date}'", image_id)
    query: dict[str, Any] = {"k": 2, "where": ["width < 100", "format = png"]}
    found, cursor = [], None
    while True:
        document = client.get("/v1/images", params=query).json()
        found += document["images"]
        cursor = document["next_cursor"]
        if cursor is None:
            break
        query = {"cursor": cursor}
    assert [image["id"] for image in found] == [2, 4, 5, 3, 1]
    full = client.get("/v1/images").json()
    assert (full["images"], full["next_cursor"]) == (found, None)
    assert found[0]["taken_at"] == "2021-01-01T00:00:00"


def test_a_cursor_of_images_is_sent_alone_and_unchanged(client: TestClient) -> None:
    """A changed cursor, or one with other parameters, is refused."""
    cursor = client.get("/v1/images", params={"k": 2}).json()["next_cursor"]
    for beside in ({"k": "2"}, {"where": "width > 1"}):
        assert "alone" in problem(client.get("/v1/images", params={"cursor": cursor} | beside), 422)
    searching = client.post("/v1/search", json={"text": "red", "k": 2}).json()["next_cursor"]
    for changed in (cursor[:-1], cursor + "A", "", "ä", searching):
        response = client.get("/v1/images", params={"cursor": changed})
        assert "Start again" in problem(response, 422)
        assert response.json()["type"] == "urn:crosslook:problem:cursor"
    assert "unknown field" in problem(client.get("/v1/images", params={"where": "colour = red"}), 422)


def test_images_removed_between_pages_shift_nothing(client: TestClient, engine: SearchEngine, folder: Path) -> None:
    """Removing images between pages, even the last one shown, skips and repeats none."""
    document = client.get("/v1/images", params={"k": 2}).json()
    engine.image_path(document["images"][-1]["id"]).unlink()
    index_paths(engine.catalog, FakeEncoder(), [folder], prune=True)
    following = client.get("/v1/images", params={"cursor": document["next_cursor"]}).json()
    assert [image["id"] for image in following["images"]] == [3, 2]


# --- one image ---


def test_an_image_document_is_complete(client: TestClient, engine: SearchEngine, folder: Path, red: int) -> None:
    """The document has camera, coordinates, and all files with whether they exist."""
    (folder / "also.png").write_bytes((folder / "red.png").read_bytes())
    index_paths(engine.catalog, FakeEncoder(), [folder])
    described(engine, "camera = 'Canon EOS 5D', latitude = 48.1, longitude = -11.5", red)
    document = client.get(f"/v1/images/{red}").json()
    size = (folder / "red.png").stat().st_size
    assert (document["camera"], document["latitude"], document["longitude"]) == ("Canon EOS 5D", 48.1, -11.5)
    assert (document["folder"], document["name"], document["size"]) == (str(folder), "also.png", size)
    (folder / "also.png").unlink()
    document = client.get(f"/v1/images/{red}").json()
    assert document["path"] == str(folder / "red.png")
    assert document["places"] == [
        {"path": str(folder / "also.png"), "size": size, "present": False},
        {"path": str(folder / "red.png"), "size": size, "present": True},
    ]
    (folder / "red.png").unlink()
    document = client.get(f"/v1/images/{red}").json()
    assert [document[name] for name in ("path", "folder", "name", "size")] == [None] * 4


# --- files ---


def test_a_file_that_a_client_has_is_not_sent_again(client: TestClient, engine: SearchEngine, red: int) -> None:
    """A matching ETag gets 304, another one the file."""
    first = client.get(f"/v1/images/{red}/file")
    tag = first.headers["etag"]
    assert tag.strip('"') in content_hashes(engine.catalog)
    for given in (tag, f'"x", {tag}', f"W/{tag}", "*"):
        response = client.get(f"/v1/images/{red}/file", headers={"if-none-match": given})
        assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", tag)
    assert client.get(f"/v1/images/{red}/file", headers={"if-none-match": '"x"'}).content == first.content


def test_ranges_of_a_file_are_sent(client: TestClient, red: int) -> None:
    """Unsatisfiable ranges get 416, malformed ones are ignored, and If-Range is respected."""
    address = f"/v1/images/{red}/file"
    full = client.get(address)
    part = client.get(address, headers={"range": "bytes=2-5"})
    assert (part.status_code, part.content) == (206, full.content[2:6])
    assert client.get(address, headers={"range": "bytes=2-5", "if-range": full.headers["etag"]}).status_code == 206
    assert client.get(address, headers={"range": "bytes=2-5", "if-range": '"x"'}).status_code == 200
    outside = client.get(address, headers={"range": "bytes=999999-"})
    assert f"{len(full.content)} bytes" in problem(outside, 416)
    assert outside.headers["content-range"] == f"bytes */{len(full.content)}"
    for nonsense in ("bytes", "lines=1-2", "bytes=5-2", "bytes=x-y", "bytes="):
        assert client.get(address, headers={"range": nonsense}).content == full.content


def test_a_changed_file_has_no_tag_of_the_old_one(client: TestClient, folder: Path, red: int) -> None:
    """A changed file is served without the old ETag."""
    tag = client.get(f"/v1/images/{red}/file").headers["etag"]
    Image.new("RGB", (20, 10)).save(folder / "red.png")
    response = client.get(f"/v1/images/{red}/file", headers={"if-none-match": tag})
    assert response.content == (folder / "red.png").read_bytes()
    assert response.headers["etag"] != tag
    assert response.headers["content-type"] == "image/png"
    assert response.headers["cache-control"] == "private, no-cache"


def test_the_media_type_follows_the_content(client: TestClient, engine: SearchEngine, folder: Path, red: int) -> None:
    """The media type follows the format, not the name: a PNG named .svg is a PNG."""
    (folder / "red.png").rename(folder / "red.jpg")
    index_paths(engine.catalog, FakeEncoder(), [folder])
    assert client.get(f"/v1/images/{red}/file").headers["content-type"] == "image/png"


def test_a_file_that_may_not_be_read_is_not_found(
    client: TestClient, red: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unreadable file gets 404."""
    monkeypatch.setattr("api.server.routes.images.os.access", lambda *_: False)
    assert f"image {red} is gone" in problem(client.get(f"/v1/images/{red}/file"), 404)


# --- thumbnails ---


def test_a_thumbnail_is_sent_once_and_may_be_kept(client: TestClient, red: int, tmp_path: Path) -> None:
    """Thumbnails are cached privately and revalidated, because another index has other images under these ids."""
    address = f"/v1/images/{red}/thumbnail"
    response = client.get(address, params={"size": 128})
    assert response.headers["content-type"] == "image/webp"
    assert response.headers["cache-control"] == "private, no-cache"
    with Image.open(io.BytesIO(response.content)) as image:
        assert image.size == (48, 40)
    tag = response.headers["etag"]
    again = client.get(address, params={"size": 128}, headers={"if-none-match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert client.get(address, params={"size": 512}, headers={"if-none-match": tag}).status_code == 200
    assert len(list((tmp_path / "cache" / "crosslook" / "thumbnails").glob("*/*.webp"))) == 2


@pytest.mark.parametrize("size", ["0", "127", "2048", "-128", "x", "128.5", "1e3", ""])
def test_other_thumbnail_sizes_are_refused(client: TestClient, red: int, size: str) -> None:
    """Other sizes are refused, because they would fill the cache."""
    assert "query.size" in problem(client.get(f"/v1/images/{red}/thumbnail", params={"size": size}), 422)


def test_a_picture_that_cannot_be_read_any_more_is_a_problem(client: TestClient, folder: Path, red: int) -> None:
    """Unreadable, deleted and unknown pictures are errors, even with a cached thumbnail or a matching ETag."""
    address = f"/v1/images/{red}/thumbnail"
    tag = client.get(address).headers["etag"]
    (folder / "red.png").write_bytes(b"no picture")
    response = client.get(address, headers={"if-none-match": tag})
    assert f"image {red}: not an image" in problem(response, 422)
    assert str(folder) not in response.text
    (folder / "red.png").unlink()
    response = client.get(address, headers={"if-none-match": tag})
    assert "is gone" in problem(response, 404)
    assert response.json()["type"] == "urn:crosslook:problem:image-not-found"
    assert "no image has the id 999" in problem(client.get("/v1/images/999/thumbnail"), 404)


def test_a_changed_picture_is_shown_as_it_is_now(client: TestClient, folder: Path, red: int) -> None:
    """A changed picture gets a new thumbnail, without the old ETag."""
    tag = client.get(f"/v1/images/{red}/thumbnail").headers["etag"]
    Image.new("RGB", (20, 10)).save(folder / "red.png")
    response = client.get(f"/v1/images/{red}/thumbnail", headers={"if-none-match": tag})
    assert (response.status_code, response.headers["cache-control"]) == (200, "private, no-cache")
    assert "etag" not in response.headers
    with Image.open(io.BytesIO(response.content)) as image:
        assert image.size == (20, 10)


def test_head_does_not_read_the_file(client: TestClient, red: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """HEAD has the headers of GET without reading the file."""
    address = f"/v1/images/{red}/file"
    full = client.get(address)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the file was opened")

    monkeypatch.setattr("starlette.responses.anyio.open_file", refuse)
    response = client.head(address)
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == str(len(full.content))
    assert response.headers["etag"] == full.headers["etag"]
