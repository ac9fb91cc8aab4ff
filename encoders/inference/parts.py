"""The interface of what runs a model: its three parts, arrays in and arrays out, in ONNX Runtime or in torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..features import Floats

Array = npt.NDArray[Any]


class Parts(Protocol):
    """The image tower, the text tower and the reranker of one model. Thread-safe."""

    device: str
    image_batch: int
    """Pictures in one run: more take more memory, and on a CPU no less time each."""
    int8: bool
    """Whether pictures are encoded in int8."""

    def run(self, name: str, inputs: Sequence[Array]) -> list[Floats]:
        """Run a part.

        Args:
            name: `image`, `text` or `reranker`.
            inputs: what the part takes.

        Shape:
            - image: pixels (B, S, S, 3), uint8 → vectors (B, D), regions (B, P, C).
            - text: ids (B, T), int64, mask and attended (B, T), bool → vectors (B, D), token states (B, T, C).
            - reranker: regions (N, P, C), tokens (N, T, C), mask (N, T), bool → logits (N,), global matches (N,), and
              attention (N, T, P) if the fusion has one.

        Raises:
            CheckpointError: the part's files do not fit together, or were overwritten.
        """
        ...

    def load_soon(self, name: str) -> None:
        """Begin to load a part in the background, if that can be done beside other work."""
        ...


def contiguous(array: Array) -> Floats:
    """Return an array as contiguous float32."""
    return np.ascontiguousarray(array, np.float32)
