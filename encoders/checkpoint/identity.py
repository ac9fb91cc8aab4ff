"""Which model lies in a directory: read from its two files and checked, without torch and without its weights."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CheckpointError

WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"
FORMAT, VERSION = "crosslook-model", 2

BASE_MODEL = Path(__file__).parent.parent / "base"
"""The model that ships with crosslook."""


@dataclass(frozen=True)
class Identity:
    """A model's name, its fingerprint (SHA-256 over both files), and its description as it stands."""

    name: str
    fingerprint: str
    document: dict[str, Any]


def place_of(directory: Path) -> Path | None:
    """Where a model lies, to be remembered: absolute; None for the base model, which lies wherever crosslook does."""
    return None if directory.samefile(BASE_MODEL) else Path(os.path.abspath(directory))


def identify(directory: Path) -> Identity:
    """Read a model's description and compare it with the weights beside it.

    Raises:
        CheckpointError: a file is missing, cut short, altered, or of a format this version does not know.
    """
    weights, description = directory / WEIGHTS, directory / DESCRIPTION
    for path in (weights, description):
        if not path.is_file():
            raise CheckpointError(f"{directory} is not a model: {path.name} is missing")
    try:
        raw = description.read_bytes()
        document = json.loads(raw)
    except (OSError, ValueError) as exc:
        raise CheckpointError(f"{description} cannot be read ({first_line(exc)}); copy the model again") from exc
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise CheckpointError(f"{description} does not describe a crosslook model")
    version = document.get("version")
    if version not in (1, VERSION):
        raise CheckpointError(f"{description} is of format version {version}; this crosslook reads up to {VERSION}")
    digest = checksum(weights)
    if digest != document.get("weights_sha256"):
        raise CheckpointError(
            f"{weights} is cut short or altered: its checksum differs from {DESCRIPTION}; copy the model again"
        )
    if "name" not in document:
        raise CheckpointError(f"{description}: a part is missing or of the wrong form ('name')")
    return Identity(str(document["name"]), hashlib.sha256(digest.encode() + raw).hexdigest(), document)


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def first_line(exc: BaseException) -> str:
    """What an error says first."""
    return (str(exc).splitlines() or [type(exc).__name__])[0]
