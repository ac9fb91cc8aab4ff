"""What of the towers stays as it is in a training run, so that its output can be computed once and kept on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from ...checkpoint.tokenizer import Tokens
from ...features import Pixels
from ...network.image_tower import ImageTower
from ...preprocess import to_square

Halves = npt.NDArray[np.float16]


class Frozen(Protocol):
    """What does not change in training: its output for a view of a picture is computed once, and so for a caption."""

    def key(self, paths: Sequence[Path], views: int, seed: int) -> str:
        """Return a digest of all that its outputs for some pictures depend on, beside their content."""
        ...

    @property
    def sample(self) -> Pixels:
        """A picture, prepared: (1, S, S, 3), uint8."""
        ...

    def prepare(self, image: Image.Image) -> Pixels:
        """Resize an upright picture to the input square: (S, S, 3), uint8."""
        ...

    def activations(self, pixels: Pixels) -> Halves:
        """Run it for prepared pictures: (B, S, S, 3), uint8 → (B, …), float16."""
        ...

    def states(self, tokens: Tokens) -> Halves | None:
        """Run it for sentences: (M, T) → (M, T, W), float16; None if they are encoded in training."""
        ...


class FrozenStages:
    """The first `cut` stages of a CNN."""

    def __init__(self, tower: ImageTower, cut: int) -> None:
        self._tower, self._cut = tower, cut

    def key(self, paths: Sequence[Path], views: int, seed: int) -> str:
        """Return a digest of the stages' weights and of the rest."""
        digest = hashlib.sha256()
        for name, weight in self._tower.stages[: self._cut].state_dict().items():
            digest.update(name.encode())
            digest.update(weight.cpu().numpy().tobytes())
        settings = [[str(path) for path in paths], self._cut, views, seed, self._tower.input_size]
        digest.update(json.dumps(settings).encode())
        return digest.hexdigest()[:16]

    @property
    def sample(self) -> Pixels:
        """Black."""
        return np.zeros((1, self._tower.input_size, self._tower.input_size, 3), np.uint8)

    def prepare(self, image: Image.Image) -> Pixels:
        """Resize it to a square."""
        return to_square(image, self._tower.input_size)

    def activations(self, pixels: Pixels) -> Halves:
        """Run the stages: (B, c, h, w)."""
        self._tower.eval()
        with torch.inference_mode():
            device = next(self._tower.parameters()).device
            x = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float() / 255
            return self._tower.bottom_stages(x, self._cut).half().cpu().numpy()

    def states(self, tokens: Tokens) -> Halves | None:
        """None: the text tower trains."""
        del tokens
        return None
