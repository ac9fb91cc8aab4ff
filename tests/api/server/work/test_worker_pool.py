"""The worker pool and clients that disconnect."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from api.server import Settings, create_app
from api.server.work.worker_pool import WorkerPool
from search import Answer, SearchEngine
from tests.api.server.conftest import listening, status_of

LONG = 30.0
SETTINGS = Settings(threads=1, waiting=1)
BODY = b'{"text": "red"}'
SEARCH = (
    b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    b"Content-Length: 15\r\n\r\n" + BODY
)


class Slow:
    """A server with one thread, whose searches block until released."""

    def __init__(self, server: listening, work: WorkerPool) -> None:
        self.server, self.work = server, work
        self.begun, self.go_on = threading.Semaphore(0), threading.Semaphore(0)
        self.searches = 0

    def stand(self) -> None:
        """Count a search, and block it."""
        self.searches += 1
        self.begun.release()
        assert self.go_on.acquire(timeout=LONG)


@pytest.fixture
def slow(engine: SearchEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    """A running server; all searches are released at the end."""
    app = create_app(engine, SETTINGS)
    server = listening(app, SETTINGS)
    made, search = Slow(server, app.state.service.work), SearchEngine.search_images

    def standing(engine: SearchEngine, text: str, **options: object) -> Answer:
        made.stand()
        return search(engine, text, **options)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(SearchEngine, "search_images", standing)
    with server:
        yield made
        made.go_on.release(100)


def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_client_that_leaves_while_it_waits_frees_its_place(slow: Slow) -> None:
    """The request of a disconnected client is dropped from the queue."""
    with slow.server.connect() as first, slow.server.connect() as next_one:
        first.sendall(SEARCH)
        assert slow.begun.acquire(timeout=LONG)
        left = slow.server.connect()
        left.sendall(SEARCH)
        until(lambda: slow.work.accepted == 2)
        assert status_of(slow.server._send(SEARCH)) == 503
        left.close()
        until(lambda: slow.work.accepted == 1)
        next_one.sendall(SEARCH)
        until(lambda: slow.work.accepted == 2)
        slow.go_on.release(2)
        assert status_of(first.recv(100)) == status_of(next_one.recv(100)) == 200
    assert slow.searches == 2


def test_a_client_that_leaves_while_its_work_is_done_makes_no_further_thread(slow: Slow) -> None:
    """A running thread counts until it ends, even if its client has disconnected."""
    left = slow.server.connect()
    left.sendall(SEARCH)
    assert slow.begun.acquire(timeout=LONG)
    left.close()
    with slow.server.connect() as other:
        other.sendall(SEARCH)
        until(lambda: slow.work.accepted == 2)
        assert not slow.begun.acquire(timeout=0.2)
        slow.go_on.release()
        assert slow.begun.acquire(timeout=LONG)
        slow.go_on.release()
        assert status_of(other.recv(100)) == 200
    until(lambda: slow.work.accepted == 0)
