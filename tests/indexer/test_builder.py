"""The process that builds a vector index's files."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer import Catalog, CatalogError, Kind, VectorIndex, vector_choice
from indexer.builder import refresh
from tests.fakes import FakeEncoder


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Few vectors count as many; the commands that were run."""
    commands: list[list[str]] = []
    start = subprocess.Popen

    def note(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        commands.append(command)
        return start(command, **options)

    monkeypatch.setattr("indexer.builder.APART", 2)
    monkeypatch.setattr("indexer.builder.subprocess.Popen", note)
    return commands


def without_files(catalog: Catalog) -> None:
    """Remove all that was built."""
    for path in (catalog.directory / "vectors").iterdir():
        path.unlink()


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
        patch.setattr("indexer.body.build", lambda *_: pytest.fail("built here"))
        patch.setattr("indexer.vectors.VectorIndex.rebuild", lambda *_: None)  # of captions, of which there are none
        refresh(indexed, threading.Event())
        assert vector_choice(indexed, Kind.IMAGE) is not None
        found = VectorIndex.open(indexed, Kind.IMAGE).search(query, 3)
    np.testing.assert_array_equal(found[1], expected[1])
    refresh(indexed, threading.Event())
    assert len(apart) == 1, "what is there is not built again"


def test_where_no_process_can_be_had_it_is_built_here(
    indexed: Catalog, apart: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A Python that is not there, or that does not find crosslook."""
    for stranger in (str(tmp_path / "none"), "/bin/false"):
        without_files(indexed)
        monkeypatch.setattr(sys, "executable", stranger)
        refresh(indexed, threading.Event())
        assert vector_choice(indexed, Kind.IMAGE) is not None
    assert len(apart) == 2


def test_a_process_that_is_killed_says_so(
    indexed: Catalog, apart: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is not tried once more in this one, which would end as well for want of memory; nothing is lost."""
    del apart
    without_files(indexed)
    killed = tmp_path / "python"
    killed.write_text("#!/bin/sh\nkill -9 $$\n")
    killed.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(killed))
    with pytest.raises(CatalogError, match=r"5 images was ended by SIGKILL.*crosslook rebuild --index"):
        refresh(indexed, threading.Event())
    assert len(VectorIndex.open(indexed, Kind.IMAGE)) == 5


def test_it_is_stopped_with_the_run(
    indexed: Catalog, apart: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever cancels does not wait for a million vectors; searches use what is there, and no process is left."""
    without_files(indexed)
    slow = tmp_path / "python"
    slow.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/id\nexec sleep 600\n")
    slow.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(slow))
    stop = threading.Event()
    building = threading.Thread(target=refresh, args=(indexed, stop))
    building.start()
    while not (tmp_path / "id").exists():
        time.sleep(0.01)
    stop.set()
    building.join(60)
    assert not building.is_alive()
    assert vector_choice(indexed, Kind.IMAGE) is None
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "id").read_text()), 0)
    assert len(apart) == 1
    assert len(VectorIndex.open(indexed, Kind.IMAGE)) == 5


def test_what_replaces_a_file_takes_nothing_from_a_search(indexed: Catalog, encoder: FakeEncoder) -> None:
    """Files are mapped: an index that is held open answers as before when its file is gone."""
    held = VectorIndex.open(indexed, Kind.IMAGE)
    query = encoder.encode_texts(["red"]).vectors
    before = held.search(query, 5)
    without_files(indexed)
    VectorIndex.rebuild(indexed, Kind.IMAGE)
    np.testing.assert_array_equal(held.search(query, 5)[1], before[1])
