"""The systemd unit."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest

from api.server import Settings
from api.server.settings import PREFIX

UNIT = Path(__file__).parent.parent.parent / "deploy" / "crosslook.service"

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """A copy of the unit with a program that exists on this machine."""
    text = UNIT.read_text()
    assert text.count("ExecStart=/opt/crosslook/bin/crosslook ") == 1
    path = tmp_path / "crosslook.service"
    path.write_text(text.replace("ExecStart=/opt/crosslook/bin/crosslook ", f"ExecStart={sys.executable} "))
    return path


@needs_systemd
def test_systemd_accepts_the_unit(unit: Path) -> None:
    """`systemd-analyze verify` prints no warning."""
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (process.returncode, process.stdout + process.stderr) == (0, "")


@needs_systemd
def test_systemd_rates_the_unit_as_well_protected(unit: Path) -> None:
    """The exposure is at most 2.0 of 10."""
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stdout[-300:]


def test_the_unit_waits_longer_than_the_server_and_limits_its_memory() -> None:
    """Its environment variables are known settings, and it is sandboxed."""
    parser = RawConfigParser(strict=False, comment_prefixes="#")
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as configparser's documentation does it
    parser.read(UNIT)
    service = parser["Service"]
    assert int(service["TimeoutStopSec"]) > Settings().shutdown_seconds
    for name, value in (
        ("ProtectSystem", "strict"),
        ("PrivateTmp", "yes"),
        ("NoNewPrivileges", "yes"),
        ("MemoryMax", "4G"),
    ):
        assert service[name] == value
    assert service["User"] not in ("", "root")
    variables = set(re.findall(r"^Environment=CROSSLOOK_(\w+)=", UNIT.read_text(), re.MULTILINE))
    assert variables <= {name.upper() for name in Settings.model_fields} | {"INDEX", "CONFIG"}
    assert PREFIX == "CROSSLOOK_"
