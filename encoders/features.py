"""Features and scores that `encoders` returns: NumPy arrays in small frozen dataclasses.

Letters, in every docstring of the project:
B batch, T tokens, P regions, C channels of a region or token state, D embedding size, N corpus, K hits.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

_HEADER = struct.Struct("<HH")


@dataclass(frozen=True)
class ImageFeatures:
    """The image tower's output for a batch of pictures.

    Shape:
        - vectors: (B, D), rows of length 1.
        - regions: (B, P, C), a row-major square grid; P is a square number.
    """

    vectors: Floats
    regions: Floats

    def take(self, rows: npt.NDArray[np.int64] | list[int]) -> ImageFeatures:
        """Select pictures by their row numbers."""
        return ImageFeatures(self.vectors[rows], self.regions[rows])


@dataclass(frozen=True)
class TextFeatures:
    """The text tower's output for a batch of sentences.

    Shape:
        - vectors: (B, D), rows of length 1.
        - tokens: B arrays of (T, C), each as long as its sentence.
        - familiarity: (B,), how well training captions covered each sentence's words, in [0, 1]; None if unknown.
    """

    vectors: Floats
    tokens: tuple[Floats, ...]
    familiarity: Floats | None = None

    def take(self, rows: npt.NDArray[np.int64] | list[int]) -> TextFeatures:
        """Select sentences by their row numbers."""
        familiarity = None if self.familiarity is None else self.familiarity[rows]
        return TextFeatures(self.vectors[rows], tuple(self.tokens[row] for row in rows), familiarity)


@dataclass(frozen=True)
class MatchScores:
    """The reranker's scores for K pairs of a sentence and a picture.

    `slope` is the change in log-odds of the probability per unit of score.

    Shape:
        - scores: (K,), higher is better; comparable within one query.
        - probabilities: (K,), calibrated probability in [0, 1] that the sentence describes the picture.
    """

    scores: Floats
    probabilities: Floats
    slope: float = 1.0

    def with_evidence(self, evidence: Floats) -> MatchScores:
        """Add evidence from outside the pictures, such as keywords, to scores and probabilities.

        Shape:
            - evidence: (K,), log-odds.
        """
        if not evidence.any():
            return self
        odds = self.probabilities * np.exp(np.clip(evidence.astype(np.float64), -60, 60))
        probabilities = (odds / (1 - self.probabilities + odds)).astype(np.float32)
        return MatchScores((self.scores + evidence / self.slope).astype(np.float32), probabilities, self.slope)


@dataclass(frozen=True)
class Attention:
    """The attention of each word of a sentence over the regions of a picture.

    Shape:
        - words: W words, as written.
        - weights: (W, rows, columns), non-negative, each word's grid sums to 1.
        - probabilities: (W,), that the picture shows what each word says by itself; NaN where nothing can be said, as
          for `the`.
    """

    words: tuple[str, ...]
    weights: Floats
    probabilities: Floats


def pack_states(states: Floats) -> bytes:
    """Quantise region or token states to int8 with one scale per row, for storage.

    Args:
        states: region grid or token states.

    Shape:
        - states: (P, C) or (T, C), float32.

    Returns:
        Two uint16 (rows, columns), then the float32 scales, then the int8 codes, little-endian.
    """
    rows, columns = states.shape
    scales = np.maximum(np.abs(states).max(axis=1), 1e-8).astype("<f4") / np.float32(127)
    codes = np.rint(states / scales[:, None]).astype(np.int8)
    return _HEADER.pack(rows, columns) + scales.tobytes() + codes.tobytes()


def unpack_states(blob: bytes) -> Floats:
    """Restore the states that `pack_states` packed.

    Returns:
        States (P, C) or (T, C), float32, each value within half a quantisation step of the original.

    Raises:
        ValueError: the bytes are not a packed state grid.
    """
    if len(blob) < _HEADER.size:
        raise ValueError(f"a packed state grid has at least {_HEADER.size} bytes, this has {len(blob)}")
    rows, columns = _HEADER.unpack_from(blob)
    expected = _HEADER.size + 4 * rows + rows * columns
    if len(blob) != expected:
        raise ValueError(f"a packed state grid of {rows}x{columns} has {expected} bytes, this has {len(blob)}")
    scales = np.frombuffer(blob, "<f4", rows, _HEADER.size)
    codes = np.frombuffer(blob, np.int8, rows * columns, _HEADER.size + 4 * rows).reshape(rows, columns)
    return codes * scales[:, None]


def unpack_all(blobs: Sequence[bytes]) -> Sequence[Floats]:
    """Restore many packed states; those of one shape, such as region grids, in a single step.

    Returns:
        States (K, P, C) as one array if all have one shape, else K arrays (T, C).

    Raises:
        ValueError: one of the blobs is not a packed state grid.
    """
    if len(blobs) > 1 and len({blob[: _HEADER.size] for blob in blobs}) == len({len(blob) for blob in blobs}) == 1:
        rows, columns = unpack_states(blobs[0]).shape
        form = np.dtype([("header", "<u2", 2), ("scales", "<f4", (rows, 1)), ("codes", np.int8, (rows, columns))])
        packed = np.frombuffer(b"".join(blobs), form)
        return cast("Sequence[Floats]", packed["codes"] * packed["scales"])
    return [unpack_states(blob) for blob in blobs]
