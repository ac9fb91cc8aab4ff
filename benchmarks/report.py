"""The result of a benchmark: one JSON document with commit, date, seed and machine."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from encoders.hardware import machine

ROOT = Path(__file__).parent.parent


def parser(description: str | None) -> argparse.ArgumentParser:
    """Create an argument parser with `--out`; its description is the first line of a module's docstring."""
    arguments = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    arguments.add_argument("--out", type=Path, help="JSON file for the result; entries not measured again are kept")
    return arguments


def provenance(seed: int | None = None) -> dict[str, Any]:
    """Commit, date, seed (if anything is random) and machine of a measurement."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603  no input
    return {
        "commit": commit.stdout.strip(),
        "date": datetime.now(UTC).date().isoformat(),
        **({} if seed is None else {"seed": seed}),
        "python": platform.python_version(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        **machine(),
    }


def previous(out: Path | None) -> dict[str, Any]:
    """Read the document of an earlier run; empty if there is none."""
    return json.loads(out.read_text(encoding="utf-8")) if out and out.exists() else {}


def write(document: Mapping[str, Any], out: Path | None) -> None:
    """Print a document, and write it to a file if `out` is given."""
    text = json.dumps(document, indent=2)
    print(text)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text + "\n", encoding="utf-8")
