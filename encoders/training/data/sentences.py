"""States of captions that a frozen text tower gives, kept on disk."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...checkpoint.tokenizer import Tokens
from ...errors import TrainingError
from ...progress import Progress, no_progress
from .frozen import Frozen, Halves
from .views import open_array

CAPTIONS = 64
"""Captions in a batch."""


@dataclass(frozen=True)
class Sentences:
    """States of captions, one caption after the other.

    Shape:
        - states: (tokens, W), float16, memory-mapped; starts, lengths: (M,).
    """

    states: Halves
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]

    def take(self, rows: npt.NDArray[np.int64]) -> Sentences:
        """Return some of the captions."""
        return Sentences(self.states, self.starts[rows], self.lengths[rows])

    def padded(self, width: int) -> Tensor:
        """Return the states as one block, zeros beyond each caption: (M, T, W), float32."""
        block = np.zeros((len(self.starts), width, self.states.shape[1]), np.float32)
        for row, (start, length) in enumerate(zip(self.starts, self.lengths, strict=True)):
            block[row, :length] = self.states[start : start + length]
        return torch.from_numpy(block)


def cached_states(
    frozen: Frozen, tokens: Tokens, directory: Path, *, progress: Progress = no_progress
) -> Sentences | None:
    """Return what is frozen of the text tower gives for every caption, computed at most once; None if nothing is.

    A run that was interrupted continues where it stopped.
    """
    lengths = tokens.attended.sum(1)
    first = frozen.states(tokens.take(np.arange(min(1, len(lengths)))))
    if first is None:
        return None
    content = hashlib.sha256(frozen.key((), 0, 0).encode() + tokens.ids.tobytes() + tokens.attended.tobytes())
    starts = np.concatenate([[0], np.cumsum(lengths)])
    path = directory / f"{content.hexdigest()[:16]}-captions"
    array, new = open_array(path.with_suffix(".npy"), np.float16, (int(starts[-1]), first.shape[2]))
    finished, _ = open_array(path.with_suffix(".done"), np.int64, (1,))
    if new:
        finished[:] = 0
    for start in range(int(finished[0]), len(lengths), CAPTIONS):
        progress("captions", start, len(lengths))
        rows = np.arange(start, min(start + CAPTIONS, len(lengths)))
        part = tokens.take(rows)
        states = cast(Halves, frozen.states(part))
        if not np.isfinite(states).all():
            raise TrainingError("the states of a caption are not finite in half precision; use another model")
        array[starts[start] : starts[rows[-1] + 1]] = states[part.attended]
        array.flush()
        finished[:] = rows[-1] + 1
        finished.flush()
    progress("captions", len(lengths), len(lengths))
    return Sentences(array, starts[:-1], lengths)
