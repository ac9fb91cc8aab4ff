"""A model that loads on first use.

Most runs over an indexed collection find nothing new and should not wait for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any

from ..checkpoint.identity import recorded_directory
from ..errors import CheckpointError
from ..protocol import Encoder


def _of_model(name: str) -> Any:  # noqa: ANN401  each has the type that `Encoder` gives it
    """Make a property that reads an attribute of the loaded model."""
    return property(attrgetter(f"_encoder.{name}"))


class LazyEncoder:
    """An `Encoder` that knows its name and fingerprint at once, and loads the rest on first use. Thread-safe.

    Args:
        directory: the model's directory.
        name: of the model.
        fingerprint: of the model.
        load: loads the model.
    """

    def __init__(self, directory: Path, name: str, fingerprint: str, load: Callable[[], Encoder]) -> None:
        self.name, self.fingerprint = name, fingerprint
        self.directory = recorded_directory(directory)
        self._directory, self._load = directory, load
        self._loaded: Encoder | None = None
        self._lock = threading.Lock()

    @property
    def _encoder(self) -> Encoder:
        with self._lock:
            if self._loaded is None:
                loaded = self._load()
                if loaded.fingerprint != self.fingerprint:
                    raise CheckpointError(f"the model in {self._directory} was replaced meanwhile; start again")
                self._loaded = loaded
            return self._loaded

    dimension = _of_model("dimension")
    input_size = _of_model("input_size")
    device = _of_model("device")
    prepare = _of_model("prepare")
    encode_images = _of_model("encode_images")
    warm_up = _of_model("warm_up")
    encode_texts = _of_model("encode_texts")
    query = _of_model("query")
    strangeness = _of_model("strangeness")
    has_regions = _of_model("has_regions")
    stores_regions = _of_model("stores_regions")
    regions = _of_model("regions")
    matches = _of_model("matches")
    describes = _of_model("describes")
    match_images = _of_model("match_images")
    match_captions = _of_model("match_captions")
    attend = _of_model("attend")

    @property
    def batch_sizes(self) -> Mapping[int, int]:
        """Number of batches encoded, by their number of sentences; empty before loading."""
        return getattr(self._loaded, "batch_sizes", {})
