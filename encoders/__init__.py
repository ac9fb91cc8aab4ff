"""The model: network, training, datasets and checkpoints. Importing this package does not load torch."""

from .checkpoint.identity import BASE_MODEL
from .errors import EncodersError
from .features import Attention, Floats, ImageFeatures, MatchScores, Pixels, TextFeatures
from .loading import caption_bank, load_encoder
from .protocol import Encoder

__all__ = [
    "BASE_MODEL",
    "Attention",
    "Encoder",
    "EncodersError",
    "Floats",
    "ImageFeatures",
    "MatchScores",
    "Pixels",
    "TextFeatures",
    "caption_bank",
    "load_encoder",
]
