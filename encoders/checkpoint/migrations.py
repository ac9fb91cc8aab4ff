"""Models written by earlier versions of crosslook: their weights under today's names.

Version 1 had one head a side, for vectors and states alike, and a reranker that had no global match; it is
filled in untrained, and such a model's calibration gives it no weight.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..network.model import ModelConfig, create_reranker
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
    """Rename what is there, and add what is not, as far as it begins with `prefix`."""
    found: dict[str, Tensor] = {}
    for name, value in weights.items():
        side, _, rest = name.partition(".")
        old = next((old for old in RENAMED if rest.startswith(old)), None)
        for new in RENAMED[old] if old else ():
            found[f"{side}.{new}{rest.removeprefix(old or '')}"] = value
        if old is None:
            found[name] = value
        if name.endswith(".log_shares"):
            found[name.replace("log_shares", "scale")] = torch.tensor(calibration.similarity_weight)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        fresh = {f"reranker.{name}": value for name, value in create_reranker(config).state_dict().items()}
    return {k: v for k, v in fresh.items() if k.startswith(prefix)} | found
