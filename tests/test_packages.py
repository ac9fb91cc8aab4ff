"""The four rooms are packages of this repository, with a sorted public surface."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("api", "encoders", "indexer", "search")


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_loads_from_this_repository(room: str) -> None:
    """No installed package of the same name shadows a room."""
    module = importlib.import_module(room)
    assert module.__file__ is not None
    assert Path(module.__file__).parent == ROOT / room


@pytest.mark.parametrize("room", ["encoders", "encoders.datasets", "encoders.training", "indexer", "search"])
def test_the_public_surface_is_sorted_and_there(room: str) -> None:
    """Every name of `__all__` exists, capitals first, then in order."""
    module = importlib.import_module(room)
    assert list(module.__all__) == sorted(module.__all__, key=lambda n: (not n.isupper(), n[0].islower(), n))
    assert all(hasattr(module, name) for name in module.__all__)


def test_starting_the_program_loads_no_heavy_library() -> None:
    """`crosslook --help` must not wait for torch, FAISS, FastAPI or matplotlib."""
    code = "import sys, api.cli.main; print(*{'torch', 'faiss', 'fastapi', 'matplotlib', 'timm'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
