"""Training: cached activations, the fused objective, validation, exact resume."""

from .config import TrainConfig
from .trainer import TrainResult, train

__all__ = ["TrainConfig", "TrainResult", "train"]
