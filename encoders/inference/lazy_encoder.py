"""A model that is known by name at once and loaded when there is something to encode.

Most runs over an indexed collection find nothing new; they should not wait for torch.
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
    """An `Encoder` whose name and fingerprint are read at once, the rest when it is first asked for. Thread-safe."""

    def __init__(self, directory: Path, load: Callable[[], Encoder]) -> None:
        """Args: where the model lies, and what loads it.

        Raises:
            CheckpointError: the directory holds no usable model.
        """
        found = identify(directory)
        self.name, self.fingerprint = found.name, found.fingerprint
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
        """D."""
        return self._encoder.dimension

    @property
    def input_size(self) -> int:
        """S, in pixels."""
        return self._encoder.input_size

    @property
    def device(self) -> str:
        """Where it computes."""
        return self._encoder.device

    @property
    def batch_sizes(self) -> Mapping[int, int]:
        """Sentences encoded as one batch; none before it is loaded."""
        return getattr(self._loaded, "batch_sizes", {})

    def prepare(self, image: Image.Image) -> Pixels:
        """As the model itself, and so below."""
        return self._encoder.prepare(image)

    def encode_images(self, pixels: Pixels) -> ImageFeatures:
        """Pictures."""
        return self._encoder.encode_images(pixels)

    def encode_texts(self, texts: Sequence[str]) -> TextFeatures:
        """Sentences."""
        return self._encoder.encode_texts(texts)

    def query(self, text: TextFeatures) -> TextFeatures:
        """Sentences that look for something."""
        return self._encoder.query(text)

    def strangeness(self, terms: Sequence[str]) -> Sequence[float]:
        """Words and phrases."""
        return self._encoder.strangeness(terms)

    def match_images(self, text: TextFeatures, images: ImageFeatures) -> MatchScores:
        """A sentence and pictures."""
        return self._encoder.match_images(text, images)

    def match_captions(self, image: ImageFeatures, texts: TextFeatures) -> MatchScores:
        """A picture and sentences."""
        return self._encoder.match_captions(image, texts)

    def attend(self, text: str, regions: Floats) -> Attention:
        """Words and regions."""
        return self._encoder.attend(text, regions)
