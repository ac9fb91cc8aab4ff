"""Training: cached activations, the fused objective, validation, exact resume, several processes."""

from .config import TrainConfig
from .distributed import is_first_process
from .start import TEXT_TOWERS, fine_tuning_cuts, fresh_start
from .trainer import TrainResult, train

__all__ = [
    "TEXT_TOWERS",
    "TrainConfig",
    "TrainResult",
    "fine_tuning_cuts",
    "fresh_start",
    "is_first_process",
    "train",
]
