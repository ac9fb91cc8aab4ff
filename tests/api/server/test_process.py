"""A server process: start, shutdown, and changes to its index by other processes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import pytest
from httpx2 import Client, ConnectError, TransportError

from indexer import Catalog, VectorIndex, add_model, index_paths, remove_model, switch_model
from indexer.catalog.contents import count_items
from indexer.catalog.records import Kind
from tests.api.server.fake_server import other
from tests.api.server.test_app import problem
from tests.conftest import Paint
from tests.fakes import FakeEncoder

ROOT = Path(__file__).parent.parent.parent.parent
LONG = 30.0


class Server:
    """A running server."""

    def __init__(self, index: Path, *arguments: object) -> None:
        module = [sys.executable, "-m", "tests.api.server.fake_server"]
        command = [*module, "serve", "--port", "0", "--index", str(index), "--log-format", "json", *map(str, arguments)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.greeting = self.pipe("stderr").readline()
        found = re.search(r"at (http://\S+:(\d+))", self.greeting)
        if found is None:
            self.process.kill()  # or reading what else it says would have no end
            raise AssertionError(self.greeting + self.process.communicate()[1])
        self.url, self.port = found[1], int(found[2])
        self.client = Client(base_url=self.url, timeout=LONG)

    def pipe(self, name: str) -> IO[str]:
        """One of the process's three."""
        found: IO[str] | None = getattr(self.process, name)
        assert found is not None
        return found

    def event(self, name: str) -> dict[str, Any]:
        """The next line of the log with this event."""
        for line in self.pipe("stderr"):
            document: dict[str, Any] = json.loads(line)
            if document["event"] == name:
                return document
        raise AssertionError(f"the server ended before {name!r}")

    def found(self, text: str) -> list[str]:
        """Names of the files that a search finds."""
        response = self.client.post("/v1/search", json={"text": text, "k": 3})
        assert response.status_code == 200, response.text
        return [Path(hit["path"]).name for hit in response.json()["hits"]]

    def close(self) -> None:
        """End it whatever it does."""
        self.client.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


Start = Callable[..., Server]


@pytest.fixture
def start(indexed: Catalog) -> Iterator[Start]:
    """Start servers over the five pictures."""
    started: list[Server] = []

    def begin(*arguments: object) -> Server:
        started.append(Server(indexed.directory, *arguments))
        if "FAKE_MODEL_WAITS" not in os.environ:
            assert started[-1].event("ready")["level"] == "info"
        return started[-1]

    yield begin
    for server in started:
        server.close()


def refuses(port: int) -> bool:
    """Whether nobody takes connections there any more."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=LONG).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # was in the queue when the port was closed
        return False
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_accepted_requests_are_answered_before_the_exit(start: Start, number: signal.Signals) -> None:
    """Accepted requests are answered at shutdown while new connections are refused."""
    server = start()
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(server.client.post, "/v1/search", json={"text": "waiting for red"})
        assert server.pipe("stdout").readline() == "encoding\n"
        server.process.send_signal(number)
        while not refuses(server.port):
            pass
        with pytest.raises(ConnectError):
            Client().get(f"{server.url}/healthz")
        assert not answer.done()
        server.pipe("stdin").write("go on\n")
        server.pipe("stdin").flush()
        response = answer.result(LONG)
    assert (response.status_code, len(response.json()["hits"])) == (200, 5)
    assert server.process.wait(LONG) == (0 if number == signal.SIGTERM else 130)
    line = server.event("request")
    assert (line["route"], line["status"], line["request_id"]) == (
        "/v1/search",
        200,
        response.headers["x-request-id"],
    )
    assert "Traceback" not in server.pipe("stderr").read()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_blocked_thread_does_not_delay_the_exit(start: Start, number: signal.Signals) -> None:
    """A blocked thread does not delay the exit beyond the time limit, nor change its status."""
    server = start("--shutdown-seconds", 0)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(server.client.post, "/v1/search", json={"text": "waiting for red"})
        assert server.pipe("stdout").readline() == "encoding\n"
        server.process.send_signal(number)
        assert server.process.wait(LONG) == (0 if number == signal.SIGTERM else 130)
        assert "The server is shutting down" in problem(answer.result(LONG), 503)
    log = server.pipe("stderr").read()
    assert "exited while work was still in progress" in log
    assert "Traceback" not in log


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_a_second_interrupt_ends_the_server_at_once(start: Start, first: signal.Signals) -> None:
    """A second Ctrl-C exits at once with status 130."""
    server = start("--shutdown-seconds", 60)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(server.client.post, "/v1/search", json={"text": "waiting for red"})
        assert server.pipe("stdout").readline() == "encoding\n"
        server.process.send_signal(first)
        while not refuses(server.port):
            pass
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(LONG) == 130
        with pytest.raises(TransportError):
            answer.result(LONG)
    assert "Traceback" not in server.pipe("stderr").read()


def test_an_idle_server_stops_at_once(start: Start) -> None:
    """An idle server stops at once with status 0."""
    server = start()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(LONG) == 0
    assert server.pipe("stderr").read() == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_loading_server_is_alive_and_can_be_stopped(
    start: Start, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """A server that is still loading answers /healthz and can be stopped."""
    monkeypatch.setenv("FAKE_MODEL_WAITS", "1")
    server = start()
    assert server.pipe("stdout").readline() == "loading\n"
    assert server.client.get("/healthz").json() == {"status": "ok"}
    assert server.client.get("/readyz").status_code == 503
    server.process.send_signal(number)
    assert server.process.wait(LONG) == (0 if number == signal.SIGTERM else 130)
    log = server.pipe("stderr").read()
    assert "Traceback" not in log
    assert "/readyz" in log
    assert "warning" not in log  # a probe before the model is loaded is no fault


def test_a_ready_server_has_its_model_and_says_where_it_is(start: Start, indexed: Catalog) -> None:
    """The log and /readyz report when the server is ready."""
    server = start()
    assert str(indexed.directory) in server.greeting
    assert server.client.get("/readyz").json() == {"status": "ready"}
    assert server.client.get("/healthz").json() == {"status": "ok"}


def test_changes_by_another_process_are_seen(start: Start, indexed: Catalog, folder: Path, paint: Paint) -> None:
    """The next query sees changes by another process, without a restart."""
    server = start()
    assert server.found("yellow")[0] != "yellow.png"
    paint("yellow.png", "yellow")
    index_paths(indexed, FakeEncoder(), [folder])
    assert server.found("yellow")[0] == "yellow.png"
    (folder / "yellow.png").unlink()
    index_paths(indexed, FakeEncoder(), [folder], prune=True)
    assert "yellow.png" not in server.found("yellow")


def test_a_model_that_another_process_switches_to_answers(start: Start, indexed: Catalog, tmp_path: Path) -> None:
    """After a switch the new model answers, even when the old one is removed, and the metrics name it."""
    server = start()
    assert server.found("red")[0] == "red.png"
    (tmp_path / "other").mkdir()
    add_model(indexed, other(tmp_path / "other"))
    switch_model(indexed, "other")
    assert server.found("red")[0] == "red.png"
    assert 'crosslook_model_info{fingerprint="' + "0" * 64 + '",name="other"} 1.0' in server.client.get("/metrics").text
    remove_model(indexed, "fake")
    assert server.found("blue")[0] == "blue.png"


def test_an_index_that_another_process_rebuilds_is_searched_on(start: Start, indexed: Catalog) -> None:
    """Searches work before and after a rebuild."""
    server = start()
    before = server.found("red")
    for kind in Kind:
        VectorIndex.rebuild(indexed, kind)
    assert server.found("red") == before


def test_a_job_of_a_real_server_indexes_its_roots(start: Start, indexed: Catalog, folder: Path, paint: Paint) -> None:
    """`--root` allows a job that indexes a folder."""
    paint("yellow.png", "yellow")
    server = start("--root", folder)
    response = server.client.post("/v1/index", json={"roots": None})
    assert response.status_code == 202
    ended = server.event("indexing ended")
    assert (ended["job"], ended["state"]) == (response.json()["id"], "done")
    assert server.client.get(response.headers["location"]).json()["report"]["added"] == 1
    assert count_items(indexed)["image"] == 6
    assert server.found("yellow")[0] == "yellow.png"


def test_the_first_pictures_can_be_indexed_over_http(tmp_path: Path, folder: Path) -> None:
    """A server with roots starts without an index, and finds what a job indexes."""
    server = Server(tmp_path / "new", "--root", folder)
    try:
        assert server.event("ready")["level"] == "info"
        assert server.client.get("/v1/images").json()["images"] == []
        assert server.found("red") == []
        assert server.client.post("/v1/index", json={}).status_code == 202
        assert server.event("indexing ended")["state"] == "done"
        assert server.found("red")[0] == "red.png"
    finally:
        server.close()
