"""A model on disk: `model.safetensors` and, beside it, `model.json`. Reading one runs none of its bytes as code."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..durable import publish
from ..errors import CheckpointError, first_line
from ..network.model import CrosslookModel, ModelConfig
from .calibration import Calibration
from .identity import DESCRIPTION, FORMAT, VERSION, WEIGHTS, WeightsFile, identify
from .lexicon import Lexicon
from .migrations import from_version_1
from .tokenizer import Tokenizer

RESERVED_KEYS = {
    *("format", "version", "name", "weights_sha256", "architecture", "preprocessing", "calibration"),
    *("class_names", "word_counts", "vocabulary", "scores"),
}
LARGE, BLOCK = 2**16, 32
SCALES, ROW_SCALE = ".scales", ".row_scale"
"""Ends of the names of int8 matrices' scales: one for each block of a row, and, up to version 2, one for each row."""

Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True)
class Checkpoint:
    """A model with everything needed to use it.

    `metadata` is free-form: training data and its terms, metrics, base parts and their licences.
    """

    name: str
    model: CrosslookModel
    tokenizer: Tokenizer
    calibration: Calibration
    metadata: dict[str, Any] = field(default_factory=dict)
    lexicon: Lexicon = field(default_factory=Lexicon)


@dataclass(frozen=True)
class Description:
    """The content of `model.json`, checked against the weights beside it, which are held open."""

    weights: WeightsFile
    name: str
    fingerprint: str
    config: ModelConfig
    tokenizer: Tokenizer
    calibration: Calibration
    metadata: dict[str, Any]
    lexicon: Lexicon
    version: int

    def load(self, prefix: str, build: Callable[[], Module]) -> Module:
        """Build a part of the model and fill it with its weights, in float32, ready for inference.

        Args:
            prefix: what the names of the part's weights start with, `""` for the whole model.
            build: makes the module; its random initial weights are never computed.

        Raises:
            CheckpointError: weights and description do not match, or the weights were overwritten.
        """
        try:
            with safe_open(self.weights.path_to_open(), "pt") as file:
                names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118  not a dict
                weights = unpack_weights({name: file.get_tensor(name) for name in names})
            self.weights.check()
            if self.version == 1:
                weights = from_version_1(weights, prefix, self.config, self.calibration)
            with torch.device("meta"), _SkipInitialisation():
                module = build()
            module.load_state_dict({name[len(prefix) :]: value for name, value in weights.items()}, assign=True)
        except (SafetensorError, OSError, RuntimeError) as exc:
            raise CheckpointError(
                f"{self.weights.path}: its weights do not fit {DESCRIPTION} ({first_line(exc)})"
            ) from exc
        return module.eval().requires_grad_(requires_grad=False)


class _SkipInitialisation(TorchFunctionMode):
    """Skips the random initialisation of weights about to be replaced.

    On the meta device it would need no arithmetic, but would import torch's compiler: a second and a half.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> object:
        """Call `func`, unless it fills a tensor with random numbers."""
        if func in (nn.init.normal_, nn.init.uniform_, Tensor.normal_, Tensor.uniform_):
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


def pack_weights(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Quantise large matrices to int8, each `BLOCK` values of a row with one scale; the rest to half precision."""
    packed: dict[str, Tensor] = {}
    for name, value in weights.items():
        if value.is_floating_point() and value.ndim > 1 and value.numel() >= LARGE:
            blocks = _blocks(value)
            scales = blocks.abs().amax(2, keepdim=True).clamp(min=1e-12) / 127
            packed[name] = _from_blocks((blocks / scales).round(), value.shape).to(torch.int8)
            packed[name + SCALES] = scales.squeeze(2)
        else:
            packed[name] = value.half() if value.is_floating_point() else value
    return {name: value.contiguous().cpu() for name, value in packed.items()}


def unpack_weights(packed: dict[str, Tensor]) -> dict[str, Tensor]:
    """Restore in float32 what `pack_weights` packed; large matrices to within half a quantisation step."""
    weights: dict[str, Tensor] = {}
    for name, value in packed.items():
        if name + SCALES in packed:
            weights[name] = _from_blocks(_blocks(value) * packed[name + SCALES].unsqueeze(2), value.shape)
        elif name + ROW_SCALE in packed:
            weights[name] = value.float() * packed[name + ROW_SCALE].reshape(-1, *[1] * (value.ndim - 1))
        elif not name.endswith((SCALES, ROW_SCALE)):
            weights[name] = value.float() if value.is_floating_point() else value.clone()  # no view of the file
    return weights


def _blocks(value: Tensor) -> Tensor:
    """Cut the rows of a matrix or convolution into blocks, the last one padded: (R, …) → (R, blocks, `BLOCK`)."""
    rows = value.float().flatten(1)
    return F.pad(rows, (0, -rows.shape[1] % BLOCK)).reshape(len(rows), -1, BLOCK)


def _from_blocks(blocks: Tensor, shape: torch.Size) -> Tensor:
    """Undo `_blocks`."""
    return blocks.flatten(1)[:, : shape[1:].numel()].reshape(shape)


def write_checkpoint(checkpoint: Checkpoint, directory: Path) -> str:
    """Write a model; each file is flushed to the disk under a temporary name, then renamed.

    Returns:
        The fingerprint: SHA-256 over both files.
    """
    directory.mkdir(parents=True, exist_ok=True)
    weights, description = directory / f"{WEIGHTS}.tmp", directory / f"{DESCRIPTION}.tmp"
    save_file(pack_weights(checkpoint.model.state_dict()), weights)
    document = {
        "format": FORMAT,
        "version": VERSION,
        "name": checkpoint.name,
        "weights_sha256": WeightsFile(weights).digest,
        "architecture": asdict(checkpoint.model.config),
        "preprocessing": "EXIF orientation applied, alpha over white, whole picture resized to a square (bicubic)",
        "calibration": asdict(checkpoint.calibration),
        **checkpoint.metadata,
        "class_names": checkpoint.lexicon.class_names,
        "word_counts": dict(sorted(checkpoint.lexicon.counts.items())),
        "vocabulary": checkpoint.tokenizer.vocabulary,
    }
    if checkpoint.tokenizer.scores is not None:
        document["scores"] = checkpoint.tokenizer.scores
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    description.write_text(text, encoding="utf-8")
    publish(weights, directory / WEIGHTS)
    publish(description, directory / DESCRIPTION)
    return read_description(directory).fingerprint


def read_description(directory: Path) -> Description:
    """Read and check a model's description, without loading its weights.

    Raises:
        CheckpointError: a file is missing, cut short, altered, or in an unknown format.
    """
    identity = identify(directory)
    document = identity.document
    try:
        settings = {f.name for f in fields(ModelConfig)}
        config = ModelConfig(**{k: v for k, v in document["architecture"].items() if k in settings})
        tokenizer = Tokenizer(document["vocabulary"], config.max_tokens, document.get("scores"))
        calibration = Calibration(**document["calibration"])
        lexicon = Lexicon(dict(document.get("word_counts", {})), tuple(document.get("class_names", ())))
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        description = directory / DESCRIPTION
        raise CheckpointError(f"{description}: a key is missing or malformed ({first_line(exc)})") from exc
    return Description(
        weights=identity.weights,
        name=identity.name,
        fingerprint=identity.fingerprint,
        config=config,
        tokenizer=tokenizer,
        calibration=calibration,
        metadata={k: v for k, v in document.items() if k not in RESERVED_KEYS},
        lexicon=lexicon,
        version=document["version"],
    )


def read_checkpoint(directory: Path) -> Checkpoint:
    """Read a complete model, for further training.

    Raises:
        CheckpointError: as for `read_description`, or the weights do not match the description.
    """
    description = read_description(directory)
    model = description.load("", lambda: CrosslookModel(description.config)).requires_grad_(requires_grad=True)
    return Checkpoint(
        description.name,
        model,
        description.tokenizer,
        description.calibration,
        description.metadata,
        description.lexicon,
    )
