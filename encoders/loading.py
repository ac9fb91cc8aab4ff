"""Loading a model. Torch is loaded for a GPU, and for models that have no graphs for ONNX Runtime."""

from __future__ import annotations

from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path

from .checkpoint.description import Description, read_description
from .checkpoint.graphs import read_graphs
from .checkpoint.identity import BASE_MODEL, identify
from .errors import CheckpointError, EncodersError
from .hardware import nvidia_gpus
from .inference.encoder import ModelEncoder
from .inference.graph_parts import GraphParts
from .inference.lazy_encoder import LazyEncoder
from .inference.parts import Parts
from .pairs.description import is_pair, read_pair
from .pairs.encoder import PairEncoder
from .protocol import Encoder


def load_encoder(model: Path | None = None, *, device: str = "auto", lazy: bool = False, workers: int = 1) -> Encoder:
    """Load a model.

    Args:
        model: directory of a model of crosslook or of a pretrained pair; None for the base model.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, …
        lazy: read name and fingerprint now; load the rest when there is something to encode.
        workers: calls computed in parallel. With more than one, each uses one CPU core: a single query takes longer,
            and throughput is higher.

    Raises:
        CheckpointError: the directory holds no usable model.
        EncodersError: the device is not available, or PyTorch is needed and not installed.
    """
    directory = BASE_MODEL if model is None else model
    if lazy:
        name, fingerprint = _identify(directory)
        load = partial(load_encoder, directory, device=device, workers=workers)
        return LazyEncoder(directory, name, fingerprint, load)
    if is_pair(directory):
        if device not in ("auto", "cpu"):
            raise EncodersError(f"a pretrained pair runs on the CPU only, not on {device!r}")
        return PairEncoder(directory, workers=workers)
    description = read_description(directory)
    parts = _parts(directory, description, device, one_thread=workers > 1)
    return ModelEncoder(directory, description, parts, workers=workers)


def _identify(directory: Path) -> tuple[str, str]:
    """Read the name and the fingerprint of the model in a directory."""
    model = read_pair(directory) if is_pair(directory) else identify(directory)
    return model.name, model.fingerprint


def _parts(directory: Path, description: Description, device: str, *, one_thread: bool) -> Parts:
    has_torch = find_spec("torch") is not None
    if device == "cpu" or (device == "auto" and not (has_torch and nvidia_gpus())):
        graphs = read_graphs(directory, description.weights.digest)
        if graphs is not None:
            return GraphParts(description, graphs, one_thread=one_thread)
        if not has_torch:
            raise CheckpointError(
                f"the model in {directory} has no graphs for ONNX Runtime, as earlier versions of crosslook wrote it; "
                "only PyTorch can run it: pip install 'crosslook[train]'"
            )
    elif not has_torch:
        raise EncodersError(f"device {device!r} needs PyTorch: pip install 'crosslook[gpu]', or use --device cpu")
    from .inference.torch_parts import TorchParts  # noqa: PLC0415  loads torch: two seconds

    return TorchParts(description, device, one_thread=one_thread)


@cache
def caption_bank() -> tuple[str, ...]:
    """Return the captions that ship with the base model, for collections without captions."""
    lines = (BASE_MODEL / "captions.txt").read_text(encoding="utf-8").split("\n")
    return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
