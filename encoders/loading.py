"""Loading a model. Importing this module does not load torch; loading a model does."""

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
        lazy: read name and fingerprint now; load torch and the weights when there is something to encode.
        workers: queries computed in parallel. With more than one, each uses one CPU core: a single query takes longer,
            and throughput is higher.

    Raises:
        CheckpointError: the directory holds no usable model.
        EncodersError: the device is not available.
    """
    directory = BASE_MODEL if model is None else model
    if lazy:
        return LazyEncoder(directory, lambda: load_encoder(directory, device=device, workers=workers))
    from .inference.torch_encoder import TorchEncoder  # noqa: PLC0415  loads torch: two seconds that listings need not wait

    return TorchEncoder(directory, device=device, workers=workers)


@cache
def caption_bank() -> tuple[str, ...]:
    """Return the captions that ship with the base model, for collections without captions."""
    lines = (BASE_MODEL / "captions.txt").read_text(encoding="utf-8").split("\n")
    return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
