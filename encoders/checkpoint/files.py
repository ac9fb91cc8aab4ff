"""A model on disk: `model.safetensors` and, beside it, `model.json`. Reading one runs none of its bytes as code."""

from __future__ import annotations

import filecmp
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.numpy import save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..architecture import PAIR
from ..durable import publish
from ..errors import CheckpointError, first_line
from ..network.model import CrosslookModel
from .calibration import Calibration
from .description import Description, read_description
from .foreign_tokenizer import ForeignTokenizer
from .graphs import remove_graphs
from .identity import DESCRIPTION, FORMAT, PAIR_FOLDER, VERSION, WEIGHTS, WeightsFile
from .lexicon import Lexicon
from .migrations import from_version_1
from .tokenizer import AnyTokenizer, Tokenizer
from .weights import pack_weights, read_packed_weights, unpack_weights

Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True)
class Checkpoint:
    """A model with everything needed to use it.

    `metadata` is free-form: training data and its terms, metrics, base parts and their licences. `pair` is the folder
    of the pretrained pair whose encoders are the towers, if they are.
    """

    name: str
    model: CrosslookModel
    tokenizer: AnyTokenizer
    calibration: Calibration
    metadata: dict[str, Any] = field(default_factory=dict)
    lexicon: Lexicon = field(default_factory=Lexicon)
    pair: Path | None = None


def load_part(description: Description, prefix: str, build: Callable[[], Module]) -> Module:
    """Build a part of a model and fill it with its weights, in float32, ready for inference.

    Args:
        description: of the model.
        prefix: what the names of the part's weights start with, `""` for the whole model.
        build: makes the module, with the names that its weights have in the model; its random initial weights are
            never computed.

    Raises:
        CheckpointError: weights and description do not match, or the weights were overwritten.
    """
    try:
        arrays = unpack_weights(read_packed_weights(description.weights, prefix))
        weights = {name: torch.from_numpy(array) for name, array in arrays.items()}
        if description.version == 1:
            weights = from_version_1(weights, prefix, description.config, description.calibration)
        with torch.device("meta"), _SkipInitialisation():
            module = build()
        module.load_state_dict(weights, assign=True)
    except RuntimeError as exc:
        raise CheckpointError(
            f"{description.weights.path}: its weights do not fit {DESCRIPTION} ({first_line(exc)})"
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


def write_checkpoint(checkpoint: Checkpoint, directory: Path) -> str:
    """Write a model; each file is flushed to the disk under a temporary name, then renamed.

    The graphs of an earlier model there are removed: `export.write_graphs` writes those of this one. The files of a
    pair are linked where the file system can, else copied.

    Returns:
        The fingerprint: SHA-256 over both files.
    """
    directory.mkdir(parents=True, exist_ok=True)
    weights, description = directory / f"{WEIGHTS}.tmp", directory / f"{DESCRIPTION}.tmp"
    arrays = {name: value.detach().cpu().numpy() for name, value in checkpoint.model.state_dict().items()}
    save_file(pack_weights(arrays), weights)
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
        **_tokenizer_document(checkpoint.tokenizer),
    }
    if checkpoint.pair is not None:
        _place(checkpoint.pair, directory / PAIR_FOLDER)
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    description.write_text(text, encoding="utf-8")
    remove_graphs(directory)
    publish(weights, directory / WEIGHTS)
    publish(description, directory / DESCRIPTION)
    return read_description(directory).fingerprint


def _tokenizer_document(tokenizer: AnyTokenizer) -> dict[str, Any]:
    if isinstance(tokenizer, ForeignTokenizer):
        return {"tokenizer": tokenizer.settings}
    if not isinstance(tokenizer, Tokenizer):
        raise TypeError(f"no model has a {type(tokenizer).__name__}")
    scores = {} if tokenizer.scores is None else {"scores": tokenizer.scores}
    return {"vocabulary": tokenizer.vocabulary} | scores


def _place(pair: Path, folder: Path) -> None:
    """Put the files of a pair into a folder, each whole or not at all; those that are there already stay."""
    folder.mkdir(exist_ok=True)
    for path in filter(Path.is_file, pair.iterdir()):
        target = folder / path.name
        if target.exists() and (target.samefile(path) or filecmp.cmp(path, target)):
            continue
        temporary = folder / f"{path.name}.tmp"
        temporary.unlink(missing_ok=True)
        try:
            temporary.hardlink_to(path)
            temporary.replace(target)
        except OSError:  # on another disk, or of a file system without links
            try:
                shutil.copy2(path, temporary)  # with its time, by which the next call knows it
                publish(temporary, target)
            finally:
                temporary.unlink(missing_ok=True)


def read_checkpoint(directory: Path) -> Checkpoint:
    """Read a complete model, for further training.

    Raises:
        CheckpointError: as for `read_description`, or the weights do not match the description.
    """
    description = read_description(directory)
    model = load_part(description, "", lambda: CrosslookModel(description.config)).requires_grad_(requires_grad=True)
    return Checkpoint(
        description.name,
        model,
        description.tokenizer,
        description.calibration,
        description.metadata,
        description.lexicon,
        directory / PAIR_FOLDER if description.config.backbone == PAIR else None,
    )
