"""The training loop: one fused objective, an averaged model, a checkpoint each epoch, an exact resume."""

from __future__ import annotations

import hashlib
import json
import math
import pickle
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from ..datasets import Dataset
from ..device import autocast, keep_freed_memory, pick_device
from ..errors import TrainingError
from ..losses import hard_candidates, info_nce, listwise_match
from ..model import CrosslookModel
from .augment import (
    crop_maps,
    encode_by_length,
    hide_regions,
    hide_words,
    movable_words,
    piece_tokens,
    swap_words,
)
from .config import TrainConfig
from .curves import write_curves
from .data import Batch, PairSet, prepare_pairs
from .validation import Validation, encode_pairs, fit_hubness, sentence_means, validate
from .views import OpenPicture

CALIBRATION_DEPTH = 100

Report = Callable[[str, int, int], None]
"""Called with what is going on, how much of it is done, and out of how much."""


@dataclass(frozen=True)
class TrainResult:
    """Where the best model is, and what it reached."""

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
    report: Report = lambda *_: None,
) -> TrainResult:
    """Train both towers and the reranker together, and keep the epoch that validates best.

    Args:
        start: what to start from; its metadata goes into the result.
        training: pictures with captions.
        validation: pictures with captions, none of them in `training`.
        out: gets `model/` (the best epoch), `last.pt` (to resume), `curves.csv`, `curves.png`, `cache/`.
        open_picture: how a file becomes an upright RGB picture, the same way as when the model is used.
        config: settings; a resumed run takes them from `out` and refuses others.
        resume: go on after the last finished epoch, exactly as if never stopped.
        report: progress.

    Raises:
        TrainingError: nothing to resume, other settings, or a loss that is no longer a number.
    """
    _check_out(out, resume=resume)
    run = _Run(start, training, validation, out, config, open_picture, report)
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


def _digest(*datasets: Dataset) -> str:
    """What a run was trained on: names of pictures and their captions, wherever they lie."""
    content = [[(example.image.name, example.captions) for example in dataset.examples] for dataset in datasets]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


@dataclass(frozen=True)
class _Lists:
    """Matching lists, those of captions before those of pictures.

    Shape: first (B,), the caption each picture is matched by; images, captions (2B·K,), rows of the batch, list after
    list; kinship (2B, K).
    """

    first: Tensor
    images: Tensor
    captions: Tensor
    kinship: Tensor


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
        report: Report,
    ) -> None:
        self.open_picture = open_picture
        self.start, self.out, self.config, self.report = start, out, config, report
        self.device = torch.device(pick_device(config.device))
        keep_freed_memory()
        self.model = start.model.to(self.device)
        self.history: list[dict[str, float]] = []
        self.datasets = (training, validation)
        self.data = _digest(training, validation)
        self.pairs = self._prepare(training, "training pictures", config.views)
        self.held_out = self._prepare(validation, "validation pictures", 1)
        self._freeze()
        self.report("reading captions", 0, 1)
        self.sentences = sentence_means(self.model.text.tower, self.pairs)
        self.movable = movable_words(start.tokenizer.vocabulary).to(self.device)
        self.word_pieces = piece_tokens(start.tokenizer.vocabulary).to(self.device)
        self.average = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(config.average))  # type: ignore[no-untyped-call]  # torch
        self.steps_per_epoch = math.ceil(len(self.pairs.activations) / config.batch_size)
        self.optimizer = torch.optim.AdamW(self._groups(), betas=(0.9, 0.98))
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._one_cycle)

    def _prepare(self, dataset: Dataset, what: str, views: int) -> PairSet:
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            self.report(what, done, len(dataset.examples))

        return prepare_pairs(
            dataset,
            self.open_picture,
            self.model.image.tower,
            self.start.tokenizer,
            self.out / "cache",
            cut=self.config.image_cut,
            views=views,
            advance=advance,
        )

    def _freeze(self) -> None:
        tower = self.model.image.tower
        if tower.split is not None and self.config.image_cut > tower.split:
            raise TrainingError(f"this model is split after {tower.split} CNN stages; freeze at most so many")
        for stage in tower.stages[: self.config.image_cut]:
            stage.requires_grad_(requires_grad=False)
        self.model.text.tower.freeze(self.config.text_cut)

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
        """Start afresh."""
        (self.out / "config.json").write_text(json.dumps(asdict(self.config), indent=2) + "\n")
        return 0

    def restore(self) -> int:
        """Load the last finished epoch."""
        path = self.out / "last.pt"
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
        except (RuntimeError, EOFError, OSError, ValueError, pickle.UnpicklingError) as exc:
            raise TrainingError(f"{path} is damaged ({exc.__class__.__name__}); start again in another --out") from exc
        if state["config"] != asdict(self.config):
            before, now = state["config"], asdict(self.config)
            changed = ", ".join(f"{k} was {before.get(k)} and is {now[k]}" for k in now if before.get(k) != now[k])
            raise TrainingError(f"{self.out} was trained with other settings: {changed}; resume with the same ones")
        if state["data"] != self.data:
            raise TrainingError(f"{self.out} was trained on other pictures or captions; resume with the same dataset")
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.history = state["history"]
        return len(self.history)

    def train_epoch(self, epoch: int) -> None:
        """One pass over the pictures. Every random choice follows from the seed and the epoch alone."""
        torch.manual_seed(self.config.seed * 100_003 + epoch)
        self.model.train()
        sums: dict[str, float] = {}
        count = 0
        for batch in self._batches(epoch):
            losses = self._losses(batch)
            matching = losses["whole"] + losses["matching"]
            loss = self.config.contrastive_weight * losses["contrastive"] + self.config.matching_weight * matching
            if not torch.isfinite(loss):
                raise TrainingError(
                    f"the loss became {loss.item()} in epoch {epoch + 1}, step {count + 1}; "
                    f"a lower learning rate than {self.config.learning_rate} usually helps"
                )
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.schedule.step()
            self.average.update_parameters(self.model)
            count += 1
            for name, value in (*losses.items(), ("loss", loss)):
                sums[name] = sums.get(name, 0.0) + float(value.detach())
            self.report(f"epoch {epoch + 1}/{self.config.epochs}", count, self.steps_per_epoch)
        self.history.append({"epoch": epoch + 1, **{name: value / count for name, value in sums.items()}})

    def _batches(self, epoch: int) -> Iterator[Batch]:
        return self.pairs.batches(self.config.batch_size, self.config.captions_per_image, (self.config.seed, epoch))

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        """Both parts of the objective for one batch."""
        model, config = self.model, self.config
        activations, ids, mask, attended, image_of = (
            x.to(self.device) for x in (batch.activations, batch.ids, batch.mask, batch.attended, batch.image_of)
        )
        sentences = self.sentences[batch.rows].to(self.device)
        kinship = sentences @ sentences.T / config.kinship_temperature
        activations = crop_maps(activations, config.smallest_crop)
        with autocast(self.device, "float32" if self.device.type == "cpu" else config.precision):
            for_vector, for_match = model.image.tower.crown(activations, config.image_cut)  # bf16 is slower on a CPU
        with autocast(self.device, config.precision):
            images = model.image.heads(
                hide_regions(for_vector, config.region_dropout), hide_regions(for_match, config.region_dropout)
            )
            words, mask = mask, hide_words(mask, config.word_dropout)
            texts = encode_by_length(model.text, ids, mask, attended)
            similarities = images.vectors @ texts.vectors.T
            contrastive = info_nce(similarities, image_of, model.scale, kinship, soft=config.soft_targets)
            summaries = model.reranker.picture(images.states) @ model.reranker.sentence(texts.states, mask).T
            whole = info_nce(summaries, image_of, model.reranker.scale, kinship, soft=config.soft_targets)
            lists = self._lists(similarities, image_of, kinship)
            match = model.reranker.compare(
                images.states[lists.images], texts.states[lists.captions], mask[lists.captions]
            )
            logits = match.logit.float() + model.reranker.scale * summaries[lists.images, lists.captions]
            by_caption, by_image = logits.reshape(lists.kinship.shape).chunk(2)
            kin_of_captions, kin_of_images = lists.kinship.chunk(2)
            first = lists.first
            swapped, changed = swap_words(ids[first], words[first], self.movable, self.word_pieces)
            states = encode_by_length(model.text, swapped, mask[first], attended[first]).states
            against = model.reranker(images.states, states, mask[first]).logit.float()
            by_image = torch.cat([by_image, against.masked_fill(~changed, -1e4)[:, None]], 1)
            kin_of_images = F.pad(kin_of_images, (0, 1), value=float("-inf"))
            matching = (
                listwise_match(by_caption, kin_of_captions, soft=config.soft_targets)
                + listwise_match(by_image, kin_of_images, soft=config.soft_targets)
            ) / 2
        return {"contrastive": contrastive, "whole": whole, "matching": matching}

    def _lists(self, similarities: Tensor, image_of: Tensor, kinship: Tensor) -> _Lists:
        """Matching lists both ways, for the first caption of each picture in the batch."""
        first = torch.searchsorted(image_of, torch.arange(len(similarities), device=self.device))
        images, captions = hard_candidates(similarities[:, first], image_of[first], self.config.hard_negatives)
        own = torch.arange(len(first), device=self.device)[:, None]
        kin = kinship[first][:, first]
        return _Lists(
            first,
            torch.cat([images.flatten(), own.expand_as(captions).flatten()]),
            first[torch.cat([own.expand_as(images).flatten(), captions.flatten()])],
            torch.cat([kin.gather(1, images), kin.gather(1, captions)]),
        )

    def finish_epoch(self, epoch: int) -> None:
        """Validate the averaged model, keep it if it is the best, and write everything down."""
        averaged = cast(CrosslookModel, self.average.module)
        self.report("validation", 0, 1)
        fit_hubness(averaged, self.pairs, cut=self.config.image_cut)
        result = validate(averaged, encode_pairs(averaged, self.held_out, cut=self.config.image_cut))
        self.history[-1] |= _row(result)
        best = max(row["total"] for row in self.history[:-1]) if len(self.history) > 1 else -1.0
        if self.history[-1]["total"] > best:
            self._keep(averaged, result, epoch)
        write_curves(self.history, self.out)
        state = {
            "config": asdict(self.config),
            "data": self.data,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "history": self.history,
        }
        torch.save(state, self.out / "last.pt.tmp")
        (self.out / "last.pt.tmp").replace(self.out / "last.pt")
        self.report("validation", 1, 1)

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
            Checkpoint(self.start.name, model, self.start.tokenizer, result.calibration, metadata), self.out / "model"
        )

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, whose reranked recalls sum highest."""
        return int(max(self.history, key=lambda row: row["total"])["epoch"])

    @property
    def exhausted(self) -> bool:
        """Whether validation has not improved for `patience` epochs."""
        return bool(self.history) and len(self.history) - self.best_epoch >= self.config.patience

    def result(self) -> TrainResult:
        """What came of it."""
        metrics = self.history[self.best_epoch - 1] | self._calibrate()
        return TrainResult(
            self.out / "model", len(self.history), self.best_epoch, metrics, len(self.history) < self.config.epochs
        )

    def _calibrate(self) -> dict[str, float]:
        """Fit the best model's calibration anew on lists as long as a search reranks; its epochs saw shorter ones."""
        best = read_checkpoint(self.out / "model")
        model = best.model.to(self.device)
        self.report("calibration", 0, 1)
        pairs = encode_pairs(model, self.held_out, cut=self.config.image_cut)
        result = validate(model, pairs, depth=CALIBRATION_DEPTH)
        metadata = best.metadata | {"metrics": best.metadata["metrics"] | _row(result)}
        write_checkpoint(replace(best, calibration=result.calibration, metadata=metadata), self.out / "model")
        self.report("calibration", 1, 1)
        return _row(result)


def _row(result: Validation) -> dict[str, float]:
    row: dict[str, float] = {}
    for stage, recalls in (("retrieval", result.retrieval), ("reranked", result.reranked)):
        for way, values in (("t2i", recalls.text_to_image), ("i2t", recalls.image_to_text)):
            row |= {f"{stage}_{way}_r{k}": round(v, 2) for k, v in zip((1, 5, 10), values, strict=True)}
    weights = {"match_weight": result.calibration.match_weight, "hubness_weight": result.calibration.hubness_weight}
    return row | weights | {"total": round(result.reranked.total, 2)}
