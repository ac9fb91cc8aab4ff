"""The first moments of the program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from api.cli.main import INTERRUPTED, main

ROOT = Path(__file__).parents[3]

PRESS = """
import os, signal, sys
class Press:  # Ctrl-C while a package is looked for
    def find_spec(self, name, *_):
        if name == "{package}":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Press())
sys.argv = ["crosslook", "stats"]
from api.cli.__main__ import start
start()
"""


def start(code: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run some code in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]


@pytest.mark.parametrize("package", ["typer", "PIL.Image", "sqlalchemy", "rich.table", "api.cli.index"])
def test_ctrl_c_is_quiet_while_the_program_loads(package: str) -> None:
    """Status 130 without a traceback, wherever it comes."""
    done = start(PRESS.format(package=package))
    assert (done.returncode, done.stdout, done.stderr) == (INTERRUPTED, "", "")


def test_ctrl_c_stays_ignored_in_the_background(tmp_path: Path) -> None:
    """Scripts start programs in the background so that Ctrl-C does not reach them."""
    ignoring = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN){PRESS.format(package='typer')}"
    done = start(ignoring, cwd=tmp_path)
    assert done.returncode == 1
    assert "no index" in done.stderr


@pytest.mark.parametrize("wrap", ["from", "while"])
def test_ctrl_c_that_a_library_wraps_is_quiet_too(monkeypatch: pytest.MonkeyPatch, wrap: str) -> None:
    """Python and libraries make it the cause of errors of their own."""

    def interrupted() -> None:
        try:
            signal.default_int_handler(signal.SIGINT, None)
        except KeyboardInterrupt as exc:
            if wrap == "from":
                raise ImportError("failed to load") from exc
            raise SystemError("failed to load")  # noqa: B904  as C extensions do

    monkeypatch.setattr("api.cli.main.app", interrupted)
    with pytest.raises(SystemExit) as exited:
        main()
    assert exited.value.code == 128 + signal.SIGINT


def test_an_unexpected_error_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of the program keeps its traceback."""

    def failing() -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr("api.cli.main.app", failing)
    with pytest.raises(RuntimeError, match="a fault"):
        main()
