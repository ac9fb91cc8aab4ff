"""Which model lies in a directory: read from its two files and checked, without torch and without its weights."""

from __future__ import annotations

import hashlib
import json
import os
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CheckpointError

WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"
FORMAT, VERSION = "crosslook-model", 2

BASE_MODEL = Path(__file__).parent.parent / "base"
"""The model that ships with crosslook."""


class WeightsFile:
    """A model's weights, held open: what is read later comes from the file whose digest was computed.

    A model that is trained anew in place gets a new file under the old name; this one stays readable, and the model
    in memory stays of one piece. A file that is overwritten in place is refused.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self._descriptor)
        self._state = self._stat()
        with open(self._descriptor, "rb", closefd=False) as file:
            self.digest = hashlib.file_digest(file, "sha256").hexdigest()

    def name_for_opening(self) -> str:
        """A path that opens this very file, whatever has its name by now.

        Raises:
            CheckpointError: its content was overwritten.
        """
        self.check()
        descriptor = Path("/dev/fd", str(self._descriptor))
        if descriptor.exists():
            return str(descriptor)
        if not os.path.samestat(os.fstat(self._descriptor), self.path.stat()):  # no such paths on this system
            raise CheckpointError(f"{self.path} was replaced while in use; start again")
        return str(self.path)

    def check(self) -> None:
        """Refuse a file whose content was overwritten.

        Raises:
            CheckpointError: it was.
        """
        if self._stat() != self._state:
            raise CheckpointError(f"{self.path} was overwritten while in use; start again, with a whole model in place")

    def _stat(self) -> tuple[int, int]:
        status = os.fstat(self._descriptor)
        return status.st_size, status.st_mtime_ns


@dataclass(frozen=True)
class Identity:
    """A model's name, its fingerprint (SHA-256 over both files), its description as it stands, and its weights."""

    name: str
    fingerprint: str
    document: dict[str, Any]
    weights: WeightsFile


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
    except (OSError, ValueError, RecursionError) as exc:
        raise CheckpointError(f"{description} cannot be read ({first_line(exc)}); copy the model again") from exc
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise CheckpointError(f"{description} does not describe a crosslook model")
    version = document.get("version")
    if version not in (1, VERSION):
        raise CheckpointError(f"{description} is of format version {version}; this crosslook reads up to {VERSION}")
    try:
        held = WeightsFile(weights)
    except OSError as exc:
        raise CheckpointError(f"{weights} cannot be read ({first_line(exc)}); copy the model again") from exc
    if held.digest != document.get("weights_sha256"):
        raise CheckpointError(
            f"{weights} is cut short or altered: its checksum differs from {DESCRIPTION}; copy the model again"
        )
    if "name" not in document:
        raise CheckpointError(f"{description}: a part is missing or of the wrong form ('name')")
    fingerprint = hashlib.sha256(held.digest.encode() + raw).hexdigest()
    return Identity(str(document["name"]), fingerprint, document, held)


def first_line(exc: BaseException) -> str:
    """What an error says first."""
    return (str(exc).splitlines() or [type(exc).__name__])[0]
