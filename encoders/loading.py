"""Loading a model. Torch is loaded for a GPU, and for models that have no graphs for ONNX Runtime."""

from __future__ import annotations

import time
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .architecture import PAIR
from .checkpoint.description import Description, read_description
from .checkpoint.graphs import read_graphs
from .checkpoint.identity import BASE_MODEL, PAIR_FOLDER, identify
from .errors import CheckpointError, EncodersError, first_line
from .features import Floats
from .hardware import nvidia_gpus
from .inference.encoder import ModelEncoder
from .inference.graph_parts import GraphParts
from .inference.lazy_encoder import LazyEncoder
from .inference.parts import Parts
from .inference.sessions import PROVIDERS, runtime_devices
from .pairs.calibration import read_curve
from .pairs.description import is_pair, read_pair
from .pairs.encoder import PairEncoder
from .pairs.reranked import RerankedPair
from .pairs.towers import PairTowers
from .protocol import Encoder

TRIAL_PICTURES = 16


def load_encoder(
    model: Path | None = None, *, device: str = "auto", lazy: bool = False, workers: int = 1, exact: bool = False
) -> Encoder:
    """Load a model.

    Args:
        model: directory of a model of crosslook or of a pretrained pair; None for the base model.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, …, or another of ONNX Runtime's, see `inference/sessions.py`.
        lazy: read name and fingerprint now; load the rest when there is something to encode.
        workers: calls computed in parallel. With more than one, each uses one CPU core: a single query takes longer,
            and throughput is higher.
        exact: encode pictures in float32 even where int8 is faster.

    Raises:
        CheckpointError: the directory holds no usable model.
        EncodersError: the device is not available, or PyTorch is needed and not installed.
    """
    directory = BASE_MODEL if model is None else model
    if lazy:
        name, fingerprint = _identify(directory)
        load = partial(load_encoder, directory, device=device, workers=workers, exact=exact)
        return LazyEncoder(directory, name, fingerprint, load)
    if is_pair(directory):
        return PairEncoder(directory, device=device, workers=workers)
    description = read_description(directory)
    if description.config.backbone == PAIR:
        towers = PairTowers(directory / PAIR_FOLDER, device=device, one_thread=workers > 1)
        trained = _parts(directory, description, "cpu", one_thread=workers > 1)
        return RerankedPair(directory, description, towers, trained, workers=workers)
    parts = _parts(directory, description, device, one_thread=workers > 1, exact=exact)
    return ModelEncoder(directory, description, parts, workers=workers)


def _identify(directory: Path) -> tuple[str, str]:
    """Read the name and the fingerprint of the model in a directory."""
    model = read_pair(directory) if is_pair(directory) else identify(directory)
    return model.name, model.fingerprint


def _parts(directory: Path, description: Description, device: str, *, one_thread: bool, exact: bool = False) -> Parts:
    """Choose ONNX Runtime for its own devices and where there is no GPU, else torch."""
    has_torch = find_spec("torch") is not None
    if device == "auto":
        device = _torch_device() if has_torch and nvidia_gpus() else "cpu"
    if device.partition(":")[0] in PROVIDERS or not has_torch:
        graphs = read_graphs(directory, description.weights.digest)
        if graphs is not None:
            if device.startswith("cuda"):
                raise EncodersError(
                    f"device {device!r} needs PyTorch: pip install 'crosslook[gpu]'; or use --device cpu"
                )
            return GraphParts(description, graphs, device, one_thread=one_thread, int8=False if exact else None)
        if not has_torch:
            raise CheckpointError(
                f"the model in {directory} has no graphs for ONNX Runtime, as earlier versions of crosslook wrote it; "
                "only PyTorch can run it: pip install 'crosslook[train]'"
            )
    from .inference.torch_parts import TorchParts  # noqa: PLC0415  loads torch: two seconds

    return TorchParts(description, device, one_thread=one_thread)


def _torch_device() -> str:
    """The GPU if torch can use it, else the CPU: a build without CUDA, or an old driver."""
    from .device import pick_device  # noqa: PLC0415  loads torch

    return pick_device()


def abilities(model: Path | None) -> list[str]:
    """Return what a model does beside retrieving by vectors, by its description alone.

    Args:
        model: directory of a model; None for the base model.

    Returns:
        Some of `reranks`, `heat maps` and `probabilities`; none for a damaged pair.
    """
    if model is None or not is_pair(model):
        return ["reranks", "heat maps", "probabilities"]
    try:
        pair = read_pair(model)
        has_curve = pair.bias is not None or read_curve(model) is not None
    except CheckpointError:
        return []
    return ["heat maps"] * pair.has_heat_maps + ["probabilities"] * has_curve


class DeviceTrial(NamedTuple):
    """How a device did: milliseconds a picture, and the lowest cosine to exact vectors; or why it does not work."""

    device: str
    milliseconds: float | None = None
    agreement: float | None = None
    int8: bool = False
    fault: str | None = None


def try_devices(model: Path | None = None) -> list[DeviceTrial]:
    """Encode the same pictures on every device that this machine seems to have, the CPU first."""
    gpus = [f"cuda:{number}" for number in range(len(nvidia_gpus()))] if find_spec("torch") is not None else []
    trials: list[DeviceTrial] = []
    expected: Floats | None = None  # the CPU's
    for device in [*runtime_devices(), *gpus]:
        try:
            encoder = load_encoder(model, device=device)
            side = encoder.input_size
            pixels = np.random.default_rng(0).integers(0, 256, (TRIAL_PICTURES, side, side, 3), np.uint8)
            vectors = encoder.encode_images(pixels).vectors  # also loads the model
            began = time.perf_counter()
            encoder.encode_images(pixels)
            taken = 1e3 * (time.perf_counter() - began) / len(pixels)
            int8 = isinstance(encoder, ModelEncoder) and encoder.int8
            if expected is None:
                expected = (
                    load_encoder(model, device=device, exact=True).encode_images(pixels).vectors if int8 else vectors
                )
        except Exception as exc:  # noqa: BLE001  drivers raise anything, and the other devices are tried all the same
            trials.append(DeviceTrial(device, fault=first_line(exc)))
            continue
        trials.append(DeviceTrial(device, taken, float((vectors * expected).sum(1).min()), int8))
    return trials


@cache
def caption_bank() -> tuple[str, ...]:
    """Return the captions that ship with the base model, for collections without captions."""
    lines = (BASE_MODEL / "captions.txt").read_text(encoding="utf-8").split("\n")
    return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
