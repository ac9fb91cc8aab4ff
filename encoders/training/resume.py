"""`last.pt`: the state of a run after its last finished epoch, to resume from, or its result once it is finished."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..datasets import Dataset
from ..durable import publish
from ..errors import TrainingError, cause
from .config import TrainConfig

STATE_FILE, MODEL, CACHE = "last.pt", "model", "cache"
RUN = {"config", "data", "origin", "history"}
UNFINISHED = {"model", "average", "optimizer", "schedule"}
BEFORE = {"label_weight": 0.0}
"""What a setting was before it existed, if not its default."""
RESULT = "metrics"
"""What a state has beside `RUN`: the weights and more, or the metrics of a finished run."""


def check_folder(out: Path, *, resume: bool) -> None:
    """Make a run's folder.

    Raises:
        TrainingError: the folder has no run to resume, already has a run, or cannot be written to.
    """
    exists = (out / STATE_FILE).exists()
    if resume and not exists:
        raise TrainingError(f"{out} holds no run to resume: {STATE_FILE} is missing")
    if exists and not resume:
        raise TrainingError(f"{out} already holds a run; go on with --resume, or give another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise TrainingError(f"cannot write to {out}: {exc.strerror or exc}") from exc


def dataset_digest(training: Dataset, *validation: Dataset) -> str:
    """Digest the names, captions and labels of a run's pictures, in whichever folder they are.

    Of several validation datasets, which have columns of their own in the curves, also the names.
    """
    datasets = (training, *validation)
    content: list[Any] = [
        [(e.image.name, e.captions, *([e.labels] if e.labels else [])) for e in d.examples] for d in datasets
    ]
    if len(validation) > 1:
        content.append([dataset.name for dataset in validation])
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def weights_digest(weights: Iterable[Tensor]) -> str:
    """Digest the weights that the result keeps a share of."""
    digest = hashlib.sha256()
    for value in weights:
        digest.update(value.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def write_state(out: Path, state: dict[str, Any]) -> None:
    """Replace the state of the epoch before."""
    torch.save(state, out / f"{STATE_FILE}.tmp")
    publish(out / f"{STATE_FILE}.tmp", out / STATE_FILE)


def read_state(out: Path, device: torch.device, facts: dict[str, Any]) -> dict[str, Any]:
    """Read the state of the last finished epoch, or of a finished run, which has a `RESULT`.

    Args:
        out: the run's folder.
        device: where its tensors go.
        facts: what the run must have been started with: its settings as `config`, the `dataset_digest` as `data`, and
            the `weights_digest` as `origin`.

    Raises:
        TrainingError: the file is damaged, or of a run with other settings, another starting model or another dataset.
    """
    try:
        state = torch.load(out / STATE_FILE, map_location=device, weights_only=True)
    except Exception as exc:  # of zip, pickle, or torch, each with its own errors
        raise damaged(out, exc) from exc
    whole = isinstance(state, dict) and state.keys() >= RUN and (state.keys() >= UNFINISHED or RESULT in state)
    if not (whole and isinstance(state["config"], dict)):
        raise damaged(out, TypeError("it holds something else"))
    previous, current = asdict(TrainConfig()) | BEFORE | state["config"], facts["config"]
    if previous != current:
        changed = ", ".join(
            f"{k} was {previous.get(k)} and is {current[k]}" for k in current if previous.get(k) != current[k]
        )
        raise TrainingError(f"{out} was trained with other settings: {changed}; resume with the same ones")
    if state["origin"] != facts["origin"]:
        raise TrainingError(f"{out} was started from another model; resume with the same one")
    if state["data"] != facts["data"]:
        raise TrainingError(f"{out} was trained on other pictures or captions; resume with the same datasets")
    return state


def damaged(out: Path, exc: Exception) -> TrainingError:
    """Make the error for a state that cannot be read or loaded."""
    return TrainingError(
        f"{out / STATE_FILE} is damaged ({cause(exc)}); put a whole copy in its place, or start again in another --out"
    )
