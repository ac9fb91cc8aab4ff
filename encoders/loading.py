"""The way to a model for the rest of crosslook. Importing this costs nothing; torch loads with the model."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from .checkpoint.identity import BASE_MODEL
from .inference.lazy_encoder import LazyEncoder
from .protocol import Encoder


def load_encoder(model: Path | None = None, *, device: str = "auto", lazy: bool = False, workers: int = 1) -> Encoder:
    """Load a model.

    Args:
        model: directory with `model.safetensors` and `model.json`; None for the base model.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, …
        workers: queries that are computed side by side. With more than one, each uses one core of a CPU: a single query
            takes longer, and many take less.
        lazy: read name and fingerprint now, and the rest, with torch, when there is something to encode.

    Raises:
        CheckpointError: the directory holds no usable model.
        EncodersError: the device is not there.
    """
    directory = BASE_MODEL if model is None else model
    if lazy:
        return LazyEncoder(directory, lambda: load_encoder(directory, device=device, workers=workers))
    from .inference.torch_encoder import TorchEncoder  # noqa: PLC0415  brings torch, two seconds that listings should not pay

    return TorchEncoder(directory, device=device, workers=workers)


@cache
def caption_bank() -> tuple[str, ...]:
    """Captions that ship with the base model, for collections that have none of their own."""
    lines = (BASE_MODEL / "captions.txt").read_text(encoding="utf-8").split("\n")
    return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
