"""Every setting: by flag, by the environment, in a file, and in the pages that tell of it."""

from __future__ import annotations

import json
import re
import socket
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from api.cli.main import app
from api.errors import SettingsError
from api.server.gate.keys import KeyStore
from api.server.settings import PREFIX, Settings, read_settings
from indexer import Catalog
from tests.api.conftest import Run

ROOT = Path(__file__).parent.parent.parent.parent
DEFAULTS = Settings().model_dump(mode="json")

FLAGS = {
    "host": "--host",
    "port": "--port",
    "roots": "--root",
    "threads": "--threads",
    "waiting": "--waiting",
    "upload_bytes": "--upload-bytes",
    "upload_pixels": "--upload-pixels",
    "thumbnail_bytes": "--thumbnail-bytes",
    "receive_seconds": "--receive-seconds",
    "rate": "--rate",
    "require_keys": "--require-keys",
    "proxies": "--proxy",
    "cors_origins": "--cors-origin",
    "log_format": "--log-format",
    "log_level": "--log-level",
    "shutdown_seconds": "--shutdown-seconds",
}
"""The flag of each; `--require-keys` alone takes no value, and has an opposite."""

VALUES: dict[str, tuple[object, object, object]] = {
    "host": ("localhost", "::1", "127.0.0.1"),
    "port": (8001, 8002, 8003),
    "roots": (["/a", "/b"], ["/c", "/d"], ["/e", "/f"]),
    "threads": (1, 2, 3),
    "waiting": (1, 2, 3),
    "upload_bytes": (2001, 2002, 2003),
    "upload_pixels": (1001, 1002, 1003),
    "thumbnail_bytes": (1, 2, 3),
    "rate": (1, 2, 3),
    "receive_seconds": (1, 2, 3),
    "require_keys": (True, False, True),
    "proxies": (["10.0.0.2/32", "10.0.0.3/32"], ["10.0.0.1/32", "fd00::/8"], ["10.0.0.0/24"]),
    "cors_origins": (["https://a.example", "https://b.example"], ["https://c.example"], ["https://d.example"]),
    "log_format": ("json", "text", "json"),
    "log_level": ("debug", "warning", "error"),
    "shutdown_seconds": (1, 2, 3),
}
"""Three values of each setting: by flag, by the environment, in a file."""

Told = Callable[..., Settings]


@pytest.fixture
def told(run: Run, indexed: Catalog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Told:
    """What `crosslook serve` would serve with, given flags, variables and a file."""
    taken: list[Settings] = []
    KeyStore(indexed.directory).add("somebody", ["read"])  # for those that ask for keys
    monkeypatch.setattr("api.cli.serve._listen", lambda *_: socket.create_server(("127.0.0.1", 0)))
    monkeypatch.setattr("api.cli.serve.run", lambda _engine, settings, _listener: taken.append(settings))
    monkeypatch.setattr("api.server.logs.log_to", lambda **_: None)

    def serve(
        *flags: object, environment: dict[str, object] | None = None, file: dict[str, object] | None = None
    ) -> Settings:
        for name, value in (environment or {}).items():
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            monkeypatch.setenv(PREFIX + name.upper(), text)
        if file is not None:
            path = tmp_path / "settings.toml"
            path.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in file.items()))
            flags = (*flags, "--config", path)
        done = run("serve", "--index", indexed.directory, *flags)
        assert done.status == 0, done.err
        return taken.pop()

    return serve


def value(settings: Settings, name: str) -> object:
    """A setting as JSON has it."""
    return settings.model_dump(mode="json")[name]


def given(name: str) -> list[object]:
    """What to say on the command line."""
    by_flag = VALUES[name][0]
    if by_flag is True:
        return [FLAGS[name]]
    return [part for one in (by_flag if isinstance(by_flag, list) else [by_flag]) for part in (FLAGS[name], one)]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_flag_wins_over_environment_over_file_over_default(told: Told, name: str) -> None:
    """For every setting there is."""
    by_flag, by_environment, by_file = VALUES[name]
    assert value(told(), name) == DEFAULTS[name]
    assert value(told(file={name: by_file}), name) == by_file
    assert value(told(file={name: by_file}, environment={name: by_environment}), name) == by_environment
    assert value(told(*given(name), file={name: by_file}), name) == by_flag


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_flag_wins_over_all_at_once(told: Told, name: str) -> None:
    """Over the environment, too; where a value is given thrice, the first alone counts."""
    by_flag, by_environment, by_file = VALUES[name]
    assert value(told(*given(name), file={name: by_file}, environment={name: by_environment}), name) == by_flag


def test_what_the_environment_asks_for_a_flag_takes_back(told: Told) -> None:
    """Of the one setting that is yes or no."""
    assert told(environment={"require_keys": True}).require_keys
    assert not told("--no-require-keys", environment={"require_keys": True}).require_keys


def test_a_variable_that_looks_like_a_setting_and_is_none_is_told(
    run: Run, indexed: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever misspells `CROSSLOOK_REQUIRE_KEYS` should not believe that keys are asked for."""
    monkeypatch.setenv("CROSSLOOK_REQUIRE_KEY", "true")
    monkeypatch.setenv("CROSSLOOK_PORT", "0")
    monkeypatch.setattr("api.cli.serve.run", lambda *_: None)
    monkeypatch.setattr("api.server.logs.log_to", lambda **_: None)
    told = run("serve", "--index", indexed.directory).err
    assert "CROSSLOOK_REQUIRE_KEY is no setting" in told
    assert told.count("is no setting") == 1


def test_the_flags_of_serve_are_these() -> None:
    """Beside those that are no settings of the server: which index, which model, which file."""
    command: Any = typer.main.get_command(app)
    options = {option for parameter in command.commands["serve"].params for option in parameter.opts}
    assert options - {"--index", "--model", "--device", "--config", "--help", "-h"} == set(FLAGS.values())


def test_an_empty_variable_is_not_set(tmp_path: Path) -> None:
    """A compose file passes on what may be empty; a list that is emptied on purpose stays empty."""
    (tmp_path / "settings.toml").write_text('port = 9000\nroots = ["/srv"]\n')
    environment = {"CROSSLOOK_PORT": "", "CROSSLOOK_HOST": "", "CROSSLOOK_REQUIRE_KEYS": "", "CROSSLOOK_ROOTS": ""}
    settings = read_settings({}, config=tmp_path / "settings.toml", environment=environment)
    assert (settings.port, settings.host, settings.require_keys) == (9000, "127.0.0.1", False)
    assert settings.roots == []


def test_the_environment_names_the_file_unless_a_flag_does(tmp_path: Path) -> None:
    """`CROSSLOOK_CONFIG`."""
    (tmp_path / "one.toml").write_text("port = 1\n")
    (tmp_path / "two.toml").write_text("port = 2\n")
    environment = {"CROSSLOOK_CONFIG": str(tmp_path / "one.toml")}
    assert read_settings({}, environment=environment).port == 1
    assert read_settings({}, config=tmp_path / "two.toml", environment=environment).port == 2


@pytest.mark.parametrize(
    ("flags", "environment", "file", "words"),
    [
        ({"threads": 0}, {}, None, "the command line: threads: "),
        ({}, {"CROSSLOOK_RATE": "many"}, None, "the environment: rate: "),
        ({}, {"CROSSLOOK_LOG_FORMAT": "xml"}, None, "the environment: log_format: "),
        ({}, {}, "port = 70000", "settings.toml: port: "),
        ({}, {}, "prot = 8000", "there is no setting 'prot'"),
        ({}, {}, "port =", "settings.toml is not TOML"),
        ({}, {"CROSSLOOK_CONFIG": "/nowhere/settings.toml"}, None, "/nowhere/settings.toml cannot be read"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_that_says_where_it_stands(
    tmp_path: Path, flags: dict[str, object], environment: dict[str, str], file: str | None, words: str
) -> None:
    """And a server does not start with it."""
    path = None
    if file is not None:
        path = tmp_path / "settings.toml"
        path.write_text(file)
    with pytest.raises(SettingsError, match=re.escape(words)):
        read_settings(flags, config=path, environment=environment)


def toml(setting: object) -> str:
    """A value as TOML has it."""
    return json.dumps(setting)


def row(name: str) -> str:
    """A setting's row of the table in docs/SERVING.md."""
    meaning = Settings.model_fields[name].description
    return f"| `{name}` | `{FLAGS[name]}` | `{PREFIX}{name.upper()}` | `{toml(DEFAULTS[name])}` | {meaning} |"


def test_the_table_of_settings_is_true() -> None:
    """A row for each, in their order, and none besides."""
    lines = (ROOT / "docs" / "SERVING.md").read_text(encoding="utf-8").splitlines()
    start = lines.index("| setting | flag | environment | default | meaning |") + 2
    rows = lines[start : lines.index("", start)]
    assert rows == [row(name) for name in Settings.model_fields]


def test_the_example_file_holds_every_default() -> None:
    """All commented out: read as it is it changes nothing, and without the comment signs neither."""
    text = (ROOT / "deploy" / "crosslook.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text) == {}
    settings = [line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ") and " = " in line]
    assert tomllib.loads("\n".join(settings)) == DEFAULTS
    for name, field in Settings.model_fields.items():
        assert f"# {field.description}\n# {name} = {toml(DEFAULTS[name])}\n" in text
