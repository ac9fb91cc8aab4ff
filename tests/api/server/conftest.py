"""Servers with keys, a real one on a socket, and eyes on what the process opens and where it connects."""

from __future__ import annotations

import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.cli.serve import server_config
from api.server import Settings, create_app
from api.server.gate.keys import Access, KeyStore
from search import SearchEngine

Serve = Callable[..., TestClient]
Raw = Callable[[bytes], bytes]


@pytest.fixture
def store(engine: SearchEngine) -> KeyStore:
    """The keys of the index of five pictures."""
    return KeyStore(engine.catalog.directory)


@pytest.fixture
def secret(store: KeyStore) -> Callable[[Access], dict[str, str]]:
    """Make a key, and return the header that shows it."""

    def make(access: Access = "read") -> dict[str, str]:
        return {"Authorization": f"Bearer {store.add(f'{access} {len(store.all())}', [access])[1]}"}

    return make


@pytest.fixture
def serve(engine: SearchEngine) -> Iterator[Serve]:
    """Serve the five pictures with some settings; `peer` is the address that requests come from."""
    with ExitStack() as stack:

        def make(*, peer: str = "127.0.0.1", base_url: str = "http://localhost", **settings: object) -> TestClient:
            app = create_app(engine, Settings.model_validate(settings))
            client = TestClient(app, base_url=base_url, raise_server_exceptions=False, client=(peer, 50000))
            return stack.enter_context(client)

        yield make


@pytest.fixture
def raw(engine: SearchEngine) -> Iterator[Raw]:
    """Send bytes to a real server, and return all that it answers till it closes."""
    with listening(create_app(engine, Settings(upload_bytes=200_000))) as send:
        yield send


class listening:  # noqa: N801  reads as a statement
    """A server in a thread, on a port of its own."""

    def __init__(self, app: FastAPI, settings: Settings = Settings()) -> None:  # noqa: B008  frozen
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._server = uvicorn.Server(server_config(app, settings))
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],))

    def __enter__(self) -> Raw:
        self._thread.start()
        return self._send

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def connect(self) -> socket.socket:
        """A connection to it."""
        return socket.create_connection(self._listener.getsockname(), timeout=30)

    def _send(self, request: bytes) -> bytes:
        with self.connect() as connection:
            answer = bytearray()
            with suppress(ConnectionError):  # it may close before it has read all
                connection.sendall(request)
            with suppress(ConnectionError):
                while received := connection.recv(65536):
                    answer += received
            return bytes(answer)


@dataclass
class Watch:
    """What the process did while a test looked."""

    opened: list[str] = field(default_factory=list)
    connected: list[str] = field(default_factory=list)


_watches: list[Watch] = []


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    for watch in _watches:
        if event == "open":
            watch.opened.append(str(arguments[0]))
        elif event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
            watch.connected.append(str(arguments[-1]))
        elif event in ("subprocess.Popen", "os.system"):
            watch.connected.append(event)


@pytest.fixture(scope="session")
def _hooked() -> None:
    """Once a process: such a hook cannot be taken away."""
    sys.addaudithook(_hook)


@pytest.fixture
def watch(_hooked: None) -> Iterator[Watch]:
    """Note files that are opened, connections, and programs that are started."""
    watching = Watch()
    _watches.append(watching)
    yield watching
    _watches.remove(watching)


def status_of(answer: bytes) -> int:
    """The status of the first answer in what a server sent."""
    found = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
    assert found is not None, answer[:200]
    return int(found[1])
