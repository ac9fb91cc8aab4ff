"""Errors as problem documents."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from api.server.work.cursors import CursorError
from encoders import EncodersError
from indexer import Catalog
from indexer.errors import CatalogError, DecodeError, EncoderMismatchError, FilterError, ModelError, ReadError
from search.errors import ImageNotFoundError, QueryError, UnknownModelError
from tests.api.server.test_app import picture, problem

MESSAGE = "/srv/secret/index: it is so"


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (CatalogError, 503, "index-unavailable"),
        (ModelError, 503, "index-unavailable"),
        (EncoderMismatchError, 503, "index-unavailable"),
        (EncodersError, 503, "model-unavailable"),
    ],
)
def test_server_errors_do_not_disclose_paths(
    client: TestClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: type[Exception],
    status: int,
    name: str,
) -> None:
    """The client gets no path; the log has the whole message."""

    def fail(_: Catalog) -> None:
        raise error(MESSAGE)

    monkeypatch.setattr("api.server.routes.index.catalog_stats", fail)
    response = client.get("/v1/stats")
    detail = problem(response, status)
    assert "secret" not in detail
    assert "See the server log." in detail
    assert response.json()["type"] == f"urn:crosslook:problem:{name}"
    assert MESSAGE in caplog.text


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (CursorError, 422, "cursor"),
        (ImageNotFoundError, 404, "image-not-found"),
        (ReadError, 404, "image-not-found"),
        (UnknownModelError, 422, "model-not-found"),
        (QueryError, 422, "query"),
        (FilterError, 422, "filter"),
        (DecodeError, 422, "unreadable-image"),
    ],
)
def test_request_errors_keep_their_message(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, error: type[Exception], status: int, name: str
) -> None:
    """Errors in a request keep their message and have a stable type."""

    def fail(_: Catalog) -> None:
        raise error("say it otherwise")

    monkeypatch.setattr("api.server.routes.index.catalog_stats", fail)
    response = client.get("/v1/stats")
    assert problem(response, status) == "say it otherwise"
    assert response.json()["type"] == f"urn:crosslook:problem:{name}"


def test_a_wrong_method_is_refused_with_all_allowed_ones(client: TestClient) -> None:
    """A 405 lists all methods of the path, even if several routes share it."""
    for method in ("PUT", "PATCH", "OPTIONS"):
        response = client.request(method, "/v1/jobs/0123456789abcdef")
        assert (response.status_code, response.headers["allow"]) == (405, "DELETE, GET, HEAD")
        assert response.json()["detail"] == "Method not allowed. Use DELETE, GET, HEAD."


@pytest.mark.parametrize(
    ("address", "takes"),
    [
        ("/v1/images?wher=year>2000", "Unknown query parameter 'wher'. Expected one of: cursor, k, where."),
        ("/v1/images/1/similar?where=year>2000&limit=3", "Unknown query parameter 'limit'. Expected one of: k, where."),
        ("/v1/stats?x", "Unknown query parameter 'x'. None is expected."),
    ],
)
def test_an_unknown_parameter_is_refused(client: TestClient, address: str, takes: str) -> None:
    """Otherwise a misspelt filter would silently match everything."""
    assert takes in problem(client.get(address), 422)


@pytest.mark.parametrize(
    "address", ["/v1/images?k=3&k=4", "/v1/images/1/similar?k=3&where=width>1&k=3", "/v1/duplicates?k=&k="]
)
def test_a_repeated_parameter_is_refused(client: TestClient, address: str) -> None:
    """Otherwise all but one of its values would be ignored; only lists are repeated."""
    assert problem(client.get(address), 422) == "The query parameter 'k' was sent 2 times. Send it once."
    assert client.get("/v1/images?where=width>1&where=height>1").status_code == 200


def test_a_repeated_form_field_is_refused(client: TestClient) -> None:
    """Form fields are refused like query parameters, and so is a second picture."""
    image = ("image", ("red.png", picture()))
    body = {"k": ["1", "2"], "where": ["width > 1", "height > 1"]}
    detail = problem(client.post("/v1/search/image", data=body, files=[image]), 422)
    assert detail == "The form field 'k' was sent 2 times. Send it once."
    detail = problem(client.post("/v1/search/image", files=[image, image]), 422)
    assert detail == "The form field 'image' was sent 2 times. Send it once."
    assert client.post("/v1/search/image", data=body | {"k": "1"}, files=[image]).status_code == 200


def test_error_messages_are_readable(client: TestClient) -> None:
    """Messages are ours, not those of the library that found the error."""
    cut = client.post("/v1/search", content=b'{"text"', headers={"Content-Type": "application/json"})
    assert "invalid JSON" in problem(cut, 422)
    assert "must be a file upload" in problem(client.post("/v1/search/image", data={"image": "abc"}), 422)
    assert "No such route. See /openapi.json." in problem(client.get("/v1/nothing"), 404)


def test_an_unknown_form_field_is_refused(client: TestClient) -> None:
    """Unknown form fields are refused like unknown query parameters."""
    detail = problem(client.post("/v1/search/image", data={"wher": "year > 2000"}, files={"image": picture()}), 422)
    assert "Unknown form field 'wher'. Expected one of: " in detail
    assert "where" in detail


@pytest.mark.parametrize("address", ["/healthz?probe=7", "/readyz?probe=7", "/?q=dogs"])
def test_probes_and_the_page_accept_unknown_parameters(client: TestClient, address: str) -> None:
    """Load balancers and trackers add query parameters to the probes and the page."""
    assert client.get(address).status_code == 200


def test_only_the_first_validation_errors_are_listed(client: TestClient) -> None:
    """`detail` lists at most ten errors."""
    detail = problem(client.post("/v1/search", json={"text": "red"} | {f"x{i}": i for i in range(90)}), 422)
    assert detail.endswith("; and 80 more")
    assert detail.count(";") == 10


@pytest.mark.parametrize("path", ["/v1/search", "/v1/explain", "/v1/index"])
def test_a_body_with_thousands_of_fields_is_refused_as_a_whole(client: TestClient, path: str) -> None:
    """A body with thousands of fields is refused before each is validated."""
    for needed in ({}, {"cursor": "x"}):
        body = needed | {f"x{i}": i for i in range(1000)}
        assert problem(client.post(path, json=body), 422) == "body: there are more than 100 fields"
