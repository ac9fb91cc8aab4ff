"""Rebuild the ablation table of docs/MODEL.md: `python -m scripts.ablation PATH/TO/flickr8k`.

Every run starts from the same pretrained parts, sees the same pictures in the same order for the same number of
steps, and differs from the base run in one respect (the run without matching also has no global match). The CNN is
completely frozen, so its maps are computed once for all runs. Each run saves its state and result in its own folder;
an interrupted script continues where it stopped.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from api.cli.main import EXPECTED
from api.cli.output import message, progress
from api.cli.train import open_picture
from api.errors import InputError
from encoders.checkpoint.files import Checkpoint, read_checkpoint
from encoders.datasets import Dataset, read_dataset
from encoders.device import autocast, pick_device
from encoders.hardware import machine
from encoders.network.fusion import FUSIONS, AttentionFusion, Fused
from encoders.network.model import CrosslookModel
from encoders.training import TrainConfig, train
from encoders.training.data.frozen import FrozenStages
from encoders.training.data.pairs import PairSet, prepare_pairs
from encoders.training.encoded import EncodedPairs, encode_pairs, match_lists
from encoders.training.validation import validate
from scripts.build_base_model import pretrained_start

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- ablation: scripts/ablation.py writes this -->", "<!-- end of ablation -->"
COMMON: dict[str, Any] = {"channels": 128, "classes": 0, "querybank": 0, "image_split": None, "text_split": None}
DEPTH = 100
VALIDATED = 50  # pictures that training validates on after each epoch; they affect no result
MATCH_QUERIES = 250  # captions for which the match logit ranks all pictures
ONE_WAY = "words to regions"


class WordsToRegions(AttentionFusion):
    """Cross-attention in one direction only: the half of the joint vector in which regions attend to words is zero."""

    def forward(self, regions: Tensor, tokens: Tensor, mask: Tensor) -> Fused:
        """Fuse N pairs of regions and tokens."""
        joint, attention = super().forward(regions, tokens, mask)
        by_word, by_region = joint.chunk(2, dim=-1)
        return Fused(torch.cat([by_word, torch.zeros_like(by_region)], dim=-1), attention)


@dataclass(frozen=True)
class Run:
    """What one run changes in the model's configuration and in the training settings."""

    model: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)


RUNS = {
    "base": Run(),
    "concatenation": Run({"fusion": "concatenation"}),
    "gated": Run({"fusion": "gated"}),
    "one-way": Run({"fusion": ONE_WAY}),
    "gru": Run({"text_tower": "gru"}, {"text_rate": 1.0}),
    "lstm": Run({"text_tower": "lstm"}, {"text_rate": 1.0}),
    "contrastive": Run(training={"matching_weight": 0.0, "whole_weight": 0.0}),
    "matching": Run(training={"contrastive_weight": 0.0}),
}
TABLE = (  # what is varied, how, and the name of the run; each group ends with the base run
    ("fusion", "concatenation", "concatenation"),
    ("", "gated", "gated"),
    ("", "attention, words to regions only", "one-way"),
    ("", "**attention both ways, the cross-attention**", "base"),
    ("text tower", "GRU", "gru"),
    ("", "LSTM", "lstm"),
    ("", "**transformer**", "base"),
    ("objective", "contrastive only", "contrastive"),
    ("", "matching only", "matching"),
    ("", "**both**", "base"),
)


@dataclass(frozen=True)
class Bench:
    """The model, data and settings that all runs share."""

    start: Checkpoint
    training: Dataset
    validation: Dataset
    work: Path
    epochs: int

    def settings(self, run: Run) -> TrainConfig:
        """The training settings of a run; no soft targets, because they need a pretrained text tower."""
        common: dict[str, Any] = {
            "epochs": self.epochs,
            "patience": self.epochs,
            "choose_best": False,  # which is arbitrary for a run with untrained vectors
            "batch_size": 96,
            "hard_negatives": 8,
            "soft_targets": 0.0,
            "label_weight": 0.0,
            "average": 0.95,  # a short run needs a fast moving average
            "image_cut": len(self.start.model.image.tower.stages),
            "text_cut": self.start.model.config.text_layers - 1,
            "views": 1,
        }
        return TrainConfig(**(common | run.training))

    def pairs(self, dataset: Dataset, phase: str) -> PairSet:
        """The captions and maps of a dataset, from the cache or computed."""
        settings = self.settings(Run())
        with progress() as report:
            return prepare_pairs(
                dataset,
                open_picture,
                FrozenStages(self.start.model.image.tower.to(pick_device()), settings.image_cut),
                self.start.tokenizer,
                self.work / "cache",
                views=settings.views,
                phase=phase,
                progress=report,
            )


def variant(start: Checkpoint, run: Run) -> Checkpoint:
    """Create the model of a run, with the pretrained weights of all parts that it has in common with the start."""
    torch.manual_seed(0)
    model = CrosslookModel(replace(start.model.config, **(COMMON | run.model)))
    model.image.tower.stages.load_state_dict(start.model.image.tower.stages.state_dict())
    ours, theirs = model.text.tower.state_dict(), start.model.text.tower.state_dict()
    model.text.tower.load_state_dict({name: theirs[name] for name in ours if name in theirs}, strict=False)
    if model.config.fusion == ONE_WAY:  # the reranker does this for "attention"
        with torch.no_grad():
            model.reranker.linear.weight[0, 0] = 10.0
    return replace(start, name="ablation", model=model)


def ablate(bench: Bench, runs: dict[str, Run]) -> dict[str, dict[str, Any]]:
    """Train and measure every run that has no result yet.

    Raises:
        InputError: a result in `work` is from other settings or data.
    """
    results = {name: _saved(bench, name, run) for name, run in runs.items()}
    if all(results.values()):
        return {name: result for name, result in results.items() if result}
    message(f"computing the frozen CNN's maps of {len(bench.training.examples):,} pictures, once for all runs")
    bench.pairs(bench.training, "training pictures")
    held_out = bench.pairs(bench.validation, "validation pictures")
    for number, (name, run) in enumerate(runs.items(), 1):
        if results[name]:
            message(f"{number}/{len(runs)} {name}: already done")
            continue
        message(f"{number}/{len(runs)} {name}")
        result = _run(bench, name, run, held_out)
        results[name] = result
        message(f"{number}/{len(runs)} {name}: {result['seconds']:.0f} s")
    return {name: result for name, result in results.items() if result}


def _inputs(bench: Bench, run: Run) -> dict[str, Any]:
    """What a result depends on, with JSON's types."""
    inputs = {
        "training": {"dataset": bench.training.name, "images": len(bench.training.examples)},
        "validation": {"dataset": bench.validation.name, "images": len(bench.validation.examples)},
        "model": asdict(replace(bench.start.model.config, **(COMMON | run.model))),
        "settings": asdict(bench.settings(run)),
    }
    return json.loads(json.dumps(inputs))


def _saved(bench: Bench, name: str, run: Run) -> dict[str, Any] | None:
    path = bench.work / name / "result.json"
    if not path.exists():
        return None
    result = _read(path)
    if result["asked"] != _inputs(bench, run):
        raise InputError(f"{path} is from other settings or pictures; use the same ones, or another --work folder")
    return result


def _run(bench: Bench, name: str, run: Run, held_out: PairSet) -> dict[str, Any]:
    began = time.monotonic()
    out, settings = bench.work / name, bench.settings(run)
    out.mkdir(parents=True, exist_ok=True)
    with one_way_fusion(), progress() as report:
        result = train(
            variant(bench.start, run),
            [bench.training],
            [replace(bench.validation, examples=bench.validation.examples[:VALIDATED])],
            out,
            config=settings,
            open_picture=open_picture,
            resume=(out / "last.pt").exists(),
            progress=report,
            cache=bench.work / "cache",
        )
        model = read_checkpoint(result.model).model.to(pick_device())
        report("measuring", 0, 1)
        figures = measure(model, held_out, settings)
        report("measuring", 1, 1)
    row = {
        "asked": _inputs(bench, run),
        **figures,
        "seconds": round(time.monotonic() - began, 1),
        "commit": _commit(),
        "machine": {"processor": platform.machine(), "python": platform.python_version()} | machine(),
    }
    _write(out / "result.json", row)
    return _read(out / "result.json")


@contextmanager
def one_way_fusion() -> Iterator[None]:
    """Register `WordsToRegions` temporarily: it is for this comparison only."""
    FUSIONS[ONE_WAY] = WordsToRegions
    try:
        yield
    finally:
        del FUSIONS[ONE_WAY]


def measure(model: CrosslookModel, held_out: PairSet, settings: TrainConfig) -> dict[str, Any]:
    """Recall by vectors, reranked, and, if matching was trained, by the match logit alone."""
    with autocast(model.log_scale.device, "auto"):  # as in use
        pairs = encode_pairs(model, held_out, cut=settings.image_cut)
        match_alone = recall_by_match(model, pairs) if settings.matching_weight else None
    validation = validate(model, {"validation": pairs}, depth=DEPTH)
    return {
        "vectors": asdict(validation.mean.retrieval),
        "reranked": asdict(validation.mean.reranked),
        "match_weight": validation.calibration.match_weight,
        "whole_weight": validation.calibration.whole_weight,
        "match_alone": match_alone,
    }


def recall_by_match(model: CrosslookModel, pairs: EncodedPairs) -> dict[str, Any]:
    """Recall@1, 5 and 10 in percent of the match logit, which ranks all pictures for evenly spaced captions."""
    count, pictures = len(pairs.source.image_of), len(pairs.images.vectors)
    chosen = np.unique(np.linspace(0, count - 1, min(MATCH_QUERIES, count), dtype=np.int64))
    every = torch.arange(pictures, device=pairs.texts.mask.device).expand(len(chosen), -1)
    captions = torch.from_numpy(chosen).to(every.device)[:, None].expand_as(every)
    logits = match_lists(model.reranker, pairs.images, pairs.texts, every, captions)[0]
    own = logits[np.arange(len(chosen)), pairs.source.image_of[chosen]]
    rank = (logits >= own[:, None]).sum(1)  # from 1; a tie counts as a miss
    recalls = [100 * float((rank <= k).mean()) for k in (1, 5, 10)]
    return {"captions": len(chosen), "pictures": pictures, "text_to_image": recalls}


def table(results: dict[str, dict[str, Any]]) -> str:
    """Format the table in Markdown, with a note on data, settings and machine."""
    base = results["base"]
    match_alone = base["match_alone"]
    lines = [
        "| varied | | text→image, vectors | reranked | match logit alone | image→text, vectors | reranked |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for group, variation, name in TABLE:
        result = results[name]
        vectors, reranked, matched = result["vectors"], result["reranked"], result["match_alone"]
        cells = [
            group,
            variation,
            _cell(vectors["text_to_image"]),
            _cell(reranked["text_to_image"]),
            _cell(matched["text_to_image"]) if matched else "-",
            _cell(vectors["image_to_text"]),
            _cell(reranked["image_to_text"]),
        ]
        lines.append(f"| {' | '.join(cells)} |".replace("|  |", "| |"))
    inputs, hardware = base["asked"], base["machine"]
    minutes = sum(result["seconds"] for result in results.values()) / 60
    commits = ", ".join(sorted({result["commit"] for result in results.values()}))
    note = (
        f"Recall in percent at 1 / 5 / 10 on {inputs['validation']['images']:,} pictures of "
        f"{inputs['validation']['dataset']}, the {DEPTH} nearest reranked; the match logit alone ranks "
        f"{match_alone['pictures']:,} pictures for {match_alone['captions']:,} captions. "
        f"{inputs['training']['images']:,} training pictures, {inputs['settings']['epochs']} epochs; "
        f"{len(results)} runs in {minutes:.0f} minutes on {', '.join(hardware['gpus']) or 'a CPU'}, "
        f"{hardware['cores']} cores, PyTorch {hardware['torch']}; commit {commits}."
    )
    return "\n".join([*lines, "", note])


def _cell(recalls: Sequence[float]) -> str:
    return " / ".join(f"{value:.1f}" for value in recalls)


def put(text: str, page: Path) -> None:
    """Replace the text between the page's markers.

    Raises:
        InputError: the page or a marker is missing.
    """
    head, tail = _split_page(page)
    page.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}", encoding="utf-8")


def _split_page(page: Path) -> tuple[str, str]:
    """The text before and after the markers."""
    if not page.is_file():
        raise InputError(f"{page}: not found; it is where the table is written. Restore it, or give another --page")
    content = page.read_text(encoding="utf-8")
    head, begin, rest = content.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise InputError(f"{page}: the lines {BEGIN} and {END} are missing; add them where the table belongs")
    return head, tail


def _write(path: Path, document: dict[str, Any]) -> None:
    part = path.with_suffix(".tmp")
    part.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    part.replace(path)


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"  # noqa: S603  a fixed command


def main() -> int:
    """Train the missing runs, then write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument(
        "--work", type=Path, default=Path("runs/ablation"), help="folder for runs, results and cached maps"
    )
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--images", type=int, default=3000, help="number of training pictures")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "MODEL.md", help="Markdown file with the table")
    options = parser.parse_args()
    try:
        _split_page(options.page)
        dataset = read_dataset(options.dataset)
        training = dataset.select("train")
        bench = Bench(
            pretrained_start(caption for example in training.examples for caption in example.captions),
            replace(training, examples=training.examples[: max(2, options.images)]),
            dataset.select("dev"),
            options.work,
            options.epochs,
        )
        results = ablate(bench, RUNS)
        _write(options.work / "ablation.json", results)
        put(table(results), options.page)
    except EXPECTED as exc:
        print(exc, file=sys.stderr)
        return 1
    message(f"wrote the table to {options.page} and all figures to {options.work / 'ablation.json'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
