"""Training: cached activations, the fused objective, validation, exact resume."""

from .config import TrainConfig
from .start import TEXT_TOWERS, fresh_start
from .trainer import TrainResult, train

__all__ = ["TEXT_TOWERS", "TrainConfig", "TrainResult", "fresh_start", "train"]
