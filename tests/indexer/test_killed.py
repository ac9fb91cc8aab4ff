"""`kill -9` at any moment: the next run ends with the same index as an undisturbed one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from indexer import Catalog, Kind, VectorIndex, index_paths
from tests.conftest import Paint
from tests.fakes import FakeEncoder

ROOT = Path(__file__).parent.parent.parent
PROGRAM = """
import os, signal, sys
from pathlib import Path
from indexer import Catalog, index_paths
from tests.fakes import FakeEncoder

class Dying(FakeEncoder):
    def encode_images(self, pixels):
        if self.images_encoded >= int(sys.argv[3]):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().encode_images(pixels)

with Catalog.open(Path(sys.argv[1]), create=True) as catalog:
    index_paths(catalog, Dying(), [Path(sys.argv[2])], batch_size=4)
"""


def content(directory: Path) -> dict[str, bytes]:
    """Every file name with its vector and regions."""
    with Catalog.open(directory) as catalog:
        ids, vectors = catalog.vectors(Kind.IMAGE)
        _, states = catalog.features(Kind.IMAGE, [int(i) for i in ids])
        records = catalog.images([int(i) for i in ids])
        index = VectorIndex.open(catalog, Kind.IMAGE)
        assert index.stamp == catalog.vector_stamp(Kind.IMAGE)
        return {
            str(records[int(i)].path): v.tobytes() + s.tobytes() for i, v, s in zip(ids, vectors, states, strict=True)
        }


@pytest.mark.parametrize("survived", [0, 4, 8])
def test_a_killed_run_loses_only_the_batch_in_flight(paint: Paint, tmp_path: Path, survived: int) -> None:
    """What was committed stays; a further run gives what an undisturbed run gives."""
    for i in range(10):
        paint(f"{i}.png", ("red", "blue", "green")[i % 3], seed=i)
    pictures, broken, whole = tmp_path / "pictures", tmp_path / "broken", tmp_path / "whole"
    command = [sys.executable, "-c", PROGRAM, str(broken), str(pictures), str(survived)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == -signal.SIGKILL
    with Catalog.open(broken) as catalog:
        assert catalog.stats().images == survived
        catalog.check()
        report = index_paths(catalog, FakeEncoder(), [pictures], batch_size=4)
        assert (report.unchanged, report.added) == (survived, 10 - survived)
    with Catalog.open(whole, create=True) as catalog:
        index_paths(catalog, FakeEncoder(), [pictures], batch_size=4)
    assert content(broken) == content(whole)
