"""Models written by earlier versions of crosslook: their weights under current names.

Version 1 had one head per tower, for both vectors and states, and a reranker without a global match. The global match
is added untrained, and the calibration of such a model gives it weight 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..architecture import ModelConfig
from ..network.model import create_reranker
from .calibration import Calibration

RENAMED = {
    "head.norm.": ("pool.norm.", "local.norm."),
    "head.value.": ("pool.value.",),
    "head.weigh.": ("pool.weigh.",),
    "head.local.": ("local.project.",),
}


def from_version_1(
    weights: dict[str, Tensor], prefix: str, config: ModelConfig, calibration: Calibration
) -> dict[str, Tensor]:
    """Rename the weights, and add the missing ones whose names start with `prefix`."""
    renamed: dict[str, Tensor] = {}
    for name, value in weights.items():
        side, _, rest = name.partition(".")
        old = next((old for old in RENAMED if rest.startswith(old)), None)
        for new in RENAMED[old] if old else ():
            renamed[f"{side}.{new}{rest.removeprefix(old or '')}"] = value
        if old is None:
            renamed[name] = value
        if name.endswith(".log_shares"):
            renamed[name.replace("log_shares", "scale")] = torch.tensor(calibration.similarity_weight)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        untrained = {f"reranker.{name}": value for name, value in create_reranker(config).state_dict().items()}
    return {k: v for k, v in untrained.items() if k.startswith(prefix)} | renamed
