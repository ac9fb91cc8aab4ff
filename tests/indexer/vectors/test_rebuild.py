"""Building a vector index in a child process."""

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
    """Build few vectors in a child process too; return the commands that were run."""
    commands: list[list[str]] = []
    start = subprocess.Popen

    def note(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        commands.append(command)
        return start(command, **options)

    monkeypatch.setattr("indexer.vectors.rebuild.APART", 2)
    monkeypatch.setattr("indexer.vectors.rebuild.subprocess.Popen", note)
    return commands


def without_files(catalog: Catalog) -> None:
    """Delete all files of the vector index."""
    for path in (catalog.directory / "vectors").iterdir():
        path.unlink()


def script(folder: Path, program: str) -> str:
    """An executable shell script that ignores its arguments."""
    file = folder / "python"
    file.write_text(f"#!/bin/sh\n{program}\n")
    file.chmod(0o700)
    return str(file)


def test_many_vectors_are_built_in_a_child_process(
    indexed: Catalog, encoder: FakeEncoder, apart: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """This process builds nothing, and opens the new files, from any working directory."""
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
        hits = VectorIndex.open(indexed, Kind.IMAGE).search(query, 3)
    np.testing.assert_array_equal(hits[1], expected[1])
    refresh(indexed, threading.Event())
    assert len(apart) == 1, "what is there is not built again"


@pytest.mark.parametrize("stranger", ["none", "/bin/false", ""])
def test_without_a_child_process_this_one_builds(
    indexed: Catalog, apart: list[list[str]], monkeypatch: pytest.MonkeyPatch, stranger: str
) -> None:
    """Python is missing, does not find crosslook, or its path is unknown."""
    del apart
    without_files(indexed)
    monkeypatch.setattr(sys, "executable", stranger)
    assert refresh(indexed, threading.Event())
    assert stored_structure(indexed, Kind.IMAGE) is not None


def test_a_path_with_a_separator_is_not_passed_on(
    indexed: Catalog, apart: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """PYTHONPATH cannot contain it, and would import code from another folder."""
    without_files(indexed)
    monkeypatch.setattr(sys, "path", [*sys.path, f"{tmp_path}/a{os.pathsep}b"])
    assert refresh(indexed, threading.Event())
    assert stored_structure(indexed, Kind.IMAGE) is not None
    assert not apart


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("kill -9 $$", "SIGKILL ended the process, perhaps because memory ran out"),
        ("echo Traceback >&2; echo MemoryError >&2; exit 70", "MemoryError"),
    ],
)
def test_a_failure_of_the_child_is_logged(
    *,
    indexed: Catalog,
    apart: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    program: str,
    reason: str,
) -> None:
    """This process does not try again, because it would fail too, or use too much memory; nothing is lost."""
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


def test_the_child_ends_with_its_parent(indexed: Catalog, tmp_path: Path) -> None:
    """A killed server leaves no process behind."""
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


def test_the_index_of_an_inactive_model_is_built(
    indexed: Catalog, apart: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it fails, the last line of its error is logged."""
    other = FakeEncoder(name="other", fingerprint="e" * 64, turn=1)
    add_model(indexed, other)
    view = indexed.for_model("other", "e" * 64)
    assert stored_structure(view, Kind.IMAGE) is not None
    without_files(indexed)
    monkeypatch.setattr("indexer.vectors.index.VectorIndex.rebuild", lambda *_: None)
    refresh(view, threading.Event())
    assert stored_structure(view, Kind.IMAGE) is not None
    assert stored_structure(indexed, Kind.IMAGE) is None
    assert {command[-1] for command in apart} == {"e" * 64}


def test_stopping_a_run_kills_the_child(
    indexed: Catalog, apart: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Searches use the earlier files, and no process is left."""
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


def test_replacing_a_file_does_not_affect_an_open_index(indexed: Catalog, encoder: FakeEncoder) -> None:
    """Files are mapped, so an open index works after they are deleted."""
    index = VectorIndex.open(indexed, Kind.IMAGE)
    if sys.platform == "linux":
        assert f"{indexed.directory}/vectors/image-" in Path("/proc/self/maps").read_text()
    query = encoder.encode_texts(["red"]).vectors
    previous = index.search(query, 5)
    without_files(indexed)
    VectorIndex.rebuild(indexed, Kind.IMAGE)
    np.testing.assert_array_equal(index.search(query, 5)[1], previous[1])
