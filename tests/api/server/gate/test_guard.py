"""Host names, origins, keys, rate limits and body types."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from api.errors import SettingsError
from api.server.gate.client_address import client_address
from api.server.gate.keys import FILE, Access, KeyStore
from api.server.gate.rates import Rates
from api.server.settings import read_settings
from search import SearchEngine
from tests.api.server.conftest import Serve
from tests.api.server.test_app import picture, problem

OPEN = "0.0.0.0"  # noqa: S104  what these tests are about
ELSEWHERE = "http://photos.example"

Secret = Callable[[Access], dict[str, str]]
RED = {"text": "red"}


def ways(client: TestClient) -> list[tuple[str, str]]:
    """Every method and path of the service, with ids filled in."""
    document = client.get("/openapi.json", headers=client.headers).json()
    paths = {path.replace("{image_id}", "1").replace("{job_id}", "1"): ways for path, ways in document["paths"].items()}
    return [(method.upper(), path) for path, ways in paths.items() for method in ways]


# --- names ---


def test_a_server_without_keys_answers_to_names_of_this_machine(serve: Serve) -> None:
    """A foreign `Host`, as in DNS rebinding, is refused with 421."""
    client = serve()
    evil = ("evil.example", "localhost.evil.example", "localhost@evil.example", "evil@localhost", "[", "[::1", "[::2]")
    for host in (*evil, "", "localhost:80:80", "localhost:evil", "127.0.0.1.evil.example", "127.1", "localhost evil"):
        for path in ("/healthz", "/", "/v1/images/1", "/openapi.json"):
            assert "answers only to" in problem(client.get(path, headers={"host": host}), 421)
    for host in ("localhost:8000", "LOCALHOST", "127.0.0.1:8000", "[::1]:8000", "[::1]"):
        assert client.get("/healthz", headers={"host": host}).status_code == 200


def test_a_page_of_another_origin_sends_nothing_to_a_server_without_keys(serve: Serve) -> None:
    """Requests with a foreign `Origin` are refused; the own page and programs without one are not."""
    client = serve(cors_origins=["https://photos.example"])
    form = {"image_id": "1"}
    for origin in ("https://evil.example", "null", "http://localhost:9999", "https://localhost"):
        detail = problem(client.post("/v1/captions", headers={"origin": origin}, data=form), 403)
        assert "pages of other origins" in detail
        assert "pages of other origins" in problem(client.get("/v1/images/1", headers={"origin": origin}), 403)
    for origin in ("http://localhost", "https://photos.example"):
        assert client.post("/v1/captions", headers={"origin": origin}, data=form).status_code == 200
    assert client.post("/v1/captions", data=form).status_code == 200


def test_a_page_of_another_origin_shows_nothing_of_a_server_without_keys(serve: Serve) -> None:
    """Subresource requests from other sites are refused by Sec-Fetch-Site; following a link is allowed."""
    client = serve()
    for site in ("cross-site", "same-site"):
        headers = {"sec-fetch-site": site, "sec-fetch-mode": "no-cors"}
        assert "pages of other origins" in problem(client.get("/v1/images/1/thumbnail", headers=headers), 403)
        link = {"sec-fetch-site": site, "sec-fetch-mode": "navigate"}
        assert client.get("/v1/images/1/file", headers=link).status_code == 200
    for site in ("same-origin", "none"):
        assert client.get("/v1/images/1", headers={"sec-fetch-site": site}).status_code == 200


def test_the_guard_refuses_what_the_http_parser_would(serve: Serve) -> None:
    """Ambiguous requests are refused without h11 too, because another server may run the application."""
    client = serve()
    problem(client.get("/healthz", headers=[("Host", "localhost"), ("Host", "evil.example")]), 421)
    for headers in ({"Transfer-Encoding": "gzip, chunked"}, {"Transfer-Encoding": "chunked", "Content-Length": "15"}):
        response = client.post("/v1/search", content=b'{"text": "red"}', headers=headers)
        assert "Send either Content-Length or" in problem(response, 400)
        assert response.headers["connection"] == "close"
    assert "too large; the limit is" in problem(client.post("/v1/search", headers={"Content-Length": "9" * 5000}), 413)


# --- keys ---


def test_a_server_that_others_can_reach_asks_for_a_key_everywhere(serve: Serve, secret: Secret) -> None:
    """Every documented route and every unknown path need a key; the probes do not."""
    header = secret("read")
    client = serve(host=OPEN, base_url=ELSEWHERE)
    client.headers |= header
    asked = [*ways(client), ("GET", "/openapi.json"), ("GET", "/nothing"), ("PUT", "/v1/search")]
    client.headers.pop("authorization")
    for method, path in asked:
        response = client.request(method, path)
        if path in ("/healthz", "/readyz"):
            assert response.status_code == 200
            continue
        assert "This server requires an API key" in problem(response, 401), path
        assert response.headers["www-authenticate"] == 'Bearer realm="crosslook"'
    assert client.post("/v1/search", json=RED, headers=header).status_code == 200


def test_the_page_is_served_to_anyone_and_nothing_is_reached_through_it(serve: Serve, secret: Secret) -> None:
    """The page and its files need no key; paths below them reach nothing else."""
    secret("read")
    client = serve(host=OPEN, base_url=ELSEWHERE)
    for path in ("/", "/static/app.js"):
        assert client.get(path).status_code == 200
    for path, status in (("/static/../v1/images/1", 401), ("/static/%2e%2e/v1/images/1", 404)):
        assert "path" not in problem(client.get(path), status)
    for path in ("/index", "/static", "/healthz/", "/HEALTHZ", "/v1//search"):
        assert client.get(path, follow_redirects=False).status_code == 401, path


@pytest.mark.parametrize(
    "given",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer cl_" + "A" * 43,
        "Basic {secret}",
        "{secret}",
        "Bearer {secret}x",
        "Bearer {secret},",
        "Bearer  {secret} {secret}",
        "Bearer " + "x" * 50_000,
        "Bearer \xff\xfe",
    ],
)
def test_an_invalid_key_is_refused(serve: Serve, secret: Secret, given: str) -> None:
    """Invalid keys of any form get 401, and the response does not repeat them."""
    key = secret("read")["Authorization"].removeprefix("Bearer ")
    response = serve(host=OPEN, base_url=ELSEWHERE).post(
        "/v1/search", json=RED, headers={b"Authorization": given.replace("{secret}", key).encode("latin-1")}
    )
    assert "Invalid API key" in problem(response, 401)
    assert response.headers["www-authenticate"] == 'Bearer realm="crosslook", error="invalid_token"'
    assert key not in response.text


def test_a_key_is_sent_once_and_in_its_header(serve: Serve, secret: Secret) -> None:
    """Two Authorization headers or a key in the URL are refused; the scheme is case-insensitive."""
    header = secret("read")
    key = header["Authorization"].removeprefix("Bearer ")
    client = serve(host=OPEN, base_url=ELSEWHERE)
    twice = [("Authorization", f"Bearer {key}"), ("Authorization", "Bearer cl_other")]
    problem(client.get("/v1/images/1", headers=twice), 401)
    problem(client.get("/v1/images/1", params={"key": key, "access_token": key}), 401)
    assert client.get("/v1/images/1", headers={"Authorization": f"bearer {key}"}).status_code == 200


def test_a_key_that_was_revoked_a_moment_ago_is_refused(serve: Serve, store: KeyStore) -> None:
    """A running server refuses a revoked key, and accepts a new one, from the next request on."""
    client = serve(host=OPEN, base_url=ELSEWHERE)
    first, second = store.add("first", ["read"]), store.add("second", ["read"])
    for _, key in (first, second):
        assert client.get("/v1/images/1", headers={"Authorization": f"Bearer {key}"}).status_code == 200
    KeyStore(store._directory).revoke("first")
    problem(client.get("/v1/images/1", headers={"Authorization": f"Bearer {first[1]}"}), 401)
    assert client.get("/v1/images/1", headers={"Authorization": f"Bearer {second[1]}"}).status_code == 200
    (store._directory / FILE).unlink()
    problem(client.get("/v1/images/1", headers={"Authorization": f"Bearer {second[1]}"}), 401)


def test_a_damaged_file_of_keys_opens_nothing(serve: Serve, store: KeyStore, secret: Secret) -> None:
    """A damaged key file refuses every request with 503; its path is only in the log."""
    header = secret("write")
    client = serve(host=OPEN, base_url=ELSEWHERE)
    (store._directory / FILE).write_text("{")
    for headers in (header, {}):
        detail = problem(client.post("/v1/search", json=RED, headers=headers), 503)
        assert "API keys cannot be checked" in detail
        assert str(store._directory) not in detail
    assert client.get("/healthz").status_code == 200


def test_a_local_server_asks_for_keys_only_when_told(serve: Serve, store: KeyStore, secret: Secret) -> None:
    """Existing keys are not required on loopback unless `require_keys` is set; then any host name is accepted."""
    header = secret("read")
    assert serve().post("/v1/search", json=RED).status_code == 200
    (store._directory / FILE).touch()
    protected = serve(require_keys=True, base_url=ELSEWHERE)
    problem(protected.post("/v1/search", json=RED), 401)
    assert protected.post("/v1/search", json=RED, headers=header).status_code == 200


def test_reading_keys_search_and_change_nothing(serve: Serve, secret: Secret) -> None:
    """A `read` key may use GET and the search routes; every other request needs `write`."""
    reads, writes = secret("read"), secret("write")
    client = serve(host=OPEN, base_url=ELSEWHERE)
    upload = {"image": ("x.png", picture())}
    for header in (reads, writes):
        assert client.post("/v1/search", json=RED, headers=header).status_code == 200
        assert client.post("/v1/captions", headers=header, files=upload).status_code == 200
        assert client.get("/v1/images/1/file", headers=header).status_code == 200
        assert client.head("/v1/images/1/file", headers=header).status_code == 200
    changing = [("POST", "/v1/index"), ("DELETE", "/v1/jobs/1"), ("POST", "/v1/new"), ("PUT", "/v1/x"), ("PATCH", "/")]
    tricks = [("POST", "/v1/search/"), ("POST", "/v1//search"), ("DELETE", "/v1/images/1"), ("DELETE", "/healthz/x")]
    for method, path in changing + tricks:
        response = client.request(method, path, headers=reads)
        if path != "/":
            assert "The API key lacks the scope write" in problem(response, 403), path
            assert 'error="insufficient_scope", scope="write"' in response.headers["www-authenticate"]
        assert client.request(method, path, headers=writes).status_code not in (401, 403)


def test_a_method_cannot_be_smuggled_past_the_scope(serve: Serve, secret: Secret) -> None:
    """Method override headers and fields have no effect."""
    client = serve(host=OPEN, base_url=ELSEWHERE)
    hidden = secret("read") | {"X-HTTP-Method-Override": "DELETE", "X-Method-Override": "POST"}
    assert client.get("/v1/images/1", headers=hidden).json()["id"] == 1


# --- rates ---


def test_the_page_does_not_count_towards_the_rate_limit(serve: Serve) -> None:
    """The page's files do not count towards the rate limit."""
    client = serve(rate=1)
    for _ in range(3):
        assert client.get("/").status_code == client.get("/static/app.js").status_code == 200
    assert client.get("/v1/stats").status_code == 200
    assert client.get("/v1/stats").status_code == 429


def test_a_client_that_asks_too_often_is_told_when_to_come_back(serve: Serve) -> None:
    """Above the limit requests get 429 with Retry-After; each response has the remaining quota; probes are exempt."""
    client = serve(rate=3)
    for left in (2, 1, 0):
        response = client.post("/v1/search", json=RED)
        assert response.status_code == 200
        assert response.headers["ratelimit"].startswith(f'"client";r={left};t=')
        assert response.headers["ratelimit-policy"] == '"client";q=3;w=60'
    refused = client.post("/v1/search", json=RED)
    assert "Rate limit of 3 requests per minute exceeded" in problem(refused, 429)
    assert 1 <= int(refused.headers["retry-after"]) <= 61
    for _ in range(5):
        assert client.get("/healthz").status_code == 200


def test_requests_are_counted_before_anything_is_done(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invalid requests count too, and refused ones do not reach the engine."""
    client = serve(rate=2)
    problem(client.post("/v1/search", json={}), 422)
    problem(client.get("/nothing"), 404)
    monkeypatch.setattr(SearchEngine, "search_images", lambda *_, **__: pytest.fail("was worked on"))
    problem(client.post("/v1/search", json=RED), 429)


def test_keys_are_counted_each_for_itself_and_guesses_by_address(serve: Serve, secret: Secret) -> None:
    """A key has one limit from all addresses; invalid keys count by address."""
    first, second = secret("read"), secret("read")
    client = serve(rate=2, host=OPEN, base_url=ELSEWHERE)
    for header in (first, second):
        assert [client.get("/v1/images/1", headers=header).status_code for _ in range(3)] == [200, 200, 429]
    guesses = [client.get("/v1/images/1", headers={"Authorization": f"Bearer cl_{i}"}).status_code for i in range(3)]
    assert guesses == [401, 401, 429]


def test_no_client_chooses_its_own_address(serve: Serve) -> None:
    """X-Forwarded-For is trusted only from configured proxies; its last address that is not a proxy counts."""
    stranger = serve(rate=1)
    answers = [stranger.get("/v1/images/1", headers={"X-Forwarded-For": f"10.0.0.{i}"}).status_code for i in range(2)]
    assert answers == [200, 429]
    proxied = serve(rate=1, proxies=["127.0.0.1", "192.0.2.0/24"])
    forwarded = ["10.0.0.1", "10.0.0.2", "6.6.6.6, 10.0.0.1", "10.0.0.1, 192.0.2.7"]
    answers = [proxied.get("/v1/images/1", headers={"X-Forwarded-For": who}).status_code for who in forwarded]
    assert answers == [200, 200, 429, 429]


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.9", None, "10.0.0.9"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "203.0.113.5, 10.0.0.1", "203.0.113.5"),
        ("10.0.0.1", "203.0.113.5, nonsense", "10.0.0.1"),
        ("10.0.0.9", "203.0.113.5", "10.0.0.9"),
        ("2001:db8:1:2:3:4:5:6", None, "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", None, "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("", None, "unknown"),
    ],
)
def test_the_client_address_behind_a_proxy(peer: str, forwarded: str | None, client: str) -> None:
    """The client is the forwarded address, or the /64 network for IPv6."""
    headers = [] if forwarded is None else [(b"x-forwarded-for", forwarded.encode())]
    scope = {"type": "http", "client": (peer, 1) if peer else None, "headers": headers}
    assert client_address(scope, (ipaddress.ip_network("10.0.0.1"),)) == client


def test_the_rate_window_slides() -> None:
    """A granted request counts for a minute, a refused one not at all."""
    now = [0.0]
    rates = Rates(2, lambda: now[0])
    allowances = []
    for second in (0, 50, 59.5, 60, 61, 110):
        now[0] = second
        allowance = rates.count("one")
        allowances.append((allowance.granted, allowance.headers["RateLimit"], allowance.headers.get("Retry-After")))
    assert allowances == [
        (True, '"client";r=1;t=60', None),
        (True, '"client";r=0;t=10', None),
        (False, '"client";r=0;t=1', "1"),
        (True, '"client";r=0;t=50', None),
        (False, '"client";r=0;t=49', "49"),
        (True, '"client";r=0;t=10', None),
    ]
    assert rates.count("another").granted


def test_clients_that_went_away_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle clients are evicted; clients of the last minute are kept."""
    monkeypatch.setattr("api.server.gate.rates.EVICTION_THRESHOLD", 10)
    now = [0.0]
    rates = Rates(5, lambda: now[0])
    for number in range(9):
        rates.count(str(number))
    now[0] = 61
    rates.count("last")
    assert len(rates._times) == 10
    rates.count("new")
    assert set(rates._times) == {"last", "new"}
    assert rates.count("last").headers["RateLimit"].startswith('"client";r=3')


# --- settings ---


@pytest.mark.parametrize(
    "origin", ["*", "null", "https://*.example", "photos.example", "https://a.example/", "ftp://a"]
)
def test_origins_are_named_one_by_one(origin: str) -> None:
    """`*` and malformed origins are refused as settings."""
    with pytest.raises(SettingsError, match="cors_origins: an origin is https://NAME"):
        read_settings({"cors_origins": [origin]}, environment={})


def test_proxies_are_addresses_or_networks() -> None:
    """Host names are refused as proxies."""
    settings = read_settings({}, environment={"CROSSLOOK_PROXIES": "10.0.0.1, fd00::/8"})
    assert settings.proxies == ["10.0.0.1/32", "fd00::/8"]
    with pytest.raises(SettingsError, match="proxies: an address such as"):
        read_settings({"proxies": ["proxy.example"]}, environment={})


# --- content types ---


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/xml", "x"])
def test_json_is_taken_where_it_is_said_to_be_json(client: TestClient, kind: str | None) -> None:
    """JSON bodies need Content-Type: application/json, which pages cannot send without CORS."""
    headers = {} if kind is None else {"content-type": kind}
    detail = problem(client.post("/v1/search", content=b'{"text": "red"}', headers=headers), 415)
    assert "Send Content-Type: application/json" in detail


def test_forms_are_taken_where_they_are_said_to_be_forms(client: TestClient) -> None:
    """Form routes accept only form types; a charset parameter is allowed."""
    assert "multipart/form-data" in problem(client.post("/v1/captions", json={"image_id": 1}), 415)
    raw = client.post("/v1/captions", content=picture(), headers={"content-type": "image/png"})
    assert "multipart/form-data" in problem(raw, 415)
    kind = {"content-type": "Application/JSON; charset=utf-8"}
    assert client.post("/v1/search", content=b'{"text": "red"}', headers=kind).status_code == 200


def test_a_malformed_form_is_a_problem(client: TestClient) -> None:
    """Malformed multipart bodies get a problem document."""
    for kind, body in {
        "multipart/form-data": b"x",
        "multipart/form-data; boundary=": b"x",
        "multipart/form-data; boundary=b": b"--b\r\nContent-Disposition: form-data; name=image",
        "multipart/form-data; boundary=c": b"--c\r\n\r\nx\r\n--c--\r\n",
    }.items():
        response = client.post("/v1/captions", content=body, headers={"content-type": kind})
        problem(response, response.status_code)
        assert response.status_code in (400, 422)
    many = b"".join(b'--b\r\nContent-Disposition: form-data; name="k"\r\n\r\n1\r\n' for _ in range(2000)) + b"--b--\r\n"
    kind = "multipart/form-data; boundary=b"
    assert "Too many fields" in problem(client.post("/v1/captions", content=many, headers={"content-type": kind}), 400)


def test_openapi_declares_keys_only_if_they_are_required(serve: Serve, secret: Secret) -> None:
    """OpenAPI declares API keys only if the server requires them."""
    asked = serve(host=OPEN, base_url=ELSEWHERE).get("/openapi.json", headers=secret("read")).json()
    assert asked["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    assert "securitySchemes" not in serve().get("/openapi.json").json()["components"]
