"""The training loop: one fused objective, an averaged model, a checkpoint each epoch, an exact resume."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from ..checkpoint.files import Checkpoint, read_checkpoint, write_checkpoint
from ..datasets import Dataset
from ..device import pick_device
from ..errors import TrainingError
from ..memory import keep_freed_memory, return_freed_memory
from ..network.model import CrosslookModel
from ..progress import Progress, no_progress
from .config import TrainConfig
from .curves import write_curves
from .data.frozen import Frozen, FrozenStages
from .data.labels import Labels
from .data.mixture import Mixture, check_data, mix
from .data.pairs import Batch, PairSet, grouped_order, prepare_pairs
from .data.views import OpenPicture
from .distributed import Team, assemble_team
from .encoded import EncodedPairs, encode_pairs, sentence_means
from .fitting import fit_classes, fit_hubness
from .objective import Objective
from .optimization import freeze_layers, moving_average, one_cycle, parameter_groups
from .resume import CACHE, MODEL, RESULT, check_folder, damaged, dataset_digest, read_state, weights_digest, write_state
from .validation import Validation, validate

CALIBRATION_DEPTH = 100


@dataclass(frozen=True)
class TrainResult:
    """The folder of the best model, and its metrics; `best_epoch` 0 is the model the run started from."""

    model: Path
    epochs: int
    best_epoch: int
    metrics: dict[str, Any]
    stopped_early: bool


def train(
    start: Checkpoint,
    training: Sequence[Dataset],
    validation: Sequence[Dataset],
    out: Path,
    *,
    config: TrainConfig,
    open_picture: OpenPicture,
    resume: bool = False,
    progress: Progress = no_progress,
    cache: Path | None = None,
    frozen: Frozen | None = None,
) -> TrainResult:
    """Train both towers and the reranker together, and keep the epoch that validates best.

    A trained `start` counts as epoch 0: if no epoch beats it, it is the result, unchanged. Under torchrun all processes
    train one model, and the first of them writes and reports.

    Args:
        start: the model to start from; its metadata goes into the result.
        training: datasets of pictures with captions, mixed as `config.dataset_weights` says; a picture file of several
            datasets gets all their captions.
        validation: likewise, with different names and none of the pictures in `training`; each is measured for itself,
            and the best epoch is the one with the highest mean.
        out: gets `model/` (the best epoch), `curves.csv`, `curves.png` and `last.pt`, to resume; while the run lasts
            also `cache/`.
        open_picture: opens a file as an upright RGB picture, in the same way as when the model is used.
        config: settings; a resumed run must have the same ones.
        resume: continue after the last finished epoch, with the same results as without an interruption; a finished run
            has its result at once.
        progress: called as the work proceeds.
        cache: a folder of activations that is kept, instead of `cache/` in `out`.
        frozen: the encoders of a pretrained pair, if they are the towers of `start`.

    Raises:
        TrainingError: there is nothing to resume, settings differ, there is too little to train on, datasets overlap,
            activations of a picture are not finite, or a loss is not finite.
    """
    device = torch.device(pick_device(config.device))
    with assemble_team(device) as team:
        check_folder(out, resume=resume)
        mixture = mix(training, config.dataset_weights)
        check_data(training, validation, mixture, team.size, config.batch_size)
        progress = progress if team.rank == 0 else no_progress  # only the first process reports
        facts = {
            "config": asdict(config),
            "data": dataset_digest(mixture.dataset, *validation),
            "origin": weights_digest(start.model.parameters() if config.keep else ())
            if frozen is None
            else frozen.key((), 0, 0),
        }
        state = read_state(out, device, facts) if resume else None
        if state is not None and RESULT in state:
            return _result(out, config, state)
        run = _Run(
            start, mixture, validation, out, config, open_picture, progress, team, cache or out / CACHE, facts, frozen
        )
        first = run.begin() if state is None else run.restore(state)
        for epoch in range(first, config.epochs):
            if run.exhausted:
                break
            run.train_epoch(epoch)
            run.finish_epoch(epoch)
        return _result(out, config, run.finish())


def _result(out: Path, config: TrainConfig, state: dict[str, Any]) -> TrainResult:
    """Make the result of a finished run from its state."""
    try:
        epochs, chosen = int(state["history"][-1]["epoch"]), _chosen(state["history"], config)
        if not state[RESULT].keys() >= chosen.keys():
            raise ValueError("its metrics are not those of its epochs")  # noqa: TRY301  damage like any other
        return TrainResult(out / MODEL, epochs, int(chosen["epoch"]), state[RESULT], epochs < config.epochs)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as exc:
        raise damaged(out, exc) from exc


def _chosen(history: Sequence[dict[str, float]], config: TrainConfig) -> dict[str, float]:
    """The epoch that is kept: the first of those with the highest reranked recalls, in the mean of all, or the last."""
    return max(history, key=lambda row: row["total"]) if config.choose_best else history[-1]


class _Run:
    """The state of one training run."""

    def __init__(
        self,
        start: Checkpoint,
        mixture: Mixture,
        validation: Sequence[Dataset],
        out: Path,
        config: TrainConfig,
        open_picture: OpenPicture,
        progress: Progress,
        team: Team,
        cache: Path,
        facts: dict[str, Any],
        frozen: Frozen | None,
    ) -> None:
        self.open_picture, self.team, self.cache, self.facts = open_picture, team, cache, facts
        self.start, self.out, self.config, self.progress = start, out, config, progress
        self.device = torch.device(pick_device(config.device))
        keep_freed_memory()
        self.model = start.model.to(self.device)
        self.frozen = frozen or FrozenStages(self.model.image.tower, config.image_cut)
        self.weights = start.calibration if config.keep and "training" in start.metadata else None
        self.origin = {k: v.detach().clone() for k, v in self.model.named_parameters()} if config.keep else {}
        self.history: list[dict[str, float]] = []
        self.mixture, self.validation = mixture, validation
        captions = [caption for example in mixture.dataset.examples for caption in example.captions]
        self.lexicon = start.lexicon.with_captions(captions)
        self.pairs = self._prepare(mixture.dataset, "training pictures")
        self.labels = None
        if config.label_weight:
            self.labels = Labels.of(mixture.dataset.examples, mixture.parts, start.tokenizer)
        self.held_out = {
            dataset.name: self._prepare(dataset, "validation pictures", validates=True) for dataset in validation
        }
        freeze_layers(self.model, config)
        self.progress("reading captions", 0, 1)
        sentences, self.neighbours = None, None
        if config.soft_targets or config.group_size > 1:
            sentences = sentence_means(self.model.text.tower, self.pairs, config.precision, self.device)
            if config.group_size > 1:
                self.neighbours = team.broadcast(lambda: self.pairs.neighbours(sentences))
        soft = sentences if config.soft_targets else None
        self.objective = Objective(self.model, soft, start.tokenizer, config, team)
        self.average = moving_average(self.model, config.average)
        self.steps_per_epoch = mixture.steps(config.batch_size)
        self.optimizer = torch.optim.AdamW(parameter_groups(self.model, config), betas=(0.9, 0.98))
        steps = config.epochs * self.steps_per_epoch
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: one_cycle(step, steps, config.warmup)
        )

    def _prepare(self, dataset: Dataset, phase: str, *, validates: bool = False) -> PairSet:
        def prepare() -> PairSet:
            return prepare_pairs(
                dataset,
                self.open_picture,
                self.frozen,
                self.start.tokenizer,
                self.cache,
                views=1 if validates else self.config.views,
                label_queries=validates,
                phase=phase,
                progress=self.progress,
            )

        prepared: list[PairSet] = []
        self.team.broadcast(lambda: prepared.append(prepare()))
        return prepared[0] if prepared else prepare()  # from the cache, which the first process has filled

    def begin(self) -> int:
        """Start a new run; a trained start is validated as epoch 0, and is the best model until an epoch beats it."""
        self.history = self.team.broadcast(self._epoch_zero)
        if not self.config.train_towers:
            self._fit(self.model)  # once for all epochs, since the towers do not change
        return 0

    def _epoch_zero(self) -> list[dict[str, float]]:
        (self.out / "config.json").write_text(json.dumps(asdict(self.config), indent=2) + "\n")
        if "training" not in self.start.metadata:
            return []
        self.progress("validation", 0, 1)
        result = validate(self.model, self._encode_held_out(self.model), weights=self.weights)
        write_checkpoint(self.start, self.out / MODEL)
        self.progress("validation", 1, 1)
        return [{"epoch": 0, **result.figures()}]

    def restore(self, state: dict[str, Any]) -> int:
        """Load the state of the last finished epoch."""
        try:
            self.model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.schedule.load_state_dict(state["schedule"])
            self.history = state["history"]
            if not 0 <= self.best_epoch <= self.epochs <= self.config.epochs:
                raise ValueError("its epochs do not fit together")  # noqa: TRY301  damage like any other
        except Exception as exc:  # torch raises whatever it meets in a damaged state
            raise damaged(self.out, exc) from exc
        return self.epochs

    def train_epoch(self, epoch: int) -> None:
        """Train for an epoch. All random choices depend on the seed and the epoch only."""
        seed = self.config.seed * 100_003 + epoch
        torch.manual_seed(seed)
        self.model.train()
        sums: dict[str, float] = {}
        count = 0
        for batch in self._batches(epoch):
            self.team.seed_alike(seed + 1_000_003 * count)
            losses = self.objective(batch)
            loss = torch.stack([getattr(self.config, f"{name}_weight") * value for name, value in losses.items()]).sum()
            figures = self.team.total({**losses, "loss": loss})
            self._check_finite(figures["loss"], "loss", epoch, count)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch
            self.team.add_gradients(self.model.parameters())
            self._check_finite(nn.utils.clip_grad_norm_(self.model.parameters(), 1.0), "gradient", epoch, count)
            self.optimizer.step()
            self.schedule.step()
            self.average.update_parameters(self.model)
            count += 1
            for name, value in figures.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach())
            self.progress(f"epoch {epoch + 1}/{self.config.epochs}", count, self.steps_per_epoch)
        self.history.append({"epoch": epoch + 1, **{name: value / count for name, value in sums.items()}})

    def _check_finite(self, value: Tensor, name: str, epoch: int, count: int) -> None:
        if not torch.isfinite(value):
            best = f"; the best model so far, of epoch {self.best_epoch}, is kept" if self.history else ""
            raise TrainingError(
                f"the {name} became {value.item()} in epoch {epoch + 1}, step {count + 1}; "
                f"a lower learning rate than {self.config.learning_rate} usually helps, in another --out{best}"
            )

    def _batches(self, epoch: int) -> Iterator[Batch]:
        smallest = max(2, self.team.size)
        rng = np.random.default_rng((self.config.seed, epoch))
        for pictures in self.mixture.passes(np.random.default_rng((self.config.seed, epoch, 1))):
            order = grouped_order(pictures, self.neighbours, self.config.group_size, rng)
            yield from self.pairs.batches(
                order,
                self.config.batch_size,
                self.config.captions_per_image,
                rng,
                labels=self.labels,
                smallest=smallest,
            )

    def finish_epoch(self, epoch: int) -> None:
        """Validate the averaged model, keep it if it is the best, and write the curves and the state."""
        self.history[-1] |= self.team.broadcast(lambda: self._validate(epoch))
        return_freed_memory()  # batches of all widths leave gaps between blocks, which would grow with every epoch

    def _validate(self, epoch: int) -> dict[str, float]:
        averaged = self._averaged()
        self.progress("validation", 0, 1)
        if self.config.train_towers:
            self._fit(averaged)
        result = validate(averaged, self._encode_held_out(averaged), weights=self.weights)
        row = result.figures()
        self.history[-1] |= row
        if self.best_epoch == epoch + 1:
            self._write_best(averaged, result, epoch)
        write_curves(self.history, self.out)
        state = self.facts | {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "history": self.history,
        }
        write_state(self.out, state)
        self.progress("validation", 1, 1)
        return row

    def _encode_held_out(self, model: CrosslookModel) -> dict[str, EncodedPairs]:
        return {name: encode_pairs(model, pairs, cut=self.config.image_cut) for name, pairs in self.held_out.items()}

    def _fit(self, model: CrosslookModel) -> None:
        """Fit the parts that depend on the towers; with `keep`, a trained start keeps its querybank."""
        fit_classes(model, self.start.tokenizer, self.start.lexicon.class_names)
        if self.weights is None:
            fit_hubness(model, self.pairs, cut=self.config.image_cut)

    def _averaged(self) -> CrosslookModel:
        """Return the average of the run's models, with the share of the starting model that `keep` sets."""
        averaged = cast(CrosslookModel, self.average.module)
        if self.origin:
            averaged = deepcopy(averaged)
            for name, value in averaged.named_parameters():
                value.data.lerp_(self.origin[name], self.config.keep)
        return averaged

    def _write_best(self, model: CrosslookModel, result: Validation, epoch: int) -> None:
        training = self.mixture.dataset
        metadata = self.start.metadata | {
            "training": {
                "dataset": training.name,
                "images": len(training.examples),
                "captions": sum(len(e.captions) for e in training.examples),
                "epoch": epoch + 1,
                "config": asdict(self.config),
            },
            "metrics": {
                "dataset": " + ".join(self.held_out),
                "images": sum(len(dataset.examples) for dataset in self.validation),
            }
            | result.figures(),
        }
        write_checkpoint(
            replace(self.start, model=model, calibration=result.calibration, metadata=metadata, lexicon=self.lexicon),
            self.out / MODEL,
        )

    @property
    def epochs(self) -> int:
        """Number of finished epochs."""
        return int(self.history[-1]["epoch"]) if self.history else 0

    @property
    def best_epoch(self) -> int:
        """The epoch whose model is kept; 0 is the start."""
        return int(_chosen(self.history, self.config)["epoch"])

    @property
    def exhausted(self) -> bool:
        """Whether validation has not improved for `patience` epochs."""
        return bool(self.history) and self.epochs - self.best_epoch >= self.config.patience

    def finish(self) -> dict[str, Any]:
        """Calibrate the best model, and keep of the run's state only what tells its result."""
        metrics = _chosen(self.history, self.config) | self.team.broadcast(self._calibrate)
        state = self.facts | {"history": self.history, RESULT: metrics}
        if self.team.rank == 0:
            write_state(self.out, state)
            shutil.rmtree(self.out / CACHE, ignore_errors=True)
        return state

    def _calibrate(self) -> dict[str, float]:
        """Fit the best model's calibration to lists as long as those of a search; epochs validate with shorter ones.

        The model that the run started from keeps its calibration.
        """
        best = read_checkpoint(self.out / MODEL)
        model = best.model.to(self.device)
        self.progress("calibration", 0, 1)
        held_out = self._encode_held_out(model)
        calibration = None if self.best_epoch else best.calibration
        result = validate(model, held_out, depth=CALIBRATION_DEPTH, calibration=calibration, weights=self.weights)
        if calibration is None:
            metadata = best.metadata | {"metrics": best.metadata["metrics"] | result.figures()}
            write_checkpoint(replace(best, calibration=result.calibration, metadata=metadata), self.out / MODEL)
        self.progress("calibration", 1, 1)
        return result.figures()
