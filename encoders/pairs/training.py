"""Training a reranker on a pretrained pair, whose encoders stay as they are. Needs PyTorch."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ..architecture import PAIR, ModelConfig
from ..checkpoint.calibration import Calibration
from ..checkpoint.files import Checkpoint
from ..checkpoint.tokenizer import Tokens
from ..errors import TrainingError
from ..features import Pixels
from ..network.model import CrosslookModel
from ..network.querybank import CENTRES
from ..training import TrainConfig
from ..training.data.frozen import Halves
from .preprocess import to_input
from .reranked import TRAINED_ON
from .towers import PairTowers

SCALE = 100.0
"""Inverse temperature of CLIP's training, for pairs that do not say theirs."""

BATCH = 8
"""Pictures or sentences in a run of the pair."""


class FrozenPair:
    """The encoders of a pair as what is frozen in a training run."""

    def __init__(self, towers: PairTowers) -> None:
        self._towers = towers

    def key(self, paths: Sequence[Path], views: int, seed: int) -> str:
        """Return a digest of the pair and of the rest."""
        settings = [self._towers.description.fingerprint, [str(path) for path in paths], views, seed]
        return hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]

    @property
    def sample(self) -> Pixels:
        """Grey."""
        size = self._towers.description.image.size
        return np.full((1, size, size, 3), 128, np.uint8)

    def prepare(self, image: Image.Image) -> Pixels:
        """Resize and crop an upright picture as the pair expects it."""
        return to_input(image, self._towers.description.image)

    def activations(self, pixels: Pixels) -> Halves:
        """Encode pictures: (B, 1 + P, W)."""
        parts = (pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH))
        return np.concatenate([self._towers.image_activations(part) for part in parts]).astype(np.float16)

    def states(self, tokens: Tokens) -> Halves:
        """Encode sentences: (M, T, W)."""
        rows = np.split(np.arange(len(tokens.ids)), range(BATCH, len(tokens.ids), BATCH))
        parts = (Tokens(tokens.ids[part], tokens.mask[part], tokens.attended[part]) for part in rows)
        return np.concatenate([self._towers.text_activations(part) for part in parts]).astype(np.float16)


def start_on_pair(directory: Path, *, seed: int = 0) -> tuple[Checkpoint, FrozenPair]:
    """Make an untrained reranker on the pair in a directory, and the pair as `train` takes it.

    Raises:
        TrainingError: the pair has no states.
        CheckpointError: the directory holds no usable pair.
    """
    towers = PairTowers(directory)
    pair = towers.description
    if pair.regions is None or pair.tokens is None:
        raise TrainingError(
            f"model {pair.name} has vectors only: without states of its regions and words no reranker can be trained; "
            "pairs that crosslook exports from open_clip have them"
        )
    config = ModelConfig(
        backbone=PAIR,
        text_tower=PAIR,
        input_size=pair.image.size,
        dimension=pair.dimension,
        region_width=pair.regions.width,
        token_width=pair.tokens.width,
        querybank=CENTRES,
    )
    torch.manual_seed(seed)
    model = CrosslookModel(config)
    model.log_scale.data.fill_(math.log(pair.scale or SCALE))
    about = {"name": pair.name, "source": pair.source, "licence": pair.licence, "fingerprint": pair.fingerprint}
    start = Checkpoint(pair.name, model, towers.tokenizer, Calibration(1, 0, 1, 0), {TRAINED_ON: about}, pair=directory)
    return start, FrozenPair(towers)


def on_pair(config: TrainConfig) -> TrainConfig:
    """Change settings to those of a run that trains a reranker only: vectors stay as they are."""
    return replace(
        config,
        train_towers=False,
        contrastive_weight=0.0,
        label_weight=0.0,
        keep=0.0,
        image_cut=0,
        text_cut=0,
    )
