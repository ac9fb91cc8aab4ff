"""docs/SECURITY.md names a test for each of its claims."""

from __future__ import annotations

import re

import pytest

from tests.api.server.test_process import ROOT

PAGE = (ROOT / "docs" / "SECURITY.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.+?) \| (`.+`.*) \|$", PAGE.partition("## Protections and their tests")[2], re.MULTILINE)


def named() -> list[tuple[str, str]]:
    """File and name of every test in the tables; `…` stands for the previous file."""
    found, file = [], ""
    for _, cell in ROWS:
        for place, name in re.findall(r"`([^`]+)::(\w+)`", cell):
            file = file if place == "…" else place
            found.append((file, name))
    return found


def test_every_claim_names_a_test() -> None:
    """Each row of the tables names a test."""
    assert len(ROWS) > 30
    assert [line for line, cell in ROWS if "::test_" not in cell] == []


@pytest.mark.parametrize(("file", "name"), named())
def test_every_named_test_exists(file: str, name: str) -> None:
    """Every named test exists."""
    path = ROOT / file if file.startswith("tests/") else ROOT / "tests" / "api" / "server" / file
    assert f"\ndef {name}(" in path.read_text(encoding="utf-8")
