"""Indexing jobs over HTTP."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response

from api.server import Settings, create_app
from api.server.work.jobs import MAX_JOBS, Job, JobProgress, Jobs
from encoders.features import ImageFeatures, Pixels
from indexer import Catalog, IndexReport, index_paths
from indexer.catalog.contents import count_items
from indexer.ingest.lock import indexing_lock
from indexer.ingest.writing import Failure
from search import SearchEngine
from tests.api.server.test_app import problem
from tests.conftest import Paint
from tests.fakes import FakeEncoder

Client = Callable[..., TestClient]
LONG = 30.0  # seconds; nothing waits so long unless something is wrong


class Slow(FakeEncoder):
    """A model that blocks in the middle of a batch until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.go_on = threading.Event(), threading.Event()
        self.wait = self.go_on.wait

    def encode_images(self, pixels: Pixels) -> ImageFeatures:
        """Block, then encode."""
        self.inside.set()
        assert self.wait(LONG)
        return super().encode_images(pixels)


@pytest.fixture
def slow() -> Iterator[Slow]:
    """A blocking model, released at the end of the test."""
    made = Slow()
    yield made
    made.go_on.set()


@pytest.fixture
def serve(indexed: Catalog) -> Iterator[Client]:
    """Clients of applications over the five pictures."""
    opened: list[tuple[TestClient, SearchEngine]] = []

    def make(*roots: Path, encoder: FakeEncoder | None = None) -> TestClient:
        engine = SearchEngine.open(indexed.directory, encoder=encoder or FakeEncoder())
        app = create_app(engine, Settings(roots=list(roots)))
        client = TestClient(app, base_url="http://localhost", raise_server_exceptions=False)
        client.__enter__()
        opened.append((client, engine))
        return client

    yield make
    for client, engine in opened:
        client.__exit__(None, None, None)
        engine.close()


def started(client: TestClient, **body: Any) -> str:
    """Start a job, and return its URL."""
    response = client.post("/v1/index", json=body)
    assert response.status_code == 202, response.text
    assert response.headers["location"] == f"/v1/jobs/{response.json()['id']}"
    return response.headers["location"]


def jobs_of(client: TestClient) -> Jobs:
    """The jobs of a client's application."""
    jobs: Jobs = cast(FastAPI, client.app).state.service.jobs
    return jobs


def ended(client: TestClient, address: str) -> dict[str, Any]:
    """Wait until a job has ended, and return its document."""
    thread = jobs_of(client)._thread
    assert thread is not None
    thread.join(LONG)
    document: dict[str, Any] = client.get(address).json()
    assert document["state"] not in ("queued", "running")
    return document


def paths_in(response: Response, *paths: Path) -> list[Path]:
    """The server's paths that a response discloses."""
    return [path for path in paths if str(path) in response.text]


def test_roots_have_names_and_counts_but_no_path(serve: Client, folder: Path, tmp_path: Path) -> None:
    """Ids are stable across restarts and other roots, and no path is disclosed."""
    (tmp_path / "other").mkdir()
    response = serve(folder, tmp_path / "other").get("/v1/roots")
    first, second = response.json()
    assert (first["name"], first["images"], second["name"], second["images"]) == ("pictures", 5, "other", 0)
    assert not paths_in(response, tmp_path)
    assert serve(folder).get("/v1/roots").json() == [first]


def test_missing_images_and_folders_with_a_common_prefix_do_not_count(
    serve: Client, folder: Path, tmp_path: Path, paint: Paint
) -> None:
    """Missing images, and images in `pictures2` for the root `pictures`, do not count."""
    paint("../pictures2/yellow.png", "yellow")
    client = serve(folder, tmp_path / "pictures2")
    (folder / "red.png").unlink()
    ended(client, started(client))
    assert [root["images"] for root in client.get("/v1/roots").json()] == [4, 1]


def test_a_job_indexes_what_is_new_and_searches_find_it(serve: Client, folder: Path, paint: Paint) -> None:
    """The report has the counts of `crosslook index`."""
    client = serve(folder)
    paint("more/yellow.png", "yellow")
    paint("@eaDir/yellow.png", "yellow")
    job = ended(client, started(client))
    assert (job["report"]["left_out"]["folders"], job["report"]["excluded"]) == ({"@eaDir": 1}, 0)
    assert (job["state"], job["phase"], job["reason"], job["seconds_left"]) == ("done", "images", None, None)
    assert (job["done"], job["total"]) == (1, 1)
    assert (job["report"]["added"], job["report"]["unchanged"], job["report"]["failed"]) == (1, 5, 0)
    assert job["started"] <= job["ended"]
    hit = client.post("/v1/search", json={"text": "yellow"}).json()["hits"][0]
    assert Path(hit["path"]).name == "yellow.png"


def test_only_the_roots_that_are_named_are_indexed(serve: Client, tmp_path: Path, paint: Paint) -> None:
    """Other roots are not scanned."""
    paint("../a/yellow.png", "yellow")
    paint("../b/yellow.png", "yellow", seed=5)
    client = serve(tmp_path / "a", tmp_path / "b")
    first, _ = client.get("/v1/roots").json()
    job = ended(client, started(client, roots=[first["id"]]))
    assert (job["roots"], job["report"]["seen"]) == ([first["id"]], 1)
    assert [root["images"] for root in client.get("/v1/roots").json()] == [1, 0]


@pytest.mark.parametrize(("prune", "removed"), [(False, 0), (True, 1)])
def test_missing_images_are_removed_only_with_prune(serve: Client, folder: Path, *, prune: bool, removed: int) -> None:
    """Missing images are removed only with `prune`."""
    (folder / "red.png").unlink()
    client = serve(folder)
    report = ended(client, started(client, prune=prune))["report"]
    assert (report["missing"], report["removed"]) == (1, removed)


def test_failures_have_a_root_and_a_relative_path(serve: Client, folder: Path, tmp_path: Path) -> None:
    """A failure has the innermost root and the path relative to it."""
    for name in ("bad.png", "deep/er/bad.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"no picture" + name.encode())
    client = serve(folder, folder / "deep")
    address = started(client)
    job = ended(client, address)
    outer, inner = (root["id"] for root in client.get("/v1/roots").json())
    assert {(failure["root"], failure["path"]) for failure in job["failures"]} == {
        (outer, "bad.png"),
        (inner, "er/bad.jpg"),
    }
    assert all(failure["reason"] for failure in job["failures"])
    assert job["report"]["failed"] == 2
    assert not paths_in(client.get(address), tmp_path)
    assert "failures" not in client.get("/v1/jobs").json()[0]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"roots": ["/etc"]}, 422, "No such root"),
        ({"roots": ["../pictures"]}, 422, "No such root"),
        ({"roots": []}, 422, "body.roots"),
        ({"roots": "all"}, 422, "body.roots"),
        ({"roots": [1]}, 422, "body.roots"),
        ({"paths": ["/etc"]}, 422, "paths"),
        ({"prune": "perhaps"}, 422, "body.prune"),
    ],
)
def test_paths_and_unknown_roots_are_refused(
    serve: Client, folder: Path, body: dict[str, Any], status: int, words: str
) -> None:
    """Unknown root ids and paths are refused, and no job starts."""
    client = serve(folder)
    assert words in problem(client.post("/v1/index", json=body), status)
    assert client.get("/v1/jobs").json() == []


def test_without_roots_nothing_can_be_indexed(serve: Client) -> None:
    """Without roots, indexing is refused, and the message says who can configure some."""
    assert "set `roots`" in problem(serve().post("/v1/index", json={}), 422)


def test_one_job_runs_at_a_time_while_searches_go_on(serve: Client, folder: Path, paint: Paint, slow: Slow) -> None:
    """A second job is refused with the id of the first, while searches work."""
    client = serve(folder, encoder=slow)
    paint("yellow.png", "yellow")
    address = started(client)
    assert slow.inside.wait(LONG)
    running = client.get(address).json()
    assert (running["state"], running["phase"], running["done"], running["total"]) == ("running", "images", 0, 1)
    refused = client.post("/v1/index", json={})
    assert running["id"] in problem(refused, 409)
    assert refused.json()["type"].endswith(":indexing")
    assert refused.headers["location"] == address
    assert len(client.post("/v1/search", json={"text": "red"}).json()["hits"]) == 5
    assert "crosslook_indexing_running 1.0" in client.get("/metrics").text
    slow.go_on.set()
    assert ended(client, address)["state"] == "done"
    assert ended(client, started(client))["state"] == "done"
    assert [job["state"] for job in client.get("/v1/jobs").json()] == ["done", "done"]


def test_a_cancelled_job_keeps_the_batch_in_flight(serve: Client, folder: Path, paint: Paint, slow: Slow) -> None:
    """A cancelled job commits its batch; cancelling again has no effect, and the next job does the rest."""
    for seed in range(40):
        paint(f"many/{seed}.png", "yellow", seed=seed + 1)
    client = serve(folder, encoder=slow)
    address = started(client)
    assert slow.inside.wait(LONG)
    cancelled = client.delete(address)
    assert (cancelled.status_code, cancelled.json()["state"], cancelled.json()["cancelling"]) == (202, "running", True)
    slow.go_on.set()
    job = ended(client, address)
    assert (job["state"], job["cancelling"], job["report"]["added"]) == ("cancelled", False, 32)
    assert client.delete(address).json() == job
    assert ended(client, started(client))["report"]["added"] == 8


def test_shutting_down_cancels_at_a_commit_and_waits(indexed: Catalog, folder: Path, paint: Paint, slow: Slow) -> None:
    """After shutdown the job has ended, and its committed work is kept."""
    for seed in range(40):
        paint(f"many/{seed}.png", "yellow", seed=seed + 1)
    with SearchEngine.open(indexed.directory, encoder=slow) as busy:
        with TestClient(create_app(busy, Settings(roots=[folder])), base_url="http://localhost") as client:

            def until_stopped(timeout: float | None = None) -> bool:
                return jobs_of(client).all()[0].stop.wait(timeout)

            slow.wait = until_stopped
            started(client)
            job = jobs_of(client).all()[0]
            assert slow.inside.wait(LONG)
        assert job.report is not None
        assert (job.state, job.report.added) == ("cancelled", 32)
    assert count_items(indexed)["image"] == 37


def test_a_job_that_starts_during_the_shutdown_is_cancelled(serve: Client, folder: Path, paint: Paint) -> None:
    """It indexes nothing, or the shutdown would not wait for it."""
    paint("yellow.png", "yellow")
    client = serve(folder)
    jobs_of(client).close()
    job = ended(client, started(client))
    assert (job["state"], job["report"]) == ("cancelled", None)


def test_reasons_of_failures_have_no_paths(
    serve: Client, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths of the roots are replaced by their names."""

    def failing(*arguments: Any, **options: Any) -> IndexReport:
        failure = Failure(str(folder / "a.png"), f"{folder}/a.png points to {folder}/b.png")
        return replace(index_paths(*arguments, **options), failed=[failure])

    monkeypatch.setattr("api.server.work.jobs.index_paths", failing)
    client = serve(folder)
    address = started(client)
    (failure,) = ended(client, address)["failures"]
    assert (failure["path"], failure["reason"]) == ("a.png", "pictures/a.png points to pictures/b.png")
    assert not paths_in(client.get(address), tmp_path)


def test_a_locked_index_is_a_failure_with_the_process_id(
    serve: Client, indexed: Catalog, folder: Path, tmp_path: Path
) -> None:
    """The failure names the process, but not the path of the index."""
    client = serve(folder)
    with indexing_lock(indexed.directory):
        address = started(client)
        job = ended(client, address)
    assert job["state"] == "failed"
    assert job["reason"] == f"the index is being indexed by process {os.getpid()}; wait for it, or stop it"
    assert not paths_in(client.get(address), tmp_path)


def test_a_missing_root_is_a_failure_without_its_path(serve: Client, tmp_path: Path) -> None:
    """The failure names the root without its path."""
    client = serve(tmp_path / "unplugged")
    address = started(client)
    assert ended(client, address)["reason"] == "no such file or folder: unplugged"
    assert not paths_in(client.get(address), tmp_path)


def test_an_unexpected_error_fails_a_job_without_details(
    serve: Client, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unexpected error fails the job without details; the next job can start."""

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a secret path: /home/me")

    client = serve(folder)
    with monkeypatch.context() as patch:
        patch.setattr("api.server.work.jobs.index_paths", fail)
        job = ended(client, started(client))
    assert job["state"] == "failed"
    assert "Internal error. Search the server log for this job id." in job["reason"]
    assert "secret" not in job["reason"]
    assert ended(client, started(client))["state"] == "done"


def test_unknown_jobs_are_not_found(serve: Client) -> None:
    """Unknown ids get 404, invalid ones 422."""
    client = serve()
    for call in (client.get, client.delete):
        assert "No job has this id" in problem(call("/v1/jobs/" + "0" * 16), 404)
        problem(call("/v1/jobs/nonsense"), 422)
        problem(call("/v1/jobs/" + "..%2f" * 3), 404)


def test_the_last_hundred_jobs_are_remembered(serve: Client, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest jobs are listed first, and older ones are forgotten."""
    monkeypatch.setattr("api.server.work.jobs.MAX_JOBS", 3)
    client = serve(folder)
    made = []
    for _ in range(5):
        made.append(started(client))
        ended(client, made[-1])
    assert MAX_JOBS == 100
    assert [f"/v1/jobs/{job['id']}" for job in client.get("/v1/jobs").json()] == made[:1:-1]
    problem(client.get(made[0]), 404)


def test_an_index_without_a_model_yet_is_filled_by_a_job(
    tmp_path: Path, folder: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job fills an empty index with the engine's model, and it can be searched at once."""
    monkeypatch.setattr("search.active_model.load_encoder", lambda *_, **__: encoder)
    Catalog.open(tmp_path / "empty", create=True).close()
    with SearchEngine.open(tmp_path / "empty") as engine:
        app = create_app(engine, Settings(roots=[folder]))
        with TestClient(app, base_url="http://localhost") as client:
            assert ended(client, started(client))["report"]["added"] == 5
            assert len(client.post("/v1/search", json={"text": "red"}).json()["hits"]) == 5


def test_the_rate_is_that_of_the_phase_and_so_is_the_time_left() -> None:
    """Items done before the first report of a phase do not count."""
    times = iter([10.0, 12.0, 14.0, 20.0, 21.0])
    job = Job((), prune=False, clock=lambda: next(times))
    job.begin()
    assert job.progress == JobProgress("scan")
    steps = [("images", 0, 100), ("images", 20, 100), ("images", 60, 100), ("captions", 5, 10), ("captions", 8, 10)]
    measured = []
    for step in steps:
        job.advance(*step)
        measured.append((job.progress.rate, job.progress.seconds_left))
    assert measured == [(None, None), (10.0, 8.0), (15.0, 40 / 15), (None, None), (3.0, 2 / 3)]
