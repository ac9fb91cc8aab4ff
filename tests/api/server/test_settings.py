"""Every setting by flag, environment and file, and its row in the documentation."""

from __future__ import annotations

import json
import re
import socket
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from api.cli.main import load_command
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
    "root_path": "--root-path",
    "roots": "--root",
    "threads": "--threads",
    "waiting": "--waiting",
    "upload_bytes": "--upload-bytes",
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
"""The flag of each setting; only `--require-keys` takes no value."""

VALUES: dict[str, tuple[object, object, object]] = {
    "host": ("localhost", "::1", "127.0.0.1"),
    "port": (8001, 8002, 8003),
    "root_path": ("/a", "/b/c", "/d"),
    "roots": (["/a", "/b"], ["/c", "/d"], ["/e", "/f"]),
    "threads": (1, 2, 3),
    "waiting": (1, 2, 3),
    "upload_bytes": (2001, 2002, 2003),
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

Serve = Callable[..., Settings]


@pytest.fixture
def served(run: Run, indexed: Catalog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Serve:
    """A function that gives the settings `crosslook serve` would use, for some flags, variables and a file."""
    received: list[Settings] = []
    KeyStore(indexed.directory).add("somebody", ["read"])  # for settings that require keys
    monkeypatch.setattr("api.cli.serve._listen", lambda *_: socket.create_server(("127.0.0.1", 0)))
    monkeypatch.setattr("api.cli.serve.run", lambda _engine, settings, _listener: received.append(settings))
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
        return received.pop()

    return serve


def value(settings: Settings, name: str) -> object:
    """A setting as JSON."""
    return settings.model_dump(mode="json")[name]


def flags_for(name: str) -> list[object]:
    """Command line arguments that set it."""
    by_flag = VALUES[name][0]
    if by_flag is True:
        return [FLAGS[name]]
    values = by_flag if isinstance(by_flag, list) else [by_flag]
    return [argument for value in values for argument in (FLAGS[name], value)]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_flag_wins_over_environment_over_file_over_default(served: Serve, name: str) -> None:
    """Each source overrides the next, for every setting."""
    by_flag, by_environment, by_file = VALUES[name]
    assert value(served(), name) == DEFAULTS[name]
    assert value(served(file={name: by_file}), name) == by_file
    assert value(served(file={name: by_file}, environment={name: by_environment}), name) == by_environment
    assert value(served(*flags_for(name), file={name: by_file}), name) == by_flag


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_flag_wins_over_all_at_once(served: Serve, name: str) -> None:
    """With all three sources set, the flag counts."""
    by_flag, by_environment, by_file = VALUES[name]
    assert value(served(*flags_for(name), file={name: by_file}, environment={name: by_environment}), name) == by_flag


def test_a_negative_flag_overrides_the_environment(served: Serve) -> None:
    """`--no-require-keys` turns off what the variable turned on."""
    assert served(environment={"require_keys": True}).require_keys
    assert not served("--no-require-keys", environment={"require_keys": True}).require_keys


def test_a_misspelt_variable_is_reported(run: Run, indexed: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt `CROSSLOOK_REQUIRE_KEYS` must not leave users believing that keys are required."""
    monkeypatch.setenv("CROSSLOOK_REQUIRE_KEY", "true")
    monkeypatch.setenv("CROSSLOOK_PORT", "0")
    monkeypatch.setattr("api.cli.serve.run", lambda *_: None)
    monkeypatch.setattr("api.server.logs.log_to", lambda **_: None)
    err = run("serve", "--index", indexed.directory).err
    assert "CROSSLOOK_REQUIRE_KEY is not a setting" in err
    assert err.count("is not a setting") == 1


def test_the_flags_of_serve_are_these() -> None:
    """Every flag is a setting, except those for index, model, device and settings file."""
    options = {option for parameter in load_command("serve").params for option in parameter.opts}
    assert options - {"--index", "--model", "--device", "--config", "--help", "-h"} == set(FLAGS.values())


def test_an_empty_variable_is_not_set(tmp_path: Path) -> None:
    """A compose file passes on variables that may be empty; an empty variable does empty a list."""
    (tmp_path / "settings.toml").write_text('port = 9000\nroots = ["/srv"]\n')
    environment = {"CROSSLOOK_PORT": "", "CROSSLOOK_HOST": "", "CROSSLOOK_REQUIRE_KEYS": "", "CROSSLOOK_ROOTS": ""}
    settings = read_settings({}, config=tmp_path / "settings.toml", environment=environment)
    assert (settings.port, settings.host, settings.require_keys) == (9000, "127.0.0.1", False)
    assert settings.roots == []


@pytest.mark.parametrize(
    ("name", "given", "meaning"),
    [
        ("host", "[::1]", "::1"),
        ("host", "::1", "::1"),
        ("host", "photos.example", "photos.example"),
        ("root_path", "/", ""),
        ("root_path", "photos/", "/photos"),
        ("root_path", "/my/photos", "/my/photos"),
    ],
)
def test_equal_ways_of_writing_a_setting(name: str, given: str, meaning: str) -> None:
    """An IPv6 address may have brackets, and a path slashes at its ends."""
    assert getattr(read_settings({name: given}, environment={}), name) == meaning
    assert getattr(read_settings({}, environment={PREFIX + name.upper(): given}), name) == meaning


def test_a_root_is_a_whole_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It may begin at a home directory or at the current folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    settings = read_settings({"roots": [Path("~/pictures"), Path("more")]}, environment={})
    assert settings.roots == [tmp_path / "pictures", tmp_path / "more"]


def test_the_environment_names_the_file_unless_a_flag_does(tmp_path: Path) -> None:
    """`--config` overrides `CROSSLOOK_CONFIG`."""
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
        ({}, {"CROSSLOOK_PORT": "http"}, None, "the environment: port: Input should be a valid integer"),
        ({}, {"CROSSLOOK_ROOTS": "/srv,~nobody-of-this-name/x"}, None, "the environment: roots: there is no such home"),
        ({"host": "[::1]:8000"}, {}, None, "the command line: host: an address or name without a port"),
        ({"host": "localhost:8000"}, {}, None, "set `port` to choose one, not 'localhost:8000'"),
        ({"host": "http://localhost"}, {}, None, "the command line: host: "),
        ({"root_path": "/photos?x"}, {}, None, "the command line: root_path: a path of letters"),
        ({}, {"CROSSLOOK_LOG_FORMAT": "xml"}, None, "the environment: log_format: "),
        ({}, {}, "port = 70000", "settings.toml: port: "),
        ({}, {}, "prot = 8000", "unknown setting 'prot'"),
        ({}, {}, "port =", "settings.toml is not TOML"),
        ({}, {"CROSSLOOK_CONFIG": "/nowhere/settings.toml"}, None, "/nowhere/settings.toml cannot be read"),
    ],
)
def test_an_error_names_the_source_and_the_setting(
    tmp_path: Path, flags: dict[str, object], environment: dict[str, str], file: str | None, words: str
) -> None:
    """Invalid values, unknown names and unreadable files are SettingsErrors that say where to look."""
    path = None
    if file is not None:
        path = tmp_path / "settings.toml"
        path.write_text(file)
    with pytest.raises(SettingsError, match=re.escape(words)):
        read_settings(flags, config=path, environment=environment)


def toml(setting: object) -> str:
    """A value as TOML."""
    return json.dumps(setting)


def row(name: str) -> str:
    """A setting's row in the table of docs/SERVING.md."""
    meaning = Settings.model_fields[name].description
    return f"| `{name}` | `{FLAGS[name]}` | `{PREFIX}{name.upper()}` | `{toml(DEFAULTS[name])}` | {meaning} |"


def test_the_table_of_settings_is_complete() -> None:
    """docs/SERVING.md has one row per setting, in order."""
    lines = (ROOT / "docs" / "SERVING.md").read_text(encoding="utf-8").splitlines()
    start = lines.index("| setting | flag | environment | default | meaning |") + 2
    rows = lines[start : lines.index("", start)]
    assert rows == [row(name) for name in Settings.model_fields]


def test_the_example_file_holds_every_default() -> None:
    """The file changes nothing as it is, nor when every setting in it is uncommented."""
    text = (ROOT / "deploy" / "crosslook.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text) == {}
    settings = [line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ") and " = " in line]
    assert tomllib.loads("\n".join(settings)) == DEFAULTS
    for name, field in Settings.model_fields.items():
        assert f"# {field.description}\n# {name} = {toml(DEFAULTS[name])}\n" in text
