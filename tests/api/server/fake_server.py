"""A server process with the quick model: `python -m tests.api.server.fake_server serve --index DIR …`.

The base model is the one of `FakeEncoder()`; a model in a directory is the one that swaps colours. A sentence with the
word `waiting` says so on stdout, and is not encoded before a line comes in. So does loading a model where there is a
variable `FAKE_MODEL_WAITS`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import search.active_model
import search.caption_search
from api.cli.main import main
from encoders.features import TextFeatures
from tests.fakes import FakeEncoder

BANK = ("a red thing", "a green thing")


class Patient(FakeEncoder):
    """Blocks where the test says so."""

    def encode_texts(self, texts: Sequence[str]) -> TextFeatures:
        """Encode, after blocking if asked to."""
        if any("waiting" in text for text in texts):
            wait("encoding")
        return super().encode_texts(texts)


def wait(what: str) -> None:
    """Report it, and wait for a line on stdin."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()
    sys.stdin.readline()


def load(model: Path | None, *, device: str, workers: int) -> FakeEncoder:
    """Replace `encoders.load_encoder`."""
    assert (device, workers) == ("auto", os.cpu_count())
    if "FAKE_MODEL_WAITS" in os.environ:
        wait("loading")
    return Patient() if model is None else other(model)


def other(directory: Path) -> FakeEncoder:
    """A model that takes red for green."""
    return FakeEncoder(name="other", fingerprint="0" * 64, directory=directory, turn=1)


if __name__ == "__main__":
    vars(search.active_model).update(load_encoder=load)
    vars(search.caption_search).update(caption_bank=lambda: BANK)
    main()
