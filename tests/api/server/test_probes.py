"""Probes and metrics are answered however busy the server is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from httpx2 import Client

from api.server import Settings, create_app
from indexer import Catalog
from indexer.catalog.facets import Facets
from indexer.duplicates import DuplicateGroup
from search import Answer, SearchEngine
from tests.api.server.conftest import listening
from tests.api.server.test_app import picture

LONG = 30.0
SETTINGS = Settings(threads=32, waiting=32)


class Gate:
    """Blocks work until it is released."""

    def __init__(self) -> None:
        self.inside, self.go_on = threading.Semaphore(0), threading.Event()

    def stand(self) -> None:
        """Record the call, and block."""
        self.inside.release()
        assert self.go_on.wait(LONG)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Block every search and every query over the whole index; the latter hold a catalog connection."""
    made = Gate()
    search = SearchEngine.search_images

    def searching(engine: SearchEngine, text: str, **options: object) -> Answer:
        made.stand()
        return search(engine, text, **options)  # type: ignore[arg-type]  # as they came

    def counting(catalog: Catalog, _where: object = ()) -> Facets:
        with catalog.snapshot():
            made.stand()
        return Facets(0, *({} for _ in range(11)))

    def finding(catalog: Catalog) -> list[DuplicateGroup]:
        with catalog.snapshot():
            made.stand()
        return []

    monkeypatch.setattr(SearchEngine, "search_images", searching)
    monkeypatch.setattr("api.server.routes.index.facets", counting)
    monkeypatch.setattr("api.server.routes.index.find_duplicates", finding)
    return made


@pytest.fixture
def client(engine: SearchEngine) -> Iterator[Client]:
    """A client of a real server."""
    server = listening(create_app(engine, SETTINGS), SETTINGS)
    with server, Client(base_url=f"http://127.0.0.1:{server.port}", timeout=LONG) as opened:
        yield opened


def load(client: Client, number: int) -> int:
    """Send one of four kinds of request, and return its status."""
    if number == 0:
        return client.get("/v1/duplicates").status_code
    if number % 3 == 0:
        return client.get("/v1/facets", params={"where": f"width > {number}"}).status_code
    if number % 3 == 1:
        return client.post("/v1/search", json={"text": "red", "depth": 1000, "k": 1000}).status_code
    files = {"image": ("x.png", picture() + bytes(2**20))}
    return client.post("/v1/search/image", files=files, data={"text": "red", "depth": "1000"}).status_code


def test_probes_and_metrics_are_answered_while_every_thread_is_at_work(client: Client, gate: Gate) -> None:
    """Further requests are refused at once; all accepted ones are answered in the end."""
    most = SETTINGS.threads + SETTINGS.waiting
    with ThreadPoolExecutor(most) as pool:
        accepted = [pool.submit(load, client, number) for number in range(most)]
        try:
            for _ in range(SETTINGS.threads):
                assert gate.inside.acquire(timeout=LONG)
            metrics = ""
            while f"crosslook_requests_waiting {float(SETTINGS.waiting)}" not in metrics:
                metrics = client.get("/metrics", timeout=5).text
            assert f"crosslook_requests_running {float(SETTINGS.threads)}" in metrics
            for _ in range(20):
                assert client.get("/healthz", timeout=5).status_code == 200
                assert client.get("/readyz", timeout=5).json() == {"status": "ready"}
                assert "crosslook_index_images 5.0" in client.get("/metrics", timeout=5).text
            refused = client.post("/v1/search", json={"text": "red"}, timeout=5)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        finally:
            gate.go_on.set()
        assert {each.result(LONG) for each in accepted} == {200}
