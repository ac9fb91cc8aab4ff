"""Identifying the model in a directory: its two files are read and checked without loading torch or the weights."""

from __future__ import annotations

import hashlib
import json
import os
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, first_line

WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"
FORMAT, VERSION = "crosslook-model", 3
PAIR_FOLDER = "pair"
"""Folder of the pretrained pair whose encoders are the towers of a model, if they are."""

BASE_MODEL = Path(__file__).parent.parent / "base"
"""The model that ships with crosslook."""


class WeightsFile:
    """A model's weights file, held open, so that later reads come from the file whose digest was computed.

    Retraining a model in place creates a new file under the old name; this one stays readable, and parts loaded later
    belong to the same model. A file whose content is overwritten is refused.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self._descriptor)
        self._state = self._stat()
        with open(self._descriptor, "rb", closefd=False) as file:
            self.digest = hashlib.file_digest(file, "sha256").hexdigest()

    def is_in_place(self) -> bool:
        """Whether its name still belongs to this very file.

        Raises:
            CheckpointError: its content was overwritten.
        """
        self.check()
        try:
            return os.path.samestat(os.fstat(self._descriptor), self.path.stat())
        except FileNotFoundError:
            return False

    def path_to_open(self) -> str:
        """Return a path that opens this very file, even if another file now has its name.

        Raises:
            CheckpointError: its content was overwritten, or it was replaced on a system without `/dev/fd`.
        """
        self.check()
        descriptor = Path("/dev/fd", str(self._descriptor))
        if descriptor.exists():
            return str(descriptor)
        if not self.is_in_place():  # no /dev/fd on this system
            raise CheckpointError(f"{self.path} was replaced while in use; start again")
        return str(self.path)

    def check(self) -> None:
        """Check that the file is unchanged since it was opened.

        Raises:
            CheckpointError: its content was overwritten.
        """
        if self._stat() != self._state:
            raise CheckpointError(f"{self.path} was overwritten while in use; start again when the model is complete")

    def _stat(self) -> tuple[int, int]:
        status = os.fstat(self._descriptor)
        return status.st_size, status.st_mtime_ns


@dataclass(frozen=True)
class Identity:
    """A model's name, its fingerprint (SHA-256 over both files), its parsed description, and its weights."""

    name: str
    fingerprint: str
    document: dict[str, Any]
    weights: WeightsFile


def recorded_directory(directory: Path) -> Path | None:
    """Return a model's directory as indexes record it: absolute; None for the base model, wherever it is installed."""
    return None if directory.samefile(BASE_MODEL) else Path(os.path.abspath(directory))


def identify(directory: Path) -> Identity:
    """Read a model's description and check it against the digest of the weights.

    Raises:
        CheckpointError: a file is missing, cut short, altered, or in an unknown format.
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
    if version not in range(1, VERSION + 1):
        raise CheckpointError(f"{description} has format version {version}; this crosslook reads up to {VERSION}")
    try:
        weights_file = WeightsFile(weights)
    except OSError as exc:
        raise CheckpointError(f"{weights} cannot be read ({first_line(exc)}); copy the model again") from exc
    if weights_file.digest != document.get("weights_sha256"):
        raise CheckpointError(
            f"{weights} is cut short or altered: its checksum differs from {DESCRIPTION}; copy the model again"
        )
    if "name" not in document:
        raise CheckpointError(f"{description}: a key is missing or malformed ('name')")
    fingerprint = hashlib.sha256(weights_file.digest.encode() + raw).hexdigest()
    return Identity(str(document["name"]), fingerprint, document, weights_file)
