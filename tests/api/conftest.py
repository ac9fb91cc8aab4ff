"""The command line and the HTTP application over the quick model."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.cli.main import main
from api.server import Settings, create_app
from indexer import Catalog
from search import SearchEngine
from tests.fakes import FakeEncoder

BANK = ("a red thing", "a green thing", "a blue thing", "white")


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)


Run = Callable[..., Done]


def press_ctrl_c() -> None:
    """Call this process's handler, as Ctrl-C does; a real signal could end the process that runs the tests."""
    handler = signal.getsignal(signal.SIGINT)
    assert callable(handler)
    handler(signal.SIGINT, None)


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], encoder: FakeEncoder, tmp_path: Path
) -> Run:
    """Run `crosslook` with some arguments, over the quick model and in an empty folder."""
    for module in ("evaluate", "index", "models", "search", "serve"):
        monkeypatch.setattr(f"api.cli.{module}.load_encoder", lambda *_, **__: encoder)
    monkeypatch.setattr("search.active_model.load_encoder", lambda *_, **__: encoder)
    monkeypatch.setattr("search.caption_search.caption_bank", lambda: BANK)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CROSSLOOK_INDEX", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def call(*arguments: object) -> Done:
        monkeypatch.setattr("sys.argv", ["crosslook", *map(str, arguments)])
        capsys.readouterr()
        status = 0
        try:
            main()
        except SystemExit as exc:
            status = int(exc.code or 0)
        captured = capsys.readouterr()
        return Done(status, captured.out, captured.err)

    return call


@pytest.fixture
def engine(indexed: Catalog, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch) -> Iterator[SearchEngine]:
    """An engine over the five pictures, with a small caption bank."""
    monkeypatch.setattr("search.caption_search.caption_bank", lambda: BANK)
    with SearchEngine.open(indexed.directory, encoder=encoder) as opened:
        yield opened


@pytest.fixture
def client(engine: SearchEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[TestClient]:
    """A client on this machine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    app = create_app(engine, Settings(upload_bytes=200_000))
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as opened:
        yield opened
