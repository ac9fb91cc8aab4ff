"""Serving below a path behind a proxy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.routing import Mount

from api.client import Client
from api.server import Settings, create_app
from search import SearchEngine
from tests.api.server.conftest import Serve

ADDRESSES = ("/", "/static/app.js", "/healthz", "/v1/stats", "/v1/images/1/thumbnail", "/openapi.json")


@pytest.fixture
def below(serve: Serve, folder: Path) -> TestClient:
    """A client of a server with the setting."""
    return serve(root_path="/my/photos", roots=[folder])


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_proxy_may_remove_the_path_or_not(below: TestClient, address: str) -> None:
    """Both ways the answer is the same, headers included."""
    kept, removed = below.get(f"/my/photos{address}"), below.get(address)
    assert kept.status_code == removed.status_code == 200
    for name in ("content-type", "content-security-policy", "cache-control"):
        assert kept.headers[name] == removed.headers[name]
    if address != "/v1/stats":
        assert kept.content == removed.content


def test_the_path_alone_leads_to_the_page(below: TestClient) -> None:
    """The page's addresses are relative, so it needs the slash; the query stays."""
    answer = below.get("/my/photos?q=a+dog", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (308, "/my/photos/?q=a+dog")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert below.get("/my/photos").url.path == "/my/photos/"


@pytest.mark.parametrize("address", ["/my/photosx/v1/stats", "/photos/v1/stats", "/my/v1/stats", "/my/photos/nothing"])
def test_other_paths_are_not_found(below: TestClient, address: str) -> None:
    """Only the whole prefix counts."""
    assert below.get(address).status_code == 404


@pytest.mark.parametrize("prefix", ["", "/my/photos"])
@pytest.mark.parametrize("address", ["/v1/stats/", "/v1/images/1/", "/healthz/", "/static/app.js/"])
def test_a_slash_at_the_end_is_not_redirected(below: TestClient, prefix: str, address: str) -> None:
    """To where the prefix would be missing."""
    answer = below.get(f"{prefix}{address}", follow_redirects=False)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_addresses_in_answers_have_the_prefix(below: TestClient) -> None:
    """Those of jobs, and of the server in OpenAPI."""
    assert below.get("/my/photos/openapi.json").json()["servers"][0] == {"url": "/my/photos"}
    job = below.post("/my/photos/v1/index", json={}).headers["location"]
    assert job.startswith("/my/photos/v1/jobs/")
    assert below.get(job).status_code == 200


def test_pages_follow_each_other_below_the_path(below: TestClient) -> None:
    """A cursor is no address, and works both ways."""
    first = below.get("/my/photos/v1/images", params={"k": 2}).json()
    second = below.get("/my/photos/v1/images", params={"cursor": first["next_cursor"]}).json()
    assert len({image["id"] for image in first["images"] + second["images"]}) == 4


@pytest.mark.parametrize(
    ("sent", "prefix"),
    [("/photos", "/photos"), ("/my/photos/", "/my/photos"), ("https://evil.example", ""), ("/a?b", ""), ("//evil", "")],
)
def test_a_proxy_can_name_the_path_that_it_removed(serve: Serve, folder: Path, sent: str, prefix: str) -> None:
    """Anything that is not a path is ignored."""
    client = serve(roots=[folder])
    answer = client.post("/v1/index", json={}, headers={"X-Forwarded-Prefix": sent})
    assert answer.status_code == 202
    assert answer.headers["location"].startswith(f"{prefix}/v1/jobs/")
    servers = client.get("/openapi.json", headers={"X-Forwarded-Prefix": sent}).json().get("servers")
    assert servers == ([{"url": prefix}] if prefix else None)
    assert "servers" not in client.get("/openapi.json").json()


@pytest.fixture
def mounted(engine: SearchEngine) -> Iterator[TestClient]:
    """The application inside another one."""
    app = create_app(engine, Settings())
    outer = Starlette(routes=[Mount("/photos", app)])
    outer.router.lifespan_context = lambda _: app.router.lifespan_context(app)  # type: ignore[assignment]
    with TestClient(outer, base_url="http://localhost") as client:
        yield client


def test_the_asgi_server_can_set_the_path(mounted: TestClient, engine: SearchEngine) -> None:
    """As `uvicorn --root-path` and other applications do."""
    for address in ADDRESSES:
        assert mounted.get(f"/photos{address}").status_code == 200
    assert mounted.get("/photos/openapi.json").json()["servers"][0] == {"url": "/photos"}
    app = create_app(engine, Settings())
    with TestClient(app, base_url="http://localhost", root_path="/photos") as client:  # put before what the proxy sends
        assert client.get("/photos/photos/v1/stats").status_code == client.get("/photos/v1/stats").status_code == 200


def test_the_guard_sees_the_path_without_the_prefix(serve: Serve) -> None:
    """No key is needed for the page, and one is for the rest."""
    client = serve(root_path="/photos", require_keys=True)
    assert client.get("/photos/").status_code == client.get("/photos/static/app.js").status_code == 200
    assert client.get("/photos/healthz").status_code == 200
    assert client.get("/photos/v1/stats").status_code == 401
    assert client.get("/photos/photos/v1/stats").status_code == 401


def test_the_client_takes_an_address_with_a_path(below: TestClient) -> None:
    """Its requests go below it."""
    setattr(below, "base_url", "http://localhost/my/photos/")  # noqa: B010  its type is not that of its setter
    assert Client(http=below).stats().images == 5
