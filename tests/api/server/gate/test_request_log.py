"""Request ids and the log."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from api.server.logs import log_to
from search import SearchEngine

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def stream() -> io.StringIO:
    """The stream of the log."""
    return io.StringIO()


@pytest.fixture
def log(stream: io.StringIO) -> Iterator[Callable[..., None]]:
    """Log to the stream until the test ends."""
    handlers: list[logging.Handler] = []

    def begin(log_format: str = "json", level: str = "info") -> None:
        handlers.append(log_to(stream, log_format=log_format, level=level))

    yield begin
    for handler in handlers:
        logging.getLogger().removeHandler(handler)
    logging.getLogger("crosslook").setLevel(logging.NOTSET)


@pytest.fixture
def lines(log: Callable[..., None], stream: io.StringIO) -> Lines:
    """Log as JSON; returns a function that reads the lines."""
    log()
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("given", ["a", "A-b_c.9", "x" * 64])
def test_a_valid_request_id_is_returned_and_logged(client: TestClient, lines: Lines, given: str) -> None:
    """A valid X-Request-ID is returned and logged."""
    assert client.get("/healthz", headers={"X-Request-ID": given}).headers["x-request-id"] == given
    assert lines()[0]["request_id"] == given


@pytest.mark.parametrize("given", [None, "", "x" * 65, "a b", "ä".encode(), "a\tb", "${jndi}", "a/b"])
def test_any_other_request_id_is_made_anew(client: TestClient, given: str | bytes | None) -> None:
    """An invalid or missing X-Request-ID is replaced by a new one per request."""
    headers: dict[str, Any] = {} if given is None else {"X-Request-ID": given}
    made = [client.get("/healthz", headers=headers).headers["x-request-id"] for _ in range(2)]
    assert made[0] != made[1]
    assert all(len(one) == 16 and one.isalnum() for one in made)


def test_errors_carry_the_request_id_too(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors of the guard, the router, a route and unexpected ones carry the id."""
    name = {"X-Request-ID": "mine"}

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(SearchEngine, "search_images", fail)
    answers = [
        client.get("/healthz", headers=name | {"host": "evil.example"}),
        client.get("/nothing", headers=name),
        client.post("/v1/search", json={}, headers=name),
        client.post("/v1/search", json={"text": "red"}, headers=name),
    ]
    assert [answer.status_code for answer in answers] == [421, 404, 422, 500]
    assert {answer.headers["x-request-id"] for answer in answers} == {"mine"}


def test_each_request_is_one_line_without_its_query(client: TestClient, lines: Lines, stream: io.StringIO) -> None:
    """A line has time, level, id, method, route template, status and duration, but no query and no path."""
    client.post("/v1/search", json={"text": "yellowish"})
    client.get("/v1/images/987654321?token=hush")
    client.get("/hush")
    client.request("BREW", "/healthz")
    found = lines()
    assert set(found[0]) == {"time", "level", "request_id", "event", "method", "route", "status", "ms"}
    assert [(line["level"], line["method"], line["route"], line["status"]) for line in found] == [
        ("info", "POST", "/v1/search", 200),
        ("info", "GET", "/v1/images/{image_id}", 422),
        ("info", "GET", "none", 404),
        ("info", "other", "/healthz", 405),
    ]
    assert len({line["request_id"] for line in found}) == 4
    for secret in ("yellowish", "hush", "987654321"):
        assert secret not in stream.getvalue()


def test_queries_are_logged_only_at_level_debug(
    client: TestClient, log: Callable[..., None], stream: io.StringIO
) -> None:
    """At level `debug` queries are logged with their request id."""
    log(level="debug")
    client.post("/v1/search", json={"text": "yellowish"}, headers={"X-Request-ID": "mine"})
    answered = json.loads(stream.getvalue().splitlines()[0])
    assert (answered["level"], answered["query"], answered["request_id"]) == ("debug", "yellowish", "mine")


def test_the_key_is_named_by_its_id(client: TestClient, lines: Lines) -> None:
    """A request's key is logged by its id."""
    app = client.app
    assert isinstance(app, FastAPI)

    @app.get("/noted")
    async def noted(request: Request) -> None:
        request.state.key_id = "k7"

    client.get("/noted")
    assert lines()[0]["key"] == "k7"


def test_an_unforeseen_error_is_logged_once_with_its_traceback(
    client: TestClient, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unexpected error is logged once with its traceback, besides the request's line."""

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(SearchEngine, "search_images", fail)
    client.post("/v1/search", json={"text": "red"}, headers={"X-Request-ID": "mine"})
    fault, request = lines()
    assert fault["level"] == "error"
    assert "ZeroDivisionError: a secret" in fault["exception"]
    assert (request["level"], request["status"]) == ("warning", 500)
    assert fault["request_id"] == request["request_id"] == "mine"


def test_text_lines_have_the_same_fields(client: TestClient, log: Callable[..., None], stream: io.StringIO) -> None:
    """Text lines have the same fields, without colours if there is no terminal."""
    log("text")
    client.get("/v1/images/1", headers={"X-Request-ID": "mine"})
    (line,) = stream.getvalue().splitlines()
    assert "\x1b" not in line
    for part in ("[info", "request_id=mine", "method=GET", "route=/v1/images/{image_id}", "status=200", "ms="):
        assert part in line


def test_nobody_adds_a_line_to_the_text(client: TestClient, log: Callable[..., None], stream: io.StringIO) -> None:
    """Line breaks and escape sequences in queries and file names are escaped."""
    log("text", "debug")
    client.post("/v1/search", json={"text": "red \x1b[31m thing"})
    logging.getLogger("crosslook").warning("%s is damaged", "a\n2026-01-01T00:00:00Z [info] request.png")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert "\\x1b[31m" in lines[0]
    assert "a\\n2026-01-01" in lines[2]


def test_warnings_of_other_libraries_are_logged(lines: Lines) -> None:
    """Warnings of other libraries are JSON lines too."""
    logging.getLogger("somebody").info("unheard")
    logging.getLogger("somebody").warning("look: %s", "here")
    (line,) = lines()
    assert (line["event"], line["level"]) == ("look: here", "warning")
