"""Tensors: towers, fusion, losses, training, datasets, checkpoints. Light to import; torch loads with a model."""

from .errors import BackboneError, CheckpointError, DatasetError, EncodersError, TrainingError
from .features import (
    Attention,
    Floats,
    ImageFeatures,
    MatchScores,
    Pixels,
    TextFeatures,
    pack_states,
    unpack_all,
    unpack_states,
)
from .identity import BASE_MODEL
from .loading import caption_bank, load_encoder
from .protocol import Encoder

__all__ = [
    "BASE_MODEL",
    "Attention",
    "BackboneError",
    "CheckpointError",
    "DatasetError",
    "Encoder",
    "EncodersError",
    "Floats",
    "ImageFeatures",
    "MatchScores",
    "Pixels",
    "TextFeatures",
    "TrainingError",
    "caption_bank",
    "load_encoder",
    "pack_states",
    "unpack_all",
    "unpack_states",
]
