"""Surroundings that programs meet: accounts without a home, streams of any encoding, odd settings."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from indexer import Catalog
from tests.api.conftest import Run
from tests.api.server.conftest import Serve

ROOT = Path(__file__).parents[2]
NOBODY = 4242
"""A user id without an entry in the password file."""

Program = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every user may read and write."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


@pytest.fixture
def program(public: Path) -> Program:
    """Run the program in a process and a folder of its own, with few variables."""

    def call(*arguments: object, prefix: tuple[str, ...] = (), **variables: str) -> subprocess.CompletedProcess[bytes]:
        command = [*prefix, sys.executable, "-m", "api.cli", *map(str, arguments)]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | variables
        return subprocess.run(command, cwd=public, env=environment, capture_output=True, check=False)

    return call


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account without a home directory, in this process."""

    def unknown(_user: object) -> None:
        raise KeyError

    for name in ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.setattr("pwd.getpwnam", unknown)


@pytest.mark.usefixtures("homeless")
def test_a_server_needs_no_home_directory(serve: Serve, indexed: Catalog) -> None:
    """Thumbnails are made anew for each request, in no folder."""
    client: TestClient = serve()
    for address in ("/v1/images/1/thumbnail", "/v1/images/1/thumbnail?size=1024", "/v1/images/1/file"):
        assert client.get(address).status_code == 200
    assert client.post("/v1/captions", data={"image_id": 1}).status_code == 200
    assert sorted(path.name for path in indexed.directory.parent.iterdir()) == ["index", "pictures"]


@pytest.mark.parametrize("root", ["~", "~/pictures", "~nobody-of-this-name", "~nobody-of-this-name/x"])
def test_commands_need_no_home_directory(run: Run, folder: Path, homeless: None, tmp_path: Path, root: str) -> None:
    """Captions and explanations need none, and a path below one that is not known is an error in one line."""
    del homeless
    picture = folder / "red.png"
    assert run("captions", picture, "--json").json["hits"]
    assert run("explain", picture, "a red thing", "--out", tmp_path / "why.png").status == 0
    assert run("index", folder).status == 0
    assert run("search", "red", "--where", f"folder = {root}").status == 0
    assert run("models", "list").status == 0
    done = run("serve", "--root", root)
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert f"roots: there is no such home directory; write the whole path, not '{root}'" in done.err
    assert list((tmp_path / "here").iterdir()) == [tmp_path / "here" / "crosslook-index"]


@pytest.mark.slow
def test_a_user_without_an_entry_can_index_and_search(program: Program, public: Path, folder: Path) -> None:
    """As in a container started with a user id of its own."""
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0 or setpriv is None:
        pytest.skip("only root can become another user")
    folder = shutil.copytree(folder, public / "pictures")
    rights = "+dac_override,+dac_read_search"  # to read root's Python and packages
    prefix = (setpriv, "--reuid", str(NOBODY), "--clear-groups", "--inh-caps", rights, "--ambient-caps", rights)
    for arguments in (("index", folder), ("search", "red", "--json"), ("captions", folder / "red.png"), ("doctor",)):
        done = program(*arguments, prefix=prefix)
        assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "utf-8"])
def test_a_search_can_be_piped_in_any_encoding(program: Program, folder: Path, encoding: str) -> None:
    """The table loses no line, and JSON is JSON."""
    shutil.copy(folder / "red.png", folder / "Отпуск Café.png")
    (folder / "red.png").unlink()
    assert program("index", folder, PYTHONIOENCODING=encoding).returncode == 0
    table = program("search", "red", PYTHONIOENCODING=encoding)
    assert table.returncode == 0
    assert len(table.stdout.decode(encoding).splitlines()) == 5
    document = json.loads(program("search", "red", "--json", PYTHONIOENCODING=encoding).stdout)
    assert str(folder / "Отпуск Café.png") in [hit["path"] for hit in document["hits"]]


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_an_ipv6_address_may_have_brackets(
    run: Run, indexed: Catalog, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """The address that is printed always has them."""
    monkeypatch.setattr("api.cli.serve.run", lambda *_: None)
    monkeypatch.setattr("api.server.logs.log_to", lambda **_: None)
    done = run("serve", "--host", host, "--port", "0", "--index", indexed.directory)
    assert done.status == 0, done.err
    assert "at http://[::1]:" in done.err


def test_empty_variables_are_not_set(run: Run, indexed: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compose file passes on variables that may be empty; what is no number is called that."""
    monkeypatch.setattr("api.cli.serve.run", lambda *_: None)
    monkeypatch.setattr("api.server.logs.log_to", lambda **_: None)
    for name in ("PORT", "HOST", "ROOTS", "ROOT_PATH", "CONFIG", "RATE", "REQUIRE_KEYS", "INDEX"):
        monkeypatch.setenv(f"CROSSLOOK_{name}", "")
    assert run("stats").err.startswith("crosslook: no index in crosslook-index;")
    assert run("serve", "--port", "0", "--index", indexed.directory).status == 0
    monkeypatch.setenv("CROSSLOOK_PORT", "http")
    done = run("serve", "--index", indexed.directory)
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert "the environment: port: Input should be a valid integer" in done.err
