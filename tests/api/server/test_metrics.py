"""Prometheus metrics."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from api.server import create_app
from indexer import Catalog
from search import SearchEngine
from tests.fakes import FakeEncoder


def samples(client: TestClient) -> dict[tuple[str, ...], float]:
    """Every value by metric name and label values, ordered by label name."""
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(response.text)
    return {
        (s.name, *(s.labels[name] for name in sorted(s.labels))): s.value for family in families for s in family.samples
    }


def test_requests_are_counted_by_template_method_and_status(client: TestClient) -> None:
    """Arbitrary paths, ids and methods add no series."""
    for number in (1, 2, 98765):
        client.get(f"/v1/images/{number}")
    for path in ("/a", "/b", "/v1/nothing/at/all"):
        client.get(path)
    client.request("BREW", "/a")
    client.get("/healthz", headers={"host": "evil.example"})
    found = samples(client)
    assert found["crosslook_requests_total", "GET", "/v1/images/{image_id}", "200"] == 2
    assert found["crosslook_requests_total", "GET", "/v1/images/{image_id}", "404"] == 1
    assert found["crosslook_requests_total", "GET", "none", "404"] == 3
    assert found["crosslook_requests_total", "other", "none", "404"] == 1
    assert found["crosslook_requests_total", "GET", "none", "421"] == 1
    assert found["crosslook_request_seconds_count", "/v1/images/{image_id}"] == 3
    assert found["crosslook_request_seconds_sum", "/v1/images/{image_id}"] > 0
    assert not any("98765" in part for key in found for part in key)


def test_stages_of_answers_are_timed(client: TestClient) -> None:
    """Searches and caption searches record their stages."""
    client.post("/v1/search", json={"text": "red"})
    client.post("/v1/search", json={"text": "blue", "rerank": False})
    client.post("/v1/captions", data={"image_id": "1"})
    found = samples(client)
    assert found["crosslook_stage_seconds_count", "retrieve"] == 3
    assert found["crosslook_stage_seconds_count", "rerank"] == 2
    assert found["crosslook_stage_seconds_count", "bank"] == 1
    assert ("crosslook_stage_seconds_count", "total") not in found


def test_index_model_and_state_are_shown(client: TestClient) -> None:
    """Gauges show the current index, model and state."""
    found = samples(client)
    assert found["crosslook_index_images",] == 5
    assert found["crosslook_index_captions",] == 0
    assert found["crosslook_model_info", "f" * 64, "fake"] == 1
    assert found["crosslook_ready",] == 1
    for name in ("requests_running", "requests_waiting", "indexing_running"):
        assert found[f"crosslook_{name}",] == 0


def test_the_queue_is_shown_while_it_is_full(indexed: Catalog, encoder: FakeEncoder) -> None:
    """/metrics does not wait in the queue."""
    with SearchEngine.open(indexed.directory, encoder=encoder) as engine:
        app = create_app(engine)
        app.state.service.work.accepted = 32 + 7
        found = samples(TestClient(app, base_url="http://localhost"))
    assert (found["crosslook_requests_running",], found["crosslook_requests_waiting",]) == (32, 7)


class Counting(FakeEncoder):
    """A model that counts batch sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.batch_sizes: dict[int, int] = {1: 10, 3: 2, 16: 1, 100: 1}


def test_batch_sizes_are_a_histogram(indexed: Catalog) -> None:
    """Batch sizes of the loaded model are a histogram."""
    with SearchEngine.open(indexed.directory, encoder=Counting()) as engine:
        client = TestClient(create_app(engine), base_url="http://localhost")
        assert samples(client)["crosslook_text_batch_sentences_count",] == 0
        client.post("/v1/search", json={"text": "red"})
        found = samples(client)
    bounds = {key[1]: value for key, value in found.items() if key[0] == "crosslook_text_batch_sentences_bucket"}
    assert bounds == {"1.0": 10, "2.0": 10, "4.0": 12, "8.0": 12, "16.0": 13, "32.0": 13, "+Inf": 14}
    assert found["crosslook_text_batch_sentences_sum",] == 10 + 6 + 16 + 100


def test_each_application_has_its_own_metrics(client: TestClient, engine: SearchEngine) -> None:
    """Each application has its own registry."""
    client.get("/healthz")
    other = samples(TestClient(create_app(engine), base_url="http://localhost"))
    assert ("crosslook_requests_total", "GET", "/healthz", "200") not in other


def test_metrics_work_without_the_catalog(client: TestClient, indexed: Catalog) -> None:
    """With an unreadable catalog, /metrics still reports that the server is not ready."""
    (indexed.directory / "catalog.db").rename(indexed.directory / "elsewhere.db")
    found = samples(client)
    assert found["crosslook_ready",] == 0
    assert ("crosslook_index_images",) not in found


@pytest.mark.parametrize("package", ["prometheus_client", "structlog"])
def test_the_command_line_does_not_load_what_only_a_server_needs(package: str) -> None:
    """`crosslook --help` imports no server library."""
    code = f"import sys, api.cli; sys.exit({package!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_metrics_that_the_guide_names_are_there(client: TestClient) -> None:
    """Every metric that the guide names exists, and the guide names every metric."""
    client.post("/v1/search", json={"text": "red"})
    text = (Path(__file__).parent.parent.parent.parent / "docs" / "SERVING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"crosslook_\w+", text))
    metrics = client.get("/metrics").text
    assert len(named) > 10
    assert {name for name in named if f"\n{name}" not in metrics and f"# TYPE {name} " not in metrics} == set()
    families = set(re.findall(r"# TYPE (\w+) ", metrics))
    assert {name for name in families if name not in text and not name.endswith("_created")} == set()
