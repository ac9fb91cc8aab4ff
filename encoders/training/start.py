"""The model a run starts from: a checkpoint, or a pretrained CNN with a new text tower."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..architecture import ModelConfig
from ..checkpoint.calibration import Calibration
from ..checkpoint.files import Checkpoint
from ..checkpoint.tokenizer import Tokenizer
from ..datasets import Dataset
from ..errors import BackboneError
from ..network.backbones import create_backbone, pixel_statistics
from ..network.model import CrosslookModel
from ..network.querybank import CENTRES

TEXT_TOWERS = ("transformer", "gru", "lstm")
LEAST_VOCABULARY = 50


def fresh_start(
    training: Sequence[Dataset], *, backbone: str, text_tower: str, pretrained: bool = True, seed: int = 0
) -> Checkpoint:
    """Build a model with a training set's vocabulary; only its CNN may be pretrained.

    Args:
        training: datasets of pictures with captions.
        backbone: a timm name, `torchvision/NAME` or `open_clip/NAME`; see `create_backbone`.
        text_tower: `transformer`, `gru` or `lstm`.
        pretrained: fetch the CNN's weights from its library's model hub.
        seed: seed of the weights that start at random.

    Raises:
        BackboneError: no such backbone or text tower, or its weights cannot be fetched.
    """
    if text_tower not in TEXT_TOWERS:
        raise BackboneError(f"no text tower {text_tower!r}; there are {', '.join(TEXT_TOWERS)}")
    captions = [caption for dataset in training for example in dataset.examples for caption in example.captions]
    labels = sorted({label.name for dataset in training for e in dataset.examples for label in e.labels})
    tokenizer = Tokenizer.fit([*captions, *labels, *labels])  # twice, which is often enough for a word
    if len(tokenizer.vocabulary) < LEAST_VOCABULARY:  # a small dataset: keep all its words
        tokenizer = Tokenizer.fit([*captions, *labels], min_count=1)
    pixel_mean, pixel_std = pixel_statistics(backbone)
    config = ModelConfig(
        backbone=backbone,
        pixel_mean=pixel_mean,
        pixel_std=pixel_std,
        text_tower=text_tower,  # type: ignore[arg-type]  # checked above
        vocabulary_size=len(tokenizer.vocabulary),
        text_layers=2,
        querybank=CENTRES,
    )
    stages = create_backbone(backbone, pretrained=True) if pretrained else None
    torch.manual_seed(seed)
    model = CrosslookModel(config)
    if stages is not None:
        model.image.tower.stages.load_state_dict(stages.state_dict())
        model.copy_match_layers()
    weights = "its library's pretrained weights" if pretrained else "none"
    metadata = {"base_parts": [{"part": "CNN", "name": backbone, "weights": weights}]}
    return Checkpoint(f"{backbone}-{text_tower}", model, tokenizer, Calibration(1, 0, 1, 0), metadata)


def fine_tuning_cuts(start: Checkpoint) -> tuple[int, int]:
    """Return the numbers of CNN stages and text layers to freeze in fine-tuning: all but the last few."""
    tower, config = start.model.image.tower, start.model.config
    image_cut = max(0, len(tower.stages) - 3) if tower.split is None else tower.split
    return image_cut, max(0, config.text_layers - 2) if config.text_split is None else config.text_split
