"""The model: network, training, datasets and checkpoints. Importing this package does not load torch."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

_MODULES = {
    "Attention": ".features",
    "BASE_MODEL": ".checkpoint.identity",
    "Encoder": ".protocol",
    "EncodersError": ".errors",
    "Floats": ".features",
    "ImageFeatures": ".features",
    "MatchScores": ".features",
    "Pixels": ".features",
    "TextFeatures": ".features",
    "caption_bank": ".loading",
    "load_encoder": ".loading",
}


def __getattr__(name: str) -> object:
    """Import what is used, when it is used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name], __name__), name)
