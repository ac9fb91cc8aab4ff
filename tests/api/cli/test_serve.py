"""`crosslook serve` before it starts serving."""

from __future__ import annotations

import socket

import pytest

from api.server.settings import Settings
from tests.api.conftest import Run


def test_a_port_that_is_taken_is_one_sentence(run: Run) -> None:
    """A port in use fails with status 1 before the model loads."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "--port", port)
    assert done.status == 1
    assert f"cannot serve at 127.0.0.1, port {port}: " in done.err
    assert "give another --port" in done.err
    assert done.err.count("\n") == 1


def test_a_server_without_an_index_says_how_to_make_one(run: Run) -> None:
    """Serving a missing index fails and points to `crosslook index`."""
    done = run("serve", "--port", "0")
    assert done.status == 1
    assert "make one with: crosslook index" in done.err


def test_the_help_shows_what_each_setting_means_and_its_default(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Descriptions and defaults come from `Settings`, and none is lost as markup."""
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 400)
    done = run("serve", "--help")
    assert done.status == 0
    for name, field in Settings.model_fields.items():
        repeated = isinstance(field.default, list)
        assert f" {field.description}{' May be repeated.' if repeated else ''} " in done.out
        if not repeated:
            flag = f"--{name.replace('_', '-')} "
            lines = done.out.splitlines()
            start = next(number for number, line in enumerate(lines) if flag in line)
            assert any(f"[default: ({field.default})]" in line for line in lines[start : start + 2]), name
