"""The typed client, against the application."""

from __future__ import annotations

import io
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from api.client import Client, ProblemError, UnreachableError, _seconds
from api.errors import ApiError
from api.server import Settings, create_app
from api.server.service import Service
from search import SearchEngine

ROOT = Path(__file__).parents[2]


@pytest.fixture
def asked(engine: SearchEngine, folder: Path) -> Iterator[Client]:
    """A client of a server that may index the folder."""
    with TestClient(create_app(engine, Settings(roots=[folder])), base_url="http://localhost") as http:
        yield Client(http=http, retries=0)


def test_searches(asked: Client, folder: Path) -> None:
    """Searches by text (page by page), by picture, by both, and by an indexed image."""
    hits = list(asked.hits("a red thing", k=2))
    assert len({hit.image_id for hit in hits}) == len(hits) == 5
    assert hits[0].path == str(folder / "red.png")
    assert asked.search("red", where=["width > 9999"]).hits == []
    like = asked.search_by_image(folder / "blue.png", k=1)
    assert like.hits[0].path == str(folder / "blue.png")
    assert asked.search_by_image((folder / "blue.png").read_bytes(), "blue", k=3).query == "blue"
    assert hits[0].image_id not in {hit.image_id for hit in asked.similar(hits[0].image_id).hits}


def test_images(asked: Client, folder: Path) -> None:
    """The client returns an image's document, file, thumbnail, captions and heat map."""
    number = asked.search("red", k=1).hits[0].image_id
    assert asked.image(number).name == "red.png"
    assert asked.file(number) == (folder / "red.png").read_bytes()
    assert Image.open(io.BytesIO(asked.thumbnail(number, 128))).format == "WEBP"
    assert asked.captions(number, k=1).hits[0].text == asked.captions(folder / "red.png", k=1).hits[0].text
    assert asked.explain(number, "a red thing").words == ["a", "red", "thing"]
    assert Image.open(io.BytesIO(asked.explain_png(number, "a red thing"))).format == "PNG"


def test_the_index(asked: Client) -> None:
    """The client returns pages of images, counts, duplicates and models."""
    first = asked.images(k=3)
    rest = asked.images(cursor=first.next_cursor)
    assert len({image.id for image in first.images + rest.images}) == 5
    assert asked.facets().images == asked.stats().images == 5
    assert asked.duplicates().total == 0
    assert asked.models().models[0].active


def test_indexing(asked: Client) -> None:
    """A job is started, waited for, listed, and cancelled after its end."""
    done = asked.wait(asked.index([asked.roots()[0].id]), every=0.01)
    assert done.state == "done"
    assert done.report is not None
    assert done.report.unchanged == 5
    assert asked.jobs()[0].id == asked.cancel(done.id).id == done.id


def test_a_refusal_is_an_error_with_its_type(asked: Client) -> None:
    """An error response raises ProblemError with the server's message and type."""
    with pytest.raises(ProblemError, match="no image has the id 999") as caught:
        asked.image(999)
    assert caught.value.problem.type == "urn:crosslook:problem:image-not-found"
    with pytest.raises(ProblemError, match="unknown field 'colour'"):
        asked.search("red", where=["colour = red"])


def test_a_busy_server_is_asked_again(asked: Client, monkeypatch: pytest.MonkeyPatch, engine: SearchEngine) -> None:
    """The client retries after `Retry-After`, as often as allowed."""
    del engine
    service: Service = asked._http.app.state.service  # type: ignore[attr-defined]  # a TestClient's
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        monkeypatch.setattr(service.work, "_capacity", 10)

    monkeypatch.setattr(service.work, "_capacity", 0)
    monkeypatch.setattr("api.client.time.sleep", wait)
    with pytest.raises(ProblemError, match="Too many requests are waiting"):
        asked.search("red")
    asked._retries = 1
    assert asked.search("red").hits
    assert waited == [1.0]


def test_a_client_beyond_its_rate_limit_waits(engine: SearchEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 429 is retried like a 503."""
    waited: list[float] = []
    monkeypatch.setattr("api.client.time.sleep", waited.append)
    with TestClient(create_app(engine, Settings(rate=1)), base_url="http://localhost") as http:
        asked = Client(http=http, retries=2)
        assert asked.stats().images == 5
        with pytest.raises(ProblemError, match="Rate limit of 1 requests per minute exceeded"):
            asked.stats()
    assert len(waited) == 2
    assert all(1 <= seconds <= 60 for seconds in waited)


def test_another_server_at_the_address_is_an_error() -> None:
    """A response that is not crosslook's raises ApiError."""
    answers: dict[str, int] = {}

    async def other(scope: object, receive: object, send: object) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": answers["status"], "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b"<html>"})  # type: ignore[operator]

    asked = Client(http=TestClient(other, base_url="http://localhost"))
    for status in (502, 200):
        answers["status"] = status
        with pytest.raises(ApiError, match=rf"unexpected response from .* \(status {status}\): not a crosslook server"):
            asked.stats()


def test_an_unreachable_server_is_an_error() -> None:
    """A refused connection or a timeout raises UnreachableError with the address."""
    silent = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{silent.getsockname()[1]}"
    with Client(address, timeout=0.2) as asked, pytest.raises(UnreachableError, match=f"GET /v1/stats at {address}"):
        asked.stats()
    silent.close()
    with Client(address) as asked, pytest.raises(UnreachableError, match=f"GET /v1/roots at {address}"):
        asked.roots()


@pytest.mark.parametrize(("said", "seconds"), [("7", 7.0), ("0", 0.0), ("86400", 60.0), ("soon", 1.0), ("\u00b2", 1.0)])
def test_the_wait_before_a_retry_is_limited(said: str, seconds: float) -> None:
    """The wait is limited, whatever `Retry-After` says."""
    assert _seconds({"retry-after": said}) == seconds


SERVER_ONLY = ("fastapi", "starlette", "torch", "sqlalchemy", "faiss", "search", "indexer", "encoders", "api.server")


@pytest.mark.parametrize(
    ("module", "needed"),
    [
        ("api.client", {"api", "api.client", "api.contract", "api.errors"}),
        ("api.contract.index", {"api", "api.contract"}),
        ("api.contract.jobs", {"api", "api.contract"}),
        ("api.contract.search", {"api", "api.contract"}),
    ],
)
def test_the_client_loads_no_server(module: str, needed: set[str]) -> None:
    """The client imports pydantic and httpx2, but no server, torch or other package of crosslook."""
    code = f"import sys, {module}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    modules = set(run.stdout.split())
    assert not {name for name in modules if name.startswith(tuple(f"{room}." for room in SERVER_ONLY))}
    assert not modules.intersection(SERVER_ONLY)
    ours = {name for name in modules if name.partition(".")[0] == "api"}
    assert {".".join(name.split(".")[:2]) for name in ours} == needed
    assert ("httpx2" in modules) == (module == "api.client")
