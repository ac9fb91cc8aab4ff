"""The process that builds a vector index's files."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer import Catalog, VectorIndex, add_model
from indexer.catalog.records import Kind
from indexer.vectors.files import stored_structure
from indexer.vectors.rebuild import refresh
from tests.fakes import FakeEncoder


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Few vectors count as many; the commands that were run."""
    commands: list[list[str]] = []
    start = subprocess.Popen

    def note(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        commands.append(command)
        return start(command, **options)

    monkeypatch.setattr("indexer.vectors.rebuild.APART", 2)
    monkeypatch.setattr("indexer.vectors.rebuild.subprocess.Popen", note)
    return commands


def without_files(catalog: Catalog) -> None:
    """Remove all that was built."""
    for path in (catalog.directory / "vectors").iterdir():
        path.unlink()


def script(folder: Path, program: str) -> str:
    """A file that runs as a shell program, whatever it is asked to do."""
    file = folder / "python"
    file.write_text(f"#!/bin/sh\n{program}\n")
    file.chmod(0o700)
    return str(file)


def test_many_vectors_are_built_elsewhere(
    indexed: Catalog, encoder: FakeEncoder, apart: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing is built in this process; what the other one wrote is searched. Where one stands does not matter."""
    without_files(indexed)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "numpy.py").write_text("raise SystemExit('a stranger')")
    query = encoder.encode_texts(["red"]).vectors
    expected = VectorIndex.open(indexed, Kind.IMAGE).search(query, 3)
    without_files(indexed)
    with monkeypatch.context() as patch:
        patch.setattr("indexer.vectors.segment.build", lambda *_: pytest.fail("built here"))
        patch.setattr(
            "indexer.vectors.index.VectorIndex.rebuild", lambda *_: None
        )  # of captions, of which there are none
        refresh(indexed, threading.Event())
        assert stored_structure(indexed, Kind.IMAGE) is not None
        found = VectorIndex.open(indexed, Kind.IMAGE).search(query, 3)
    np.testing.assert_array_equal(found[1], expected[1])
    refresh(indexed, threading.Event())
    assert len(apart) == 1, "what is there is not built again"


@pytest.mark.parametrize("stranger", ["none", "/bin/false", ""])
def test_where_no_process_can_be_had_it_is_built_here(
    indexed: Catalog, apart: list[list[str]], monkeypatch: pytest.MonkeyPatch, stranger: str
) -> None:
    """A Python that is not there, that does not find crosslook, or that nobody knows the place of."""
    del apart
    without_files(indexed)
    monkeypatch.setattr(sys, "executable", stranger)
    assert refresh(indexed, threading.Event())
    assert stored_structure(indexed, Kind.IMAGE) is not None


def test_a_folder_that_would_be_read_as_two_is_not_handed_on(
    indexed: Catalog, apart: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """PYTHONPATH cannot hold it; code from elsewhere might run."""
    without_files(indexed)
    monkeypatch.setattr(sys, "path", [*sys.path, f"{tmp_path}/a{os.pathsep}b"])
    assert refresh(indexed, threading.Event())
    assert stored_structure(indexed, Kind.IMAGE) is not None
    assert not apart


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("kill -9 $$", "SIGKILL ended it, perhaps for want of memory"),
        ("echo Traceback >&2; echo MemoryError >&2; exit 70", "MemoryError"),
    ],
)
def test_a_process_that_fails_is_told_of(
    *,
    indexed: Catalog,
    apart: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    program: str,
    reason: str,
) -> None:
    """It is not tried once more in this one, which would fail as well, or grow; nothing is lost."""
    del apart
    without_files(indexed)
    monkeypatch.setattr(sys, "executable", script(tmp_path, program))
    warnings: list[str] = []
    monkeypatch.setattr("indexer.vectors.rebuild.logger.warning", lambda text, *args: warnings.append(text % args))
    assert refresh(indexed, threading.Event())
    assert stored_structure(indexed, Kind.IMAGE) is None
    assert len(warnings) == 1
    assert f"the index over 5 images was not built ({reason})" in warnings[0]
    assert len(VectorIndex.open(indexed, Kind.IMAGE)) == 5


def test_it_ends_with_the_process_that_started_it(indexed: Catalog, tmp_path: Path) -> None:
    """A server that is killed leaves nothing at work on its index."""
    arguments = [str(indexed.directory), "image", "fake", "f" * 64]
    slow = (
        "import time; from indexer.vectors import rebuild; rebuild.VectorIndex.rebuild = lambda *_: time.sleep(600); "
    )
    command, root = [sys.executable, "-c", slow + "rebuild.main()", *arguments], Path(__file__).parents[3]
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=said, cwd=root)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(2)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(60) == 70, (tmp_path / "said").read_text()


def test_of_another_model_it_is_built_too(
    indexed: Catalog, apart: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second model's vectors, while the first is active; a line of that error comes back."""
    other = FakeEncoder(name="other", fingerprint="e" * 64, turn=1)
    add_model(indexed, other)
    seen = indexed.for_model("other", "e" * 64)
    assert stored_structure(seen, Kind.IMAGE) is not None
    without_files(indexed)
    monkeypatch.setattr("indexer.vectors.index.VectorIndex.rebuild", lambda *_: None)
    refresh(seen, threading.Event())
    assert stored_structure(seen, Kind.IMAGE) is not None
    assert stored_structure(indexed, Kind.IMAGE) is None
    assert {command[-1] for command in apart} == {"e" * 64}


def test_it_is_stopped_with_the_run(
    indexed: Catalog, apart: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever cancels does not wait for a million vectors; searches use what is there, and no process is left."""
    without_files(indexed)
    (tmp_path / "id").touch()
    monkeypatch.setattr(sys, "executable", script(tmp_path, f"echo $$ > {tmp_path}/id; exec sleep 600"))
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(refresh, indexed, stop)
        until = time.monotonic() + 60
        while not (number := (tmp_path / "id").read_text().strip()) and time.monotonic() < until:
            time.sleep(0.01)
        stop.set()
        assert building.result(60) is False
    assert stored_structure(indexed, Kind.IMAGE) is None
    with pytest.raises(ProcessLookupError):
        os.kill(int(number), 0)
    assert not refresh(indexed, stop), "no process is started for a run that was stopped"
    assert len(apart) == 1
    assert len(VectorIndex.open(indexed, Kind.IMAGE)) == 5


def test_what_replaces_a_file_takes_nothing_from_a_search(indexed: Catalog, encoder: FakeEncoder) -> None:
    """Files are mapped: an index that is held open answers as before when its file is gone."""
    held = VectorIndex.open(indexed, Kind.IMAGE)
    if sys.platform == "linux":
        assert f"{indexed.directory}/vectors/image-" in Path("/proc/self/maps").read_text()
    query = encoder.encode_texts(["red"]).vectors
    before = held.search(query, 5)
    without_files(indexed)
    VectorIndex.rebuild(indexed, Kind.IMAGE)
    np.testing.assert_array_equal(held.search(query, 5)[1], before[1])
