"""Attacks: path traversal, SSRF, decompression bombs, request smuggling, slow requests."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.cli.serve import server_config
from api.server import Settings, create_app
from api.server.gate.receive_timeout import Protocol
from search import SearchEngine
from tests.api.server.conftest import Raw, Watch, listening, status_of
from tests.api.server.test_app import picture, problem
from tests.indexer.pictures.hostile import png

MARK = "nobodys-business"
"""Marks a file that no request may reach, by its name and content."""


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file beside the index and the pictures."""
    path = tmp_path / f"{MARK}.png"
    path.write_bytes(picture() + MARK.encode())
    return path


# --- paths ---


def traversals(target: Path) -> list[str]:
    """Spellings of a path traversal."""
    relative = f"../../../{target.name}"
    dots = [relative, "/".join([".."] * 9) + str(target), str(target), f"1/{relative}", f"..\\..\\{target.name}"]
    once = [path.replace("/", "%2f").replace("\\", "%5c") for path in dots]
    dotted = [path.replace(".", "%2e") for path in once]
    twice = [path.replace("%", "%25") for path in once + dotted]
    odd = ["..%c0%af" + target.name, "%00", f"1%00{target.name}", f"{target.name}%00.png", "....//" + target.name]
    urls = [f"file://{target}", f"file:%2f%2f{target}", "~", "%7e", "1;" + relative, "1%0d%0aX-Evil:%201", "C:%5c"]
    return [*dots, *once, *dotted, *twice, *odd, *urls]


def routes_with_parameters(client: TestClient) -> list[tuple[str, str]]:
    """Methods and paths of all routes with a path parameter."""
    paths = client.get("/openapi.json").json()["paths"]
    return [(way.upper(), path) for path, ways in paths.items() if "{" in path for way in ways]


def test_no_path_in_an_address_reaches_the_file_system(
    client: TestClient, raw: Raw, outside: Path, watch: Watch
) -> None:
    """Plain, encoded, twice encoded, absolute and NUL paths are refused by every route, without opening a file."""
    routes = routes_with_parameters(client)
    assert ("GET", "/v1/images/{image_id}/file") in routes
    for method, route in [*routes, ("GET", "/{x}"), ("GET", "/static/{x}"), ("GET", "/v1/{x}")]:
        before, _, rest = route.partition("{")
        requests = [before + attempt + rest.partition("}")[2] for attempt in traversals(outside)]
        lines = [f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n" for path in requests]
        answer = raw("\r\n".join([*lines, ""]).encode("latin-1")[:-2] + b"Connection: close\r\n\r\n")
        statuses = [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
        assert len(statuses) == len(requests)
        assert {status // 100 for status in statuses} == {4}
        assert b"x-evil" not in answer.lower()
        assert picture() not in answer
    assert not [path for path in watch.opened if MARK in path]


# --- every field there is ---


def schema_of(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema, with its reference resolved."""
    reference = schema.get("$ref")
    return schema if reference is None else document["components"]["schemas"][reference.rpartition("/")[2]]


def filled(schema: dict[str, Any], text: str) -> Any:
    """A value of a schema made of the text; None if it takes no text."""
    for kind in schema.get("anyOf", [schema]):
        if kind.get("type") == "string" and kind.get("format") != "binary":
            return text
        if kind.get("type") == "array":
            return [text]
    return None


def bodies(document: dict[str, Any], operation: dict[str, Any], text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Media types and bodies with the text in each field, in all text fields, and in all fields."""
    for kind, body in operation.get("requestBody", {}).get("content", {}).items():
        schema = schema_of(document, body["schema"])
        shapes = [schema] if "properties" in schema else schema.get("oneOf", schema.get("anyOf", []))
        for each in shapes:
            fields = schema_of(document, each)["properties"]
            needed = {name: 1 for name in ("image_id",) if name in fields} | {
                n: "red" for n in ("text",) if n in fields
            }
            texts = {name: filled(field, text) for name, field in fields.items() if filled(field, text) is not None}
            for sent in (texts, dict.fromkeys(fields, text), *({name: value} for name, value in texts.items())):
                yield kind, sent
                yield kind, needed | sent


def attack(client: TestClient, text: str) -> list[tuple[str, int]]:
    """Send a text in every field of every documented request; return the requests and their statuses."""
    document, answers = client.get("/openapi.json").json(), []
    operations = [(way, path, what) for path, ways in document["paths"].items() for way, what in ways.items()]
    for way, path, operation in operations:
        address = path.replace("{image_id}", "1").replace("{job_id}", "1")
        query = {parameter["name"]: text for parameter in operation.get("parameters", ()) if parameter["in"] == "query"}
        for kind, body in [("", {}), *bodies(document, operation, text)]:
            if kind == "application/json":
                response = client.request(way, address, params=query, json=body)
            else:
                response = client.request(way, address, params=query, data=body)
            answers.append((f"{way} {path} {body}", response.status_code))
    return answers


URLS = (
    "http://127.0.0.1:9/x.png",
    "https://evil.example/x.png",
    "//evil.example/x.png",
    "ftp://evil.example/x.png",
    "gopher://127.0.0.1:9/_x",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::1]:9/",
    "\\\\evil.example\\share\\x.png",
)


@pytest.mark.parametrize("url", URLS)
def test_no_address_in_any_field_is_ever_asked(client: TestClient, watch: Watch, url: str) -> None:
    """URLs in requests cause no connection, no name lookup and no subprocess."""
    answers = attack(client, url)
    assert any("without" in asked and status == 200 for asked, status in answers)
    assert [answer for answer in answers if answer[1] >= 500] == []
    upload = {"image": (url, f'<svg xmlns:xlink="x"><image xlink:href="{url}"/></svg>'.encode(), "image/svg+xml")}
    assert "not an image" in problem(client.post("/v1/captions", files=upload), 422)
    fetching = {"Referer": url, "X-Forwarded-For": url, "X-Original-URL": url, "Forwarded": f"for={url}"}
    assert client.post("/v1/search", json={"text": "red"}, headers=fetching).status_code == 200
    assert watch.connected == []


def test_the_watch_sees_a_connection(watch: Watch, client: TestClient) -> None:
    """The watch of the previous test works."""
    with socket.socket() as lone, pytest.raises(OSError, match="refused"):
        lone.connect(("127.0.0.1", 9))
    assert watch.connected == ["('127.0.0.1', 9)"]
    assert client.get("/healthz").status_code == 200


def test_no_path_in_any_field_is_ever_opened(client: TestClient, outside: Path, watch: Watch) -> None:
    """No path in a request is opened, and no response says whether it exists."""
    for text in (str(outside), f"file://{outside}", f"../../{outside.name}", f"{outside}\x00.png"):
        answers = attack(client, text)
        assert [answer for answer in answers if answer[1] >= 500] == []
        upload = {"image": (text.replace("\x00", ""), b"no picture")}
        problem(client.post("/v1/captions", files=upload), 422)
    assert not [path for path in watch.opened if MARK in path]


# --- uploads ---


def test_a_picture_of_too_many_pixels_is_refused_by_its_header(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture with more pixels than an indexed one may have is refused before it is decoded."""
    assert client.post("/v1/captions", files={"image": ("x", picture())}).status_code == 200
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda _: pytest.fail("was decoded"))
    for width, height in ((250_001, 1000), (50_000, 50_000), (2**31 - 1, 2**31 - 1)):
        response = client.post("/v1/captions", files={"image": ("x.png", png(width, height))})
        detail = problem(response, 422)
        assert "the upload: " in detail
        assert "too many pixels" in detail
        assert "the limit is" in detail


def test_a_picture_that_is_cut_short_is_a_problem(client: TestClient) -> None:
    """Truncated pictures are refused wherever they are cut."""
    for kind in ("PNG", "JPEG", "WEBP", "AVIF"):
        complete = picture("red", kind)
        for cut in range(0, len(complete) - 1, max(1, len(complete) // 12)):
            response = client.post("/v1/captions", files={"image": ("x", complete[:cut])})
            assert response.status_code in (200, 422), (kind, cut)
            if response.status_code == 422:
                assert "the upload: " in problem(response, 422)


def test_what_begins_like_a_program_or_a_page_is_no_picture(client: TestClient) -> None:
    """Formats such as PostScript, SVG and HTML are refused."""
    for data in (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"<svg/>", b"<html>", b"PK\x03\x04", b"MZ"):
        response = client.post("/v1/captions", files={"image": ("x.png", data, "image/png")})
        assert "not an image" in problem(response, 422)


# --- requests that two servers would read differently ---

HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
BODY = b'{"text": "red"}'
LAST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 15\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 15\r\n",
        b"Content-Length: 15\r\nContent-Length: 16\r\n",
        b"Content-Length: 15, 16\r\n",
        b"Content-Length: +15\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 0x0f\r\n",
        b"Content-Length : 15\r\n",
        b"Content-Length: \xb2\r\n",
        b"Transfer-Encoding: chunked, chunked\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"X: 1\r\n Content-Length: 15\r\nContent-Length: 15\r\n\x00: 1\r\n",
    ],
)
@pytest.mark.parametrize("body", [BODY, b"0\r\n\r\n", b"f\r\n" + BODY + b"\r\n0\r\n\r\n"])
def test_a_request_whose_end_is_not_certain_is_refused_and_nothing_after_it_is_read(
    raw: Raw, framing: bytes, body: bytes
) -> None:
    """Requests of ambiguous length are refused, and the connection is closed (request smuggling)."""
    answer = raw(b"POST /v1/search HTTP/1.1\r\n" + HOST + JSON + framing + b"\r\n" + body + LAST)
    assert status_of(answer) in (400, 501)
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: evil.example\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\nX-Evil\r\n\r\n",
        b"GET /healthz\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 1000,
    ],
)
def test_what_is_no_request_is_refused(raw: Raw, request_: bytes) -> None:
    """Malformed requests get a 4xx status, and the server keeps running."""
    assert status_of(raw(request_ + LAST)) // 100 == 4
    assert status_of(raw(LAST)) == 200


def test_a_body_that_never_ends_is_cut_off(raw: Raw) -> None:
    """A chunked body without end is cut off at the limit."""
    chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    answer = raw(
        b"POST /v1/search HTTP/1.1\r\n"
        + HOST
        + JSON
        + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        + chunk * 20
    )
    assert status_of(answer) == 413
    assert json.loads(answer.rpartition(b"\r\n\r\n")[2])["type"].endswith("too-large")


# --- requests that do not arrive ---

HALF = b"POST /v1/search HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: 15\r\n\r\n" + BODY[:7]


@pytest.fixture
def impatient(engine: SearchEngine) -> Iterator[listening]:
    """A server with a receive timeout of one second and one thread."""
    settings = Settings(receive_seconds=1, threads=1, waiting=0)
    server = listening(create_app(engine, settings), settings)
    with server:
        yield server


def rest(connection: socket.socket) -> bytes:
    """Receive until the server closes."""
    answer = bytearray()
    with suppress(ConnectionError):
        while received := connection.recv(65536):
            answer += received
    return bytes(answer)


@pytest.mark.parametrize("sent", [HALF[:9], HALF[:60], HALF[:-7], HALF])
def test_a_request_that_does_not_end_is_ended(impatient: listening, sent: bytes) -> None:
    """A request that stalls in its request line, headers or body gets 408 with a problem document."""
    with impatient.connect() as connection:
        connection.sendall(sent)
        answer = rest(connection)
    assert status_of(answer) == 408
    document = json.loads(answer.rpartition(b"\r\n\r\n")[2])
    assert (document["type"], document["detail"]) == (
        "urn:crosslook:problem:too-slow",
        "The request took longer than 1 s to arrive.",
    )


def drip(connection: socket.socket, more: bytes) -> None:
    """Send a few bytes every 0.1 s, for five seconds."""
    for _ in range(50):
        time.sleep(0.1)
        connection.sendall(more)


def test_a_byte_now_and_then_does_not_help(impatient: listening) -> None:
    """The timeout is for the whole request, also for a body that continues after the response."""
    chunked = b"GET /healthz HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    for begin, more in ((HALF[:20], b"x"), (HALF[:-7], b" "), (chunked, b"1\r\nx\r\n")):
        with impatient.connect() as connection:
            connection.sendall(begin)
            with pytest.raises(ConnectionError):
                drip(connection, more)


def test_who_says_nothing_is_not_waited_for(impatient: listening) -> None:
    """An idle connection is closed without a response."""
    with impatient.connect() as connection:
        assert rest(connection) == b""


def test_bodies_that_are_being_sent_keep_nobody_else_out(impatient: listening, engine: SearchEngine) -> None:
    """Requests still being received occupy no thread."""
    del engine
    with ExitStack() as held:
        for _ in range(20):
            held.enter_context(impatient.connect()).sendall(HALF)
        complete = b"POST /v1/search HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: 15\r\nConnection: close\r\n\r\n"
        assert status_of(impatient._send(complete + BODY)) == 200


def test_requests_in_a_row_have_their_time_each(impatient: listening) -> None:
    """On a kept-alive connection each request has its own timeout."""
    with impatient.connect() as connection:
        for _ in range(4):
            time.sleep(0.6)
            connection.sendall(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
            answer = connection.recv(65536)
            assert status_of(answer) == 200
            if not answer.endswith(b"}"):  # its body comes by itself
                assert connection.recv(65536).endswith(b"}")


def test_a_proxy_is_believed_by_the_settings_alone() -> None:
    """X-Forwarded-For is not left to uvicorn, whose h11 parser is used because it limits headers."""
    config = server_config(FastAPI(), Settings())
    assert isinstance(config.http, type)
    assert issubclass(config.http, Protocol)
    assert (config.proxy_headers, config.ws) == (False, "none")
