"""A model that loads on first use.

Most runs over an indexed collection find nothing new and should not wait for torch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from PIL import Image

from ..checkpoint.identity import identify, place_of
from ..errors import CheckpointError
from ..features import Attention, Floats, ImageFeatures, MatchScores, Pixels, TextFeatures
from ..protocol import Encoder


class LazyEncoder:
    """An `Encoder` whose name and fingerprint are read at once, the rest on first use. Thread-safe.

    Args:
        directory: of the model.
        load: loads it.

    Raises:
        CheckpointError: the directory holds no usable model.
    """

    def __init__(self, directory: Path, load: Callable[[], Encoder]) -> None:
        identity = identify(directory)
        self.name, self.fingerprint = identity.name, identity.fingerprint
        self.directory = place_of(directory)
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

    @property
    def dimension(self) -> int:
        """Embedding size D."""
        return self._encoder.dimension

    @property
    def input_size(self) -> int:
        """Side S of the input square, in pixels."""
        return self._encoder.input_size

    @property
    def device(self) -> str:
        """Device the model runs on."""
        return self._encoder.device

    @property
    def batch_sizes(self) -> Mapping[int, int]:
        """Number of batches encoded, by their number of sentences; empty before loading."""
        return getattr(self._loaded, "batch_sizes", {})

    def prepare(self, image: Image.Image) -> Pixels:
        """See `Encoder.prepare`."""
        return self._encoder.prepare(image)

    def encode_images(self, pixels: Pixels) -> ImageFeatures:
        """See `Encoder.encode_images`."""
        return self._encoder.encode_images(pixels)

    def encode_texts(self, texts: Sequence[str]) -> TextFeatures:
        """See `Encoder.encode_texts`."""
        return self._encoder.encode_texts(texts)

    def query(self, text: TextFeatures) -> TextFeatures:
        """See `Encoder.query`."""
        return self._encoder.query(text)

    def strangeness(self, terms: Sequence[str]) -> Sequence[float]:
        """See `Encoder.strangeness`."""
        return self._encoder.strangeness(terms)

    def match_images(self, text: TextFeatures, images: ImageFeatures) -> MatchScores:
        """See `Encoder.match_images`."""
        return self._encoder.match_images(text, images)

    def match_captions(self, image: ImageFeatures, texts: TextFeatures) -> MatchScores:
        """See `Encoder.match_captions`."""
        return self._encoder.match_captions(image, texts)

    def attend(self, text: str, regions: Floats) -> Attention:
        """See `Encoder.attend`."""
        return self._encoder.attend(text, regions)
