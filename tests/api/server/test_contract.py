"""The server conforms to its OpenAPI document: schemathesis tests every operation with valid and invalid data.

`contract_hooks.py` tells it what a schema cannot. Two processes ask at the same time; threads of one would be stopped
by a fault of Python 3.11 in `ast`, which Hypothesis uses (https://github.com/python/cpython/issues/106905).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from api.server.gate.keys import KeyStore
from indexer import Catalog, index_paths
from indexer.catalog.contents import count_items
from tests.api.server.test_process import LONG, ROOT, Server
from tests.fakes import FakeEncoder

LEAST = 10_000

SETTINGS = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 409, 413, 415, 422, 429]
"""
"""All with which data that does not fit may be refused: without this 413, for a body that is too large, is a fault."""

EXCLUDED = (
    "use_after_free",  # DELETE cancels a job, and its record stays: what it had done is worth knowing
)

Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def captioned(catalog: Catalog, folder: Path) -> Catalog:
    """An index of the five pictures, each with a caption."""
    for picture in list(folder.iterdir()):
        picture.with_suffix(".txt").write_text(f"a {picture.stem} thing\n")
    index_paths(catalog, FakeEncoder(), [folder])
    assert count_items(catalog) == {"image": 5, "caption": 5}
    return catalog


@pytest.fixture
def server(
    captioned: Catalog, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Server]:
    """A server over them with some settings; at the end its log must hold no errors."""
    settings: dict[str, str] = getattr(request, "param", {})
    for name, value in settings.items():
        monkeypatch.setenv(f"CROSSLOOK_{name.upper()}", value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if "require_keys" in settings:
        secret = KeyStore(captioned.directory).add("contract", ["read", "write"])[1]
        monkeypatch.setenv("CONTRACT_HEADERS", json.dumps({"Authorization": f"Bearer {secret}"}))
    started = Server(captioned.directory, "--root", folder)
    try:
        while started.client.get("/readyz").status_code != 200:
            pass
        with ThreadPoolExecutor(1) as pool:
            log = pool.submit(started.pipe("stderr").read)  # all the time, or a full pipe would hold the server up
            yield started
            started.process.terminate()
            assert started.process.wait(LONG) == 0
        assert '"level": "error"' not in log.result()
        assert "Traceback" not in log.result()
    finally:
        started.close()


@pytest.fixture
def ask(server: Server, tmp_path: Path) -> Ask:
    """Run schemathesis, and return its report."""
    headers: dict[str, str] = json.loads(os.environ.get("CONTRACT_HEADERS", "{}"))
    environment = os.environ | {
        "CONTRACT_URL": server.url,
        "CONTRACT_HEADERS": json.dumps(headers),
        "PYTHONPATH": str(ROOT),
        "SCHEMATHESIS_HOOKS": "tests.api.server.contract_hooks",
    }

    (tmp_path / "schemathesis.toml").write_text(SETTINGS)

    def run(seed: int, examples: int) -> dict[str, Any]:
        report = tmp_path / f"report-{seed}.json"
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json", "--no-color"]
        command += ["--checks", "all", "--exclude-checks", ",".join(EXCLUDED), "--continue-on-failure"]
        command += ["--phases", "examples,coverage,fuzzing,stateful", "--mode", "all", "--generation-database", "none"]
        command += ["--seed", str(seed), "--max-examples", str(examples), "--report-json-path", str(report)]
        for name, value in headers.items():
            command += ["--header", f"{name}: {value}"]
        ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        found: dict[str, Any] = json.loads(report.read_text())
        assert found["complete"]
        assert found["failures"] == found["errors"] == []
        assert found["operations"]["tested"] == found["operations"]["total"] > 20
        assert {name: phase["status"] for name, phase in found["phases"].items()} == dict.fromkeys(
            ("examples", "coverage", "fuzzing", "stateful"), "success"
        )
        return found

    return run


@pytest.mark.slow
def test_ten_thousand_requests_are_answered_as_documented(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    """No server error or undocumented response; valid data is accepted, invalid data refused."""
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(ask, (1, 2), (320, 320)))
    cases = sum(report["test_cases"]["generated"] for report in reports)
    with capsys.disabled():
        sys.stdout.write(f"\nschemathesis: {cases} cases, no failure\n")
    assert cases >= LEAST


@pytest.mark.slow
@pytest.mark.parametrize("server", [{"require_keys": "true"}], indirect=True)
def test_every_operation_that_wants_a_key_asks_for_it(ask: Ask, server: Server) -> None:
    """Every operation except the probes refuses a missing and a wrong key."""
    report = ask(3, 25)
    document = server.client.get("/openapi.json")
    assert document.status_code == 401
    headers = json.loads(os.environ["CONTRACT_HEADERS"])
    paths = server.client.get("/openapi.json", headers=headers).json()["paths"]
    operations = [(path, operation) for path, methods in paths.items() for operation in methods.values()]
    assert {path for path, operation in operations if not operation["security"]} == {"/healthz", "/readyz"}
    metrics = server.client.get("/metrics", headers=headers).text
    refused = re.findall(r'crosslook_requests_total\{.*status="401"\} (\S+)', metrics)
    assert sum(map(float, refused)) >= 2 * (len(operations) - 2)
    assert report["test_cases"]["generated"] > 500
