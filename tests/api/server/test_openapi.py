"""The OpenAPI document is true, and its examples work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from api.server.service import Service
from tests.api.server.test_app import picture

Document = dict[str, Any]
NAMES = {
    "search": ("post", "/v1/search"),
    "search_by_image": ("post", "/v1/search/image"),
    "similar": ("get", "/v1/images/{image_id}/similar"),
    "captions": ("post", "/v1/captions"),
    "images": ("get", "/v1/images"),
    "image": ("get", "/v1/images/{image_id}"),
    "image_file": ("get", "/v1/images/{image_id}/file"),
    "thumbnail": ("get", "/v1/images/{image_id}/thumbnail"),
    "explain": ("post", "/v1/explain"),
    "explain_png": ("post", "/v1/explain/png"),
    "facets": ("get", "/v1/facets"),
    "duplicates": ("get", "/v1/duplicates"),
    "models": ("get", "/v1/models"),
    "stats": ("get", "/v1/stats"),
}


@pytest.fixture
def document(client: TestClient) -> Document:
    """The document that clients get."""
    found: Document = client.get("/openapi.json").json()
    return found


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    """Method, path and description of each operation."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def resolved(document: Document, schema: Document) -> Document:
    """A schema, with its reference resolved."""
    found: Document = (
        document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
    )
    return found


def test_operations_have_short_and_stable_names(document: Document) -> None:
    """Generated clients name their methods after the operation ids."""
    found = {operation["operationId"]: (method, path) for method, path, operation in operations(document)}
    assert {name: found.get(name) for name in NAMES} == NAMES


def test_every_error_is_a_problem_document(document: Document) -> None:
    """Every error of every route is declared as a problem document."""
    for _, _, operation in operations(document):
        errors = {s: r for s, r in operation["responses"].items() if int(s) >= 400}
        assert {"400", "401", "403", "408", "413", "421", "429", "503"} <= set(errors)
        for response in errors.values():
            assert set(response["content"]) == {"application/problem+json"}
            assert response["content"]["application/problem+json"]["schema"]["$ref"].endswith("/Problem")


def provoke(client: TestClient, status: int, method: str, path: str, *, form: bool) -> Response:
    """Send a request that provokes a status."""
    address = path.replace("{image_id}", "999" if status == 404 else "1")
    files = {"image": ("x.png", picture())} if form else None
    data = {"image_id": "999" if status == 404 else "1"} if form and "captions" in path else None
    if form and "captions" in path:
        files = None
    body = None if form or method == "get" else {"text": "red", "image_id": 999 if status == 404 else 1}
    if status == 415:
        return client.request(method, address, content=b"red", headers={"content-type": "text/plain"})
    if status == 400 and method == "get":
        return client.request(method, address, headers={"transfer-encoding": "gzip"})
    if status == 400:
        kind = "multipart/form-data" if form else "application/json"
        return client.request(method, address, content=b'"\xff"', headers={"content-type": kind})
    if status == 413:
        return client.request(method, address, content=b"0" * 300_000)
    if status == 422:
        address = path.replace("{image_id}", "0")
        return client.request(method, address, params={"k": 0, "where": "x", "size": 1}, json={} if body else None)
    headers = {421: {"host": "evil.example"}, 416: {"range": "bytes=99999-"}, 206: {"range": "bytes=0-1"}}
    headers |= {304: {"if-none-match": "*"}}
    return client.request(method, address, json=body, files=files, data=data, headers=headers.get(status))


def test_every_documented_status_occurs(client: TestClient, document: Document) -> None:
    """Every documented status of every route occurs, except those of keys and rates, which have their own tests."""
    service: Service = client.app.state.service  # type: ignore[attr-defined]  # an ASGI application in general
    for method, path, operation in operations(document):
        if operation["operationId"] not in NAMES:
            continue
        form = "multipart/form-data" in operation.get("requestBody", {}).get("content", {})
        for status in sorted({int(status) for status in operation["responses"]} - {401, 403, 408, 429, 503}):
            response = provoke(client, status, method, path, form=form)
            assert response.status_code == status, (method, path, response.text)
        with pytest.MonkeyPatch.context() as full:
            full.setattr(service.work, "_capacity", 0)
            assert provoke(client, 503, method, path, form=form).status_code == 503


def test_every_field_is_described_and_has_an_example(document: Document) -> None:
    """Fields have examples, except nested schemas, cursors, form fields and model names."""
    for name, schema in document["components"]["schemas"].items():
        for field, definition in schema.get("properties", {}).items():
            assert definition.get("description"), f"{name}.{field}"
            parts = "$ref" in str(definition) or "cursor" in field or name.startswith("Body_") or field == "model"
            assert parts or definition.get("examples"), f"{name}.{field}"
    for _, path, operation in operations(document):
        assert operation.get("description"), path
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), f"{path} {parameter['name']}"


def test_examples_of_bodies_run(client: TestClient, document: Document) -> None:
    """Every example of a JSON body or of one of its fields is accepted."""
    sent = 0
    for method, path, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None:
            continue
        for schema in content["schema"].get("oneOf", content["schema"].get("anyOf", [content["schema"]])):
            shape = resolved(document, schema)
            if "cursor" in shape["properties"]:
                continue  # only a server can make one
            bodies = list(shape["examples"])
            for field, definition in shape["properties"].items():
                bodies += [shape["examples"][0] | {field: example} for example in definition.get("examples", [])]
            for body in bodies:
                response = client.request(method, path, json=body)
                if path == "/v1/index":  # one job at a time, and no folder is configured here
                    assert response.json()["type"].endswith("root-not-found"), response.text
                    continue
                assert response.status_code == 200, (path, body, response.text)
                sent += 1
    assert sent > 15


def test_examples_of_forms_and_parameters_run(client: TestClient, document: Document) -> None:
    """Every example of a form field or parameter is accepted."""
    sent = 0
    for method, path, operation in operations(document):
        parameters = operation.get("parameters", [])
        address = path.replace("{image_id}", "1")
        if "{" in address:
            continue
        form = operation.get("requestBody", {}).get("content", {}).get("multipart/form-data")
        if form is not None:
            fields = resolved(document, form["schema"])["properties"]
            for field, definition in fields.items():
                for example in definition.get("examples", []):
                    files = {} if field == "image_id" else {"image": ("x.png", picture())}
                    response = client.request(method, address, data={field: str(example)}, files=files)
                    assert response.status_code == 200, (path, field, response.text)
                    sent += 1
        elif method == "get":
            queries = [{}] + [
                {p["name"]: example}
                for p in parameters
                if p["in"] == "query"
                for example in [*p.get("examples", []), *p["schema"].get("examples", [])]
            ]
            for query in queries:
                response = client.get(address, params=query)
                assert response.status_code == 200, (path, query, response.text)
                sent += 1
    assert sent > 15


def test_json_is_compressed_and_pictures_are_not(client: TestClient) -> None:
    """Responses from 1 kB on are compressed for clients that accept gzip; pictures never."""
    long = client.get("/openapi.json", headers={"accept-encoding": "gzip"})
    assert long.headers["content-encoding"] == "gzip"
    assert long.json()["openapi"]
    assert "content-encoding" not in client.get("/openapi.json", headers={"accept-encoding": "identity"}).headers
    assert "content-encoding" not in client.get("/healthz", headers={"accept-encoding": "gzip"}).headers
    body = {"image_id": 1, "text": "a red thing"}
    drawn = client.post("/v1/explain/png", json=body, headers={"accept-encoding": "gzip"})
    assert len(drawn.content) > 1000
    assert "content-encoding" not in drawn.headers


def test_form_schemas_hold_the_rules_between_fields(document: Document) -> None:
    """Rules between form fields are part of the form's schema, and no form field is nullable."""
    forms = {name: schema for name, schema in document["components"]["schemas"].items() if name.startswith("Body_")}
    assert forms["Body_captions"]["oneOf"] == [{"required": ["image"]}, {"required": ["image_id"]}]
    assert forms["Body_search_by_image"]["dependentRequired"] == {"min_probability": ["text"]}
    assert "null" not in str([schema["properties"] for schema in forms.values()])
    form = document["paths"]["/v1/captions"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert form["encoding"] == {"image": {"contentType": "image/*"}}


def test_headers_are_documented(document: Document) -> None:
    """X-Request-ID, Location, Retry-After, WWW-Authenticate and ETag are documented."""
    for _, path, operation in operations(document):
        for status, response in operation["responses"].items():
            assert response["headers"]["X-Request-ID"]["required"] == (status not in ("400", "408")), path
        assert operation["responses"]["429"]["headers"]["Retry-After"]["required"]
        assert operation["responses"]["401"]["headers"]["WWW-Authenticate"]["required"]
    assert document["paths"]["/v1/index"]["post"]["responses"]["202"]["headers"]["Location"]["required"]
    assert "ETag" in document["paths"]["/v1/images/{image_id}/thumbnail"]["get"]["responses"]["304"]["headers"]


def test_every_documented_parameter_is_accepted(client: TestClient, document: Document) -> None:
    """No documented query parameter is refused as unknown."""
    taken = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "query":
                    answer = client.request(method, path.replace("{image_id}", "1"), params={parameter["name"]: "x"})
                    assert "Unknown query parameter" not in answer.text
                    taken += 1
    assert taken > 5


def test_body_schemas_forbid_additional_fields(document: Document) -> None:
    """JSON and form schemas forbid additional properties."""
    bodies = [
        media["schema"]["$ref"].rsplit("/", 1)[1]
        for operations in document["paths"].values()
        for operation in operations.values()
        for media in operation.get("requestBody", {"content": {}})["content"].values()
        if "$ref" in media["schema"]
    ]
    assert len(bodies) > 3
    assert all(document["components"]["schemas"][name].get("additionalProperties") is False for name in bodies)
