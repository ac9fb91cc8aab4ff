"""Output in any encoding, and to readers that are gone."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table

from api.cli.output import bar, message, print_json, print_table
from api.cli.streams import prepare_streams

ROOT = Path(__file__).parents[3]
NAME = "Отпуск – Café 🐶.jpg"  # noqa: RUF001  these very characters


class Pipe(io.TextIOWrapper):
    """A stream of an encoding, not of a terminal."""

    def __init__(self, encoding: str) -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding=encoding, newline="\n")

    @property
    def written(self) -> bytes:
        """All that was written to it."""
        self.flush()
        return self.bytes.getvalue()


def piped(monkeypatch: pytest.MonkeyPatch, encoding: str) -> Pipe:
    """Make stdout and stderr one pipe; not in a fixture, because pytest sets them once more before the test."""
    pipe = Pipe(encoding)
    monkeypatch.setattr("sys.stdout", pipe)
    monkeypatch.setattr("sys.stderr", pipe)
    return pipe


def write_everything() -> None:
    """Write a table with a bar, and a message."""
    prepare_streams()
    table = Table.grid(padding=(0, 2))
    table.add_row(bar(0.93), NAME)
    print_table(table)
    message(f"1 → {NAME} · 3 ms …")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "utf-8", "utf-16"])
def test_a_pipe_gets_utf_8_whatever_the_locale_is(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file name is lost, and no table ends in a traceback."""
    pipe = piped(monkeypatch, encoding)
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    write_everything()
    print_json({"path": NAME})
    text = pipe.written.decode("utf-8")
    assert text.count(NAME) == 3
    assert bar(0.93) in text


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_an_encoding_that_was_asked_for_is_kept(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it lacks is written in ASCII: bars and arrows as such, letters as escapes."""
    pipe = piped(monkeypatch, encoding)
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    write_everything()
    dash, accent = (r"\u2013", r"\xe9") if encoding == "ascii" else ("–", "é")  # noqa: RUF001  as above
    name = r"\u041e\u0442\u043f\u0443\u0441\u043a " + dash + " Caf" + accent + r" \U0001f436.jpg"
    dot, dots = (" - ", "...") if encoding == "ascii" else (" · ", "…")
    assert pipe.written.decode(encoding).splitlines() == [f"#########.  {name}", f"1 -> {name}{dot}3 ms {dots}"]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_json_is_valid_in_any_encoding(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in ASCII where the encoding is not Unicode."""
    pipe = piped(monkeypatch, encoding)
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    prepare_streams()
    print_json({"path": NAME})
    assert json.loads(pipe.written.decode("ascii")) == {"path": NAME}


def program(*arguments: str, stdout: int, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run the program in a process of its own."""
    command, variables = [sys.executable, "-m", "api.cli", *arguments], {"PYTHONPATH": str(ROOT)} | variables
    environment = os.environ | variables
    return subprocess.run(command, env=environment, stdout=stdout, stderr=subprocess.PIPE, check=False)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_help_and_errors_are_written_in_any_encoding(encoding: str, tmp_path: Path) -> None:
    """What typer writes itself, too."""
    done = program("search", "--help", stdout=subprocess.PIPE, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "--where" in done.stdout.decode(encoding)
    done = program("stats", "--index", str(tmp_path / "Отпуск"), stdout=subprocess.PIPE, PYTHONIOENCODING=encoding)
    assert done.returncode == 1
    assert b"no index in " in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_reader_that_is_gone_is_no_error() -> None:
    """As in `crosslook … | head -1`: the program ends without a word."""
    reader, writer = os.pipe()
    os.close(reader)
    done = program("doctor", "--json", stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


def test_closed_streams_are_no_error() -> None:
    """As in `crosslook … >&- 2>&-`."""
    command = f"{sys.executable} -m api.cli --help >&- 2>&-"
    done = subprocess.run(["/bin/sh", "-c", command], env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == 0
