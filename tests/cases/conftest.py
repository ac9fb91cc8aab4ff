"""The fixtures of the command line and the server, and the folder of the painted pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api.conftest import client, engine, run
from tests.api.server.conftest import serve

__all__ = ["client", "engine", "run", "serve"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of the painted pictures."""
    return tmp_path / "pictures"
