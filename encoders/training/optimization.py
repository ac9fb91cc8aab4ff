"""What a run trains, at which learning rates, and what it averages: frozen layers, parameter groups, schedules."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..errors import TrainingError
from ..network.model import CrosslookModel
from .config import TrainConfig

Tensors = tuple[Tensor, ...] | list[Tensor]


def freeze_layers(model: CrosslookModel, config: TrainConfig) -> None:
    """Freeze the first stages of the CNN and the first layers of the text tower.

    Raises:
        TrainingError: the model's split or its class channel needs another `image_cut`.
    """
    tower = model.image.tower
    if tower.split is not None and config.image_cut > tower.split:
        raise TrainingError(f"this model is split after {tower.split} CNN stages; freeze at most so many")
    if model.config.classes and config.image_cut != tower.split:
        raise TrainingError(f"this model's classifier reads {tower.split} CNN stages as they are; freeze just those")
    for stage in tower.stages[: config.image_cut]:
        stage.requires_grad_(requires_grad=False)
    model.text.tower.freeze(config.text_cut)
    if not config.train_towers:
        model.freeze_towers()


def parameter_groups(model: CrosslookModel, config: TrainConfig) -> list[dict[str, Any]]:
    """Group the trained parameters by learning rate; norms and biases have no weight decay."""
    rates = {"image.tower": config.image_rate, "text.tower": config.text_rate}
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            rate = config.learning_rate * rates.get(".".join(name.split(".")[:2]), 1.0)
            decay = config.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
    return [{"params": p, "lr": rate, "weight_decay": decay} for (rate, decay), p in groups.items()]


def one_cycle(step: int, total: int, warmup: float) -> float:
    """Return the learning rate at a step as a share of its peak: a linear warm-up, then a cosine to 0.

    Args:
        step: steps taken.
        total: steps of the run.
        warmup: share of the run that the warm-up takes.
    """
    rise = max(1.0, warmup * total)
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1.0, total - rise))))


def moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """Create an exponential moving average of a model's parameters that leaves the first models behind quickly.

    The decay rises as (1 + n) / (10 + n) with the number n of models averaged, as in TensorFlow's
    `ExponentialMovingAverage(num_updates=n)`: with a constant one a short run's average stays at its beginning.

    Args:
        model: what is averaged.
        decay: the highest decay, between 0 and 1.
    """

    def update(averages: Tensors, values: Tensors, count: Tensor | int) -> None:
        n = int(count)
        get_ema_multi_avg_fn(min(decay, (1 + n) / (10 + n)))(averages, values, count)  # type: ignore[no-untyped-call]  # torch

    return AveragedModel(model, multi_avg_fn=update)
