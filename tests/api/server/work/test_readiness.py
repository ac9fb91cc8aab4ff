"""Liveness and readiness."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.server import create_app
from api.server.work.readiness import Readiness
from encoders.errors import CheckpointError
from indexer import Catalog
from indexer.errors import CatalogError
from search import SearchEngine
from tests.api.server.test_app import problem

LONG = 30.0


@contextmanager
def serving(engine: SearchEngine, prepare: Callable[[], None]) -> Iterator[tuple[TestClient, Readiness]]:
    """A client of an application with a `prepare` function."""
    app: FastAPI = create_app(engine, prepare=prepare)
    with TestClient(app, base_url="http://localhost") as client:
        yield client, app.state.service.readiness


def loaded(readiness: Readiness) -> None:
    """Wait until the loading thread has ended."""
    assert readiness._thread is not None
    readiness._thread.join(LONG)
    assert not readiness._thread.is_alive()


def test_the_server_is_alive_at_once_and_ready_when_all_is_loaded(engine: SearchEngine) -> None:
    """Until everything is loaded, /readyz says what is missing."""
    go_on = threading.Event()
    with serving(engine, lambda: assert_true(go_on.wait(LONG))) as (client, readiness):
        assert client.get("/healthz").json() == {"status": "ok"}
        response = client.get("/readyz")
        assert "are loading" in problem(response, 503)
        assert response.json()["type"].endswith(":not-ready")
        assert "crosslook_ready 0.0" in client.get("/metrics").text
        go_on.set()
        loaded(readiness)
        assert client.get("/readyz").json() == {"status": "ready"}
        assert "crosslook_ready 1.0" in client.get("/metrics").text


def assert_true(value: object) -> None:
    """As a function."""
    assert value


@pytest.mark.parametrize("error", [CheckpointError, CatalogError, ZeroDivisionError])
def test_loading_is_retried(
    engine: SearchEngine,
    error: type[Exception],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Loading is retried; the reason is in the log, and the response contains no path."""
    monkeypatch.setattr("api.server.work.readiness.RETRY_SECONDS", 0.0)
    failed, go_on = threading.Event(), threading.Event()
    faults = [error("/home/me/model is broken")]

    def prepare() -> None:
        if faults:
            raise faults.pop()
        failed.set()
        assert go_on.wait(LONG)

    with serving(engine, prepare) as (client, readiness):
        assert failed.wait(LONG)
        detail = problem(client.get("/readyz"), 503)
        assert "See the server log." in detail
        assert "/home" not in detail
        go_on.set()
        loaded(readiness)
        assert client.get("/readyz").status_code == 200
    assert "/home/me/model is broken" in caplog.text
    assert [r.levelno for r in caplog.records if r.message.startswith("not ready")] == [logging.ERROR]


def test_closing_ends_the_retries(engine: SearchEngine) -> None:
    """Closing ends the retries."""
    tried = threading.Event()

    def prepare() -> None:
        tried.set()
        raise CatalogError("broken")

    with serving(engine, prepare) as (_, readiness):
        assert tried.wait(LONG)
    loaded(readiness)


def test_without_its_index_the_server_is_alive_but_not_ready(client: TestClient, indexed: Catalog) -> None:
    """Without its index the server is alive but not ready, until the index is back."""
    file = indexed.directory / "catalog.db"
    file.rename(file.with_suffix(".away"))
    detail = problem(client.get("/readyz"), 503)
    assert "cannot be read" in detail
    assert str(indexed.directory) not in detail
    assert client.get("/healthz").status_code == 200
    file.with_suffix(".away").rename(file)
    assert client.get("/readyz").status_code == 200


def test_liveness_uses_neither_catalog_nor_threads(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """/healthz uses neither the catalog nor a worker thread."""

    def fail(*_: object, **__: object) -> None:
        raise AssertionError

    for target in (
        "api.server.work.worker_pool.run_sync",
        "indexer.catalog.catalog.Catalog.rows",
        "anyio.to_thread.run_sync",
    ):
        monkeypatch.setattr(target, fail)
    assert client.get("/healthz").json() == {"status": "ok"}
