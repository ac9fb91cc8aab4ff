"""The training loop: one fused objective, an averaged model, a checkpoint each epoch, an exact resume."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..checkpoint.files import Checkpoint, read_checkpoint, write_checkpoint
from ..checkpoint.identity import first_line
from ..datasets import Dataset
from ..device import keep_freed_memory, pick_device
from ..durable import publish
from ..errors import TrainingError
from ..network.model import CrosslookModel
from ..progress import Progress, no_progress
from .config import TrainConfig
from .curves import write_curves
from .data import Batch, PairSet, in_groups, prepare_pairs
from .distributed import Team, assemble_team
from .fitting import fit_classes, fit_hubness
from .objective import Objective
from .validation import Validation, encode_pairs, sentence_means, validate
from .views import OpenPicture

CALIBRATION_DEPTH = 100


@dataclass(frozen=True)
class TrainResult:
    """Where the best model is, and what it reached; `best_epoch` 0 is the model the run started from."""

    model: Path
    epochs: int
    best_epoch: int
    metrics: dict[str, Any]
    stopped_early: bool


def train(
    start: Checkpoint,
    training: Dataset,
    validation: Dataset,
    out: Path,
    *,
    config: TrainConfig,
    open_picture: OpenPicture,
    resume: bool = False,
    progress: Progress = no_progress,
) -> TrainResult:
    """Train both towers and the reranker together, and keep the epoch that validates best.

    A trained `start` counts as epoch 0: where no epoch beats it, it is the result, as it was. Under torchrun the
    processes train one model, and the first of them writes and reports.

    Args:
        start: what to start from; its metadata goes into the result.
        training: pictures with captions.
        validation: pictures with captions, none of them in `training`.
        out: gets `model/` (the best epoch), `last.pt` (to resume), `curves.csv`, `curves.png`, `cache/`.
        open_picture: how a file becomes an upright RGB picture, the same way as when the model is used.
        config: settings; a resumed run takes them from `out` and refuses others.
        resume: go on after the last finished epoch, exactly as if never stopped.
        progress: called as work goes on.

    Raises:
        TrainingError: nothing to resume, other settings, too little to train on, a picture that the frozen stages
            give no finite numbers for, or a loss that is no longer a number.
    """
    device = torch.device(pick_device(config.device))
    with assemble_team(device) as team:
        _check_out(out, resume=resume)
        _check_data(training, validation, team.size, config.batch_size)
        progress = progress if team.rank == 0 else no_progress  # one process of several reports
        run = _Run(start, training, validation, out, config, open_picture, progress, team)
        first = run.restore() if resume else run.begin()
        for epoch in range(first, config.epochs):
            if run.exhausted:
                break
            run.train_epoch(epoch)
            run.finish_epoch(epoch)
        return run.result()


def _check_out(out: Path, *, resume: bool) -> None:
    """Before any time is spent: a run to resume must be there, and a new one must not overwrite it."""
    exists = (out / "last.pt").exists()
    if resume and not exists:
        raise TrainingError(f"{out} holds no run to resume: last.pt is missing")
    if exists and not resume:
        raise TrainingError(f"{out} already holds a run; go on with --resume, or give another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise TrainingError(f"cannot write to {out}: {exc.strerror or exc}") from exc


def _check_data(training: Dataset, validation: Dataset, processes: int, batch_size: int) -> None:
    """Before any time is spent: there must be something to tell apart, and work for every process."""
    if batch_size < processes:
        raise TrainingError(f"batch_size must be at least {processes}, a picture for each process, not {batch_size}")
    for dataset, what, needed in ((training, "train on", max(2, processes)), (validation, "validate on", 2)):
        if len(dataset.examples) < needed:
            count = len(dataset.examples)
            raise TrainingError(f"{dataset.name} has too few pictures to {what}: {count}; at least {needed} are needed")
        bare = next((example.image for example in dataset.examples if not example.captions), None)
        if bare is not None:
            raise TrainingError(f"{bare} has no caption; give it one or take it out of {dataset.name}")


def _digest(*datasets: Dataset) -> str:
    """What a run was trained on: names of pictures and their captions, wherever they lie."""
    content = [[(example.image.name, example.captions) for example in dataset.examples] for dataset in datasets]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


STATE = {"config", "data", "origin", "model", "average", "optimizer", "schedule", "history"}


def _read_state(path: Path, device: torch.device) -> dict[str, Any]:
    """Read what the last finished epoch left.

    Raises:
        TrainingError: the file is cut, damaged, or of another form.
    """
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except Exception as exc:  # of zip, pickle, or torch, each with errors of its own
        raise _damaged(path, exc) from exc
    if not (isinstance(state, dict) and state.keys() >= STATE and isinstance(state["config"], dict)):
        raise _damaged(path, TypeError("it holds something else"))
    return state


def _damaged(path: Path, exc: Exception) -> TrainingError:
    return TrainingError(
        f"{path} is damaged ({type(exc).__name__}: {first_line(exc)}); put a whole copy in its place, "
        "or start again in another --out"
    )


class _Run:
    """The state of one training run."""

    def __init__(
        self,
        start: Checkpoint,
        training: Dataset,
        validation: Dataset,
        out: Path,
        config: TrainConfig,
        open_picture: OpenPicture,
        progress: Progress,
        team: Team,
    ) -> None:
        self.open_picture, self.team = open_picture, team
        self.start, self.out, self.config, self.progress = start, out, config, progress
        self.device = torch.device(pick_device(config.device))
        keep_freed_memory()
        self.model = start.model.to(self.device)
        self.weights = start.calibration if config.keep and "training" in start.metadata else None
        self.origin = {k: v.detach().clone() for k, v in self.model.named_parameters()} if config.keep else {}
        self.history: list[dict[str, float]] = []
        self.datasets = (training, validation)
        self.data = _digest(training, validation)
        captions = [caption for example in training.examples for caption in example.captions]
        self.lexicon = start.lexicon.taught(captions) if start.model.config.classes else start.lexicon
        self.pairs = self._prepare(training, "training pictures", config.views)
        self.held_out = self._prepare(validation, "validation pictures", 1)
        self._freeze()
        self.progress("reading captions", 0, 1)
        sentences, self.neighbours = None, None
        if config.soft_targets or config.group_size > 1:
            sentences = sentence_means(self.model.text.tower, self.pairs)
            if config.group_size > 1:
                self.neighbours = team.broadcast(lambda: self.pairs.neighbours(sentences))
        like = sentences if config.soft_targets else None
        self.objective = Objective(self.model, like, start.tokenizer, config, team)
        self.average = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(config.average))  # type: ignore[no-untyped-call]  # torch
        self.steps_per_epoch = math.ceil(len(self.pairs.activations) / config.batch_size)
        self.optimizer = torch.optim.AdamW(self._groups(), betas=(0.9, 0.98))
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._one_cycle)

    def _prepare(self, dataset: Dataset, phase: str, views: int) -> PairSet:
        def prepare() -> PairSet:
            return prepare_pairs(
                dataset,
                self.open_picture,
                self.model.image.tower,
                self.start.tokenizer,
                self.out / "cache",
                cut=self.config.image_cut,
                views=views,
                phase=phase,
                progress=self.progress,
            )

        prepared: list[PairSet] = []
        self.team.broadcast(lambda: prepared.append(prepare()))
        return prepared[0] if prepared else prepare()  # by now all of it is cached

    def _freeze(self) -> None:
        tower = self.model.image.tower
        if tower.split is not None and self.config.image_cut > tower.split:
            raise TrainingError(f"this model is split after {tower.split} CNN stages; freeze at most so many")
        if self.model.config.classes and self.config.image_cut != tower.split:
            raise TrainingError(
                f"this model's classifier reads {tower.split} CNN stages as they are; freeze just those"
            )
        for stage in tower.stages[: self.config.image_cut]:
            stage.requires_grad_(requires_grad=False)
        self.model.text.tower.freeze(self.config.text_cut)
        if not self.config.train_towers:
            self.model.freeze_towers()

    def _groups(self) -> list[dict[str, Any]]:
        """Parameters by their learning rate; norms and biases are not decayed."""
        rates = {"image.tower": self.config.image_rate, "text.tower": self.config.text_rate}
        groups: dict[tuple[float, float], list[Tensor]] = {}
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad:
                rate = self.config.learning_rate * rates.get(".".join(name.split(".")[:2]), 1.0)
                decay = self.config.weight_decay if parameter.ndim > 1 else 0.0
                groups.setdefault((rate, decay), []).append(parameter)
        return [{"params": p, "lr": rate, "weight_decay": decay} for (rate, decay), p in groups.items()]

    def _one_cycle(self, step: int) -> float:
        total = self.config.epochs * self.steps_per_epoch
        rise = max(1.0, self.config.warmup * total)
        if step < rise:
            return (step + 1) / rise
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1.0, total - rise))))

    def begin(self) -> int:
        """Start afresh; what is trained already is validated as epoch 0, and kept until an epoch beats it."""
        self.history = self.team.broadcast(self._epoch_zero)
        if not self.config.train_towers:
            self._fit(self.model)  # once for all epochs: what it follows from stays as it is
        return 0

    def _epoch_zero(self) -> list[dict[str, float]]:
        (self.out / "config.json").write_text(json.dumps(asdict(self.config), indent=2) + "\n")
        if "training" not in self.start.metadata:
            return []
        self.progress("validation", 0, 1)
        result = validate(self.model, encode_pairs(self.model, self.held_out, cut=self.config.image_cut))
        write_checkpoint(self.start, self.out / "model")
        self.progress("validation", 1, 1)
        return [{"epoch": 0, **_row(result)}]

    def restore(self) -> int:
        """Load the last finished epoch."""
        path = self.out / "last.pt"
        state = _read_state(path, self.device)
        if state["config"] != asdict(self.config):
            before, now = state["config"], asdict(self.config)
            changed = ", ".join(f"{k} was {before.get(k)} and is {now[k]}" for k in now if before.get(k) != now[k])
            raise TrainingError(f"{self.out} was trained with other settings: {changed}; resume with the same ones")
        if state["origin"] != self._origin_digest():
            raise TrainingError(f"{self.out} was started from another model; resume with the same one")
        if state["data"] != self.data:
            raise TrainingError(f"{self.out} was trained on other pictures or captions; resume with the same dataset")
        try:
            self.model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.schedule.load_state_dict(state["schedule"])
            self.history = state["history"]
            if not 0 <= self.best_epoch <= self.epochs <= self.config.epochs:
                raise ValueError("its epochs do not fit together")  # noqa: TRY301  damage like any other
        except Exception as exc:  # torch checks no more than it stumbles over
            raise _damaged(path, exc) from exc
        return self.epochs

    def train_epoch(self, epoch: int) -> None:
        """One pass over the pictures. Every random choice follows from the seed and the epoch alone."""
        seed = self.config.seed * 100_003 + epoch
        torch.manual_seed(seed)
        self.model.train()
        sums: dict[str, float] = {}
        count = 0
        for batch in self._batches(epoch):
            self.team.agree(seed + 1_000_003 * count)
            losses = self.objective(batch)
            loss = torch.stack([getattr(self.config, f"{name}_weight") * value for name, value in losses.items()]).sum()
            figures = self.team.total({**losses, "loss": loss})
            self._check(figures["loss"], "loss", epoch, count)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch
            self.team.add_gradients(self.model.parameters())
            self._check(nn.utils.clip_grad_norm_(self.model.parameters(), 1.0), "gradient", epoch, count)
            self.optimizer.step()
            self.schedule.step()
            self.average.update_parameters(self.model)
            count += 1
            for name, value in figures.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach())
            self.progress(f"epoch {epoch + 1}/{self.config.epochs}", count, self.steps_per_epoch)
        self.history.append({"epoch": epoch + 1, **{name: value / count for name, value in sums.items()}})

    def _check(self, value: Tensor, what: str, epoch: int, count: int) -> None:
        if not torch.isfinite(value):
            kept = f"; the best model so far, of epoch {self.best_epoch}, is kept" if self.history else ""
            raise TrainingError(
                f"the {what} became {value.item()} in epoch {epoch + 1}, step {count + 1}; "
                f"a lower learning rate than {self.config.learning_rate} usually helps, in another --out{kept}"
            )

    def _batches(self, epoch: int) -> Iterator[Batch]:
        least = max(2, self.team.size)
        rng = np.random.default_rng((self.config.seed, epoch))
        order = in_groups(len(self.pairs.activations), self.neighbours, self.config.group_size, rng)
        return self.pairs.batches(order, self.config.batch_size, self.config.captions_per_image, rng, least=least)

    def finish_epoch(self, epoch: int) -> None:
        """Validate the averaged model, keep it if it is the best, and write everything down."""
        self.history[-1] |= self.team.broadcast(lambda: self._validate(epoch))

    def _validate(self, epoch: int) -> dict[str, float]:
        averaged = self._averaged()
        self.progress("validation", 0, 1)
        if self.config.train_towers:
            self._fit(averaged)
        held_out = encode_pairs(averaged, self.held_out, cut=self.config.image_cut)
        result = validate(averaged, held_out, weights=self.weights)
        row = _row(result)
        self.history[-1] |= row
        if self.best_epoch == epoch + 1:
            self._keep(averaged, result, epoch)
        write_curves(self.history, self.out)
        state = {
            "config": asdict(self.config),
            "data": self.data,
            "origin": self._origin_digest(),
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "history": self.history,
        }
        torch.save(state, self.out / "last.pt.tmp")
        publish(self.out / "last.pt.tmp", self.out / "last.pt")
        self.progress("validation", 1, 1)
        return row

    def _origin_digest(self) -> str:
        """Which weights the result keeps a share of."""
        digest = hashlib.sha256()
        for value in self.origin.values():
            digest.update(value.cpu().numpy().tobytes())
        return digest.hexdigest()

    def _fit(self, model: CrosslookModel) -> None:
        """Work out anew what follows from the towers; what is kept of a trained start keeps its querybank."""
        fit_classes(model, self.start.tokenizer, self.start.lexicon.class_names)
        if self.weights is None:
            fit_hubness(model, self.pairs, cut=self.config.image_cut)

    def _averaged(self) -> CrosslookModel:
        """The average of the run's models, and of the one it started from as far as that is kept."""
        averaged = cast(CrosslookModel, self.average.module)
        if self.origin:
            averaged = deepcopy(averaged)
            for name, value in averaged.named_parameters():
                value.data.lerp_(self.origin[name], self.config.keep)
        return averaged

    def _keep(self, model: CrosslookModel, result: Validation, epoch: int) -> None:
        training, validation = self.datasets
        metadata = self.start.metadata | {
            "training": {
                "dataset": training.name,
                "images": len(training.examples),
                "captions": sum(len(e.captions) for e in training.examples),
                "epoch": epoch + 1,
                "config": asdict(self.config),
            },
            "metrics": {"dataset": validation.name, "images": len(validation.examples)} | _row(result),
        }
        write_checkpoint(
            Checkpoint(self.start.name, model, self.start.tokenizer, result.calibration, metadata, self.lexicon),
            self.out / "model",
        )

    @property
    def epochs(self) -> int:
        """How many epochs are finished."""
        return int(self.history[-1]["epoch"]) if self.history else 0

    @property
    def best_epoch(self) -> int:
        """The first epoch whose reranked recalls sum highest; 0 is what the run started from."""
        return int(self._best["epoch"])

    @property
    def _best(self) -> dict[str, float]:
        return max(self.history, key=lambda row: row["total"])

    @property
    def exhausted(self) -> bool:
        """Whether validation has not improved for `patience` epochs."""
        return bool(self.history) and self.epochs - self.best_epoch >= self.config.patience

    def result(self) -> TrainResult:
        """What came of it."""
        metrics = self._best | self.team.broadcast(self._calibrate)
        return TrainResult(self.out / "model", self.epochs, self.best_epoch, metrics, self.epochs < self.config.epochs)

    def _calibrate(self) -> dict[str, float]:
        """Fit the best model's calibration anew on lists as long as a search reranks; its epochs saw shorter ones.

        The model that the run started from keeps its own.
        """
        best = read_checkpoint(self.out / "model")
        model = best.model.to(self.device)
        self.progress("calibration", 0, 1)
        pairs = encode_pairs(model, self.held_out, cut=self.config.image_cut)
        given = None if self.best_epoch else best.calibration
        result = validate(model, pairs, depth=CALIBRATION_DEPTH, calibration=given, weights=self.weights)
        if given is None:
            metadata = best.metadata | {"metrics": best.metadata["metrics"] | _row(result)}
            write_checkpoint(replace(best, calibration=result.calibration, metadata=metadata), self.out / "model")
        self.progress("calibration", 1, 1)
        return _row(result)


def _row(result: Validation) -> dict[str, float]:
    row: dict[str, float] = {}
    for stage, recalls in (("retrieval", result.retrieval), ("reranked", result.reranked)):
        for way, values in (("t2i", recalls.text_to_image), ("i2t", recalls.image_to_text)):
            row |= {f"{stage}_{way}_r{k}": round(v, 2) for k, v in zip((1, 5, 10), values, strict=True)}
    found = result.calibration
    weights = {name: getattr(found, name) for name in ("match_weight", "whole_weight", "hubness_weight")}
    return row | weights | {"total": round(result.reranked.total, 2)}
