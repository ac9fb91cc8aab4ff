"""The requests shown in README.md and docs/SERVING.md work as printed, except for the port."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer import Catalog
from tests.api.conftest import BANK
from tests.api.server.test_process import ROOT, Server
from tests.fakes import FakeEncoder

ADDRESS = "localhost:8000"
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/SERVING.md")}
REQUESTS = [line for page in PAGES.values() for line in re.findall(r"^\$ (curl .*)$", page, re.MULTILINE)]
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGES["README.md"], re.MULTILINE | re.DOTALL)


@pytest.fixture
def server(indexed: Catalog, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A ready server over the five pictures, in a folder with the index and the picture that the pages use."""
    shutil.copy(folder / "red.png", tmp_path / "photo.jpg")
    (tmp_path / "crosslook-index").symlink_to(indexed.directory)
    monkeypatch.chdir(tmp_path)
    started = Server(indexed.directory)
    assert started.event("ready")
    yield started
    started.close()


def test_the_pages_contain_examples() -> None:
    """The pages contain curl lines and programs, which the next tests run."""
    assert len(REQUESTS) >= 4
    assert len(PROGRAMS) >= 2
    assert all(ADDRESS in request for request in REQUESTS)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("line", REQUESTS)
def test_a_request_is_answered(server: Server, line: str) -> None:
    """Each curl line succeeds."""
    command = shlex.split(line.replace(ADDRESS, f"127.0.0.1:{server.port}"))
    done = subprocess.run([*command, "--fail-with-body"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert document.get("status") == "ready" or document["hits"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_runs(
    server: Server, program: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each Python example runs and prints hits."""
    monkeypatch.setattr("search.active_model.load_encoder", lambda *_, **__: FakeEncoder())
    monkeypatch.setattr("search.caption_search.caption_bank", lambda: BANK)
    exec(compile(program.replace(ADDRESS, f"127.0.0.1:{server.port}"), "README.md", "exec"), {})  # noqa: S102  ours
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 3
    assert all(re.fullmatch(r"/.*/\w+\.png 0\.\d+", line) for line in printed)
    if "heat.png" in program:
        assert Path("heat.png").read_bytes().startswith(b"\x89PNG")
