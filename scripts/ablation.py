"""Rebuild the ablation table of docs/MODEL.md: `python -m scripts.ablation PATH/TO/flickr8k`.

Every run starts from the same pretrained parts, sees the same pictures in the same order for the same number of
steps, and differs from the base in one thing (without matching there is no comparison of wholes either). The CNN is
frozen whole, so its maps are computed once for all runs. What a run reached is kept in its folder: interrupted, the
script goes on where it was, within a run too.
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
from encoders.checkpoint.files import Checkpoint
from encoders.datasets import Dataset, read_dataset
from encoders.device import autocast, machine, pick_device
from encoders.network.fusion import FUSIONS, AttentionFusion, Fused
from encoders.network.model import CrosslookModel
from encoders.training import TrainConfig, train
from encoders.training.data import PairSet, prepare_pairs
from encoders.training.validation import EncodedPairs, encode_pairs, match_lists, validate
from scripts.build_base_model import pretrained_start

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- ablation: scripts/ablation.py writes this -->", "<!-- end of ablation -->"
COMMON: dict[str, Any] = {"channels": 128, "classes": 0, "querybank": 0, "image_split": None, "text_split": None}
DEPTH = 100
WATCHED = 50  # pictures of the validation split that training looks at; nothing is chosen by them
ALONE = 250  # captions whose pictures are all ranked by the match logit
ONE_WAY = "words to regions"


class WordsToRegions(AttentionFusion):
    """Cross-attention one way only: of the joint vector, what regions read in the words is zero."""

    def forward(self, regions: Tensor, tokens: Tensor, mask: Tensor) -> Fused:
        """Fuse N pairs."""
        joint, attention = super().forward(regions, tokens, mask)
        words, places = joint.chunk(2, dim=-1)
        return Fused(torch.cat([words, torch.zeros_like(places)], dim=-1), attention)


@dataclass(frozen=True)
class Run:
    """What one run changes: in the model, and, where that asks for it, in the training."""

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
TABLE = (  # what varies, how, and which run that is; the base closes every group
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
    """What all runs share."""

    start: Checkpoint
    training: Dataset
    validation: Dataset
    work: Path
    epochs: int

    def settings(self, run: Run) -> TrainConfig:
        """A run's settings: targets are not softened, for that asks a text tower that can already read."""
        common: dict[str, Any] = {
            "epochs": self.epochs,
            "patience": self.epochs,
            "batch_size": 96,
            "hard_negatives": 8,
            "soft_targets": 0.0,
            "average": 0.95,  # a short run must not remember its beginning
            "image_cut": len(self.start.model.image.tower.stages),
            "text_cut": self.start.model.config.text_layers - 1,
            "views": 1,
        }
        return TrainConfig(**(common | run.training))

    def pairs(self, dataset: Dataset, what: str) -> PairSet:
        """A dataset's captions and maps, computed if they are not there yet."""
        settings = self.settings(Run())
        with progress() as report:
            return prepare_pairs(
                dataset,
                open_picture,
                self.start.model.image.tower.to(pick_device()),
                self.start.tokenizer,
                self.work / "cache",
                cut=settings.image_cut,
                views=settings.views,
                phase=what,
                progress=report,
            )


def variant(start: Checkpoint, run: Run) -> Checkpoint:
    """A new model with one thing changed, on as many of the pretrained parts as it has."""
    torch.manual_seed(0)
    model = CrosslookModel(replace(start.model.config, **(COMMON | run.model)))
    model.image.tower.stages.load_state_dict(start.model.image.tower.stages.state_dict())
    ours, theirs = model.text.tower.state_dict(), start.model.text.tower.state_dict()
    model.text.tower.load_state_dict({name: theirs[name] for name in ours if name in theirs}, strict=False)
    if model.config.fusion == ONE_WAY:  # as the reranker does for attention
        with torch.no_grad():
            model.reranker.linear.weight[0, 0] = 10.0
    return replace(start, name="ablation", model=model)


def ablate(bench: Bench, runs: dict[str, Run]) -> dict[str, dict[str, Any]]:
    """Train and measure every run that has no result yet.

    Raises:
        InputError: a result in `work` is of other settings or data.
    """
    results = {name: _kept(bench, name, run) for name, run in runs.items()}
    if all(results.values()):
        return {name: result for name, result in results.items() if result}
    message(f"the frozen CNN's maps of {len(bench.training.examples):,} pictures, once for all runs")
    bench.pairs(bench.training, "training pictures")
    held_out = bench.pairs(bench.validation, "validation pictures")
    for number, (name, run) in enumerate(runs.items(), 1):
        if results[name]:
            message(f"{number}/{len(runs)} {name}: is there already")
            continue
        message(f"{number}/{len(runs)} {name}")
        result = _run(bench, name, run, held_out)
        results[name] = result
        message(f"{number}/{len(runs)} {name}: {result['seconds']:.0f} s")
    return {name: result for name, result in results.items() if result}


def _asked(bench: Bench, run: Run) -> dict[str, Any]:
    """What a result depends on, as JSON gives it back."""
    asked = {
        "training": {"dataset": bench.training.name, "images": len(bench.training.examples)},
        "validation": {"dataset": bench.validation.name, "images": len(bench.validation.examples)},
        "model": asdict(replace(bench.start.model.config, **(COMMON | run.model))),
        "settings": asdict(bench.settings(run)),
    }
    return json.loads(json.dumps(asked))


def _kept(bench: Bench, name: str, run: Run) -> dict[str, Any] | None:
    path = bench.work / name / "result.json"
    if not path.exists():
        return None
    result = _read(path)
    if result["asked"] != _asked(bench, run):
        raise InputError(f"{path} is of other settings or pictures; repeat them, or give another --work")
    return result


def _run(bench: Bench, name: str, run: Run, held_out: PairSet) -> dict[str, Any]:
    began = time.monotonic()
    out, settings = bench.work / name, bench.settings(run)
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "cache").exists():
        (out / "cache").symlink_to(bench.work.resolve() / "cache")
    with one_way_fusion(), progress() as report:
        train(
            variant(bench.start, run),
            bench.training,
            replace(bench.validation, examples=bench.validation.examples[:WATCHED]),
            out,
            config=settings,
            open_picture=open_picture,
            resume=(out / "last.pt").exists(),
            progress=report,
        )
        model = _last(variant(bench.start, run).model, out / "last.pt")
        report("measuring", 0, 1)
        figures = measure(model, held_out, settings)
        report("measuring", 1, 1)
    result = {
        "asked": _asked(bench, run),
        **figures,
        "seconds": round(time.monotonic() - began, 1),
        "commit": _commit(),
        "machine": {"processor": platform.machine(), "python": platform.python_version()} | machine(),
    }
    _write(out / "result.json", result)
    return _read(out / "result.json")


@contextmanager
def one_way_fusion() -> Iterator[None]:
    """Offer `WordsToRegions` by its name for a while: it is for comparison, not for use."""
    FUSIONS[ONE_WAY] = WordsToRegions
    try:
        yield
    finally:
        del FUSIONS[ONE_WAY]


def _last(model: CrosslookModel, path: Path) -> CrosslookModel:
    """The averaged model after the last step; the best epoch would be luck where vectors mean nothing."""
    average = torch.load(path, map_location="cpu", weights_only=True)["average"]
    model.load_state_dict({k.removeprefix("module."): v for k, v in average.items() if k.startswith("module.")})
    return model.to(pick_device())


def measure(model: CrosslookModel, held_out: PairSet, settings: TrainConfig) -> dict[str, Any]:
    """Recalls by vectors, reranked, and, where matching was trained, by the match logit alone."""
    with autocast(model.log_scale.device, "auto"):  # as in use
        pairs = encode_pairs(model, held_out, cut=settings.image_cut)
        alone = matched_alone(model, pairs) if settings.matching_weight else None
    found = validate(model, pairs, depth=DEPTH)
    return {
        "vectors": asdict(found.retrieval),
        "reranked": asdict(found.reranked),
        "match_weight": found.calibration.match_weight,
        "whole_weight": found.calibration.whole_weight,
        "match_alone": alone,
    }


def matched_alone(model: CrosslookModel, pairs: EncodedPairs) -> dict[str, Any]:
    """Recall at 1, 5 and 10 in percent, every picture ranked by the match logit for some captions, evenly spread."""
    count, pictures = len(pairs.image_of), len(pairs.images.vectors)
    chosen = np.unique(np.linspace(0, count - 1, min(ALONE, count), dtype=np.int64))
    every = torch.arange(pictures, device=pairs.mask.device).expand(len(chosen), -1)
    captions = torch.from_numpy(chosen).to(every.device)[:, None].expand_as(every)
    logits = match_lists(model.reranker, pairs, every, captions)[0]
    own = logits[np.arange(len(chosen)), pairs.image_of[chosen]]
    rank = (logits >= own[:, None]).sum(1)  # from 1; a tie counts against the right one
    recalls = [100 * float((rank <= k).mean()) for k in (1, 5, 10)]
    return {"captions": len(chosen), "pictures": pictures, "text_to_image": recalls}


def table(results: dict[str, dict[str, Any]]) -> str:
    """The table in Markdown, and below it what it was measured on."""
    base = results["base"]
    alone = base["match_alone"]
    lines = [
        "| varied | | text→image, vectors | reranked | match logit alone | image→text, vectors | reranked |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for what, how, name in TABLE:
        result = results[name]
        vectors, reranked, matched = result["vectors"], result["reranked"], result["match_alone"]
        cells = [
            what,
            how,
            _cell(vectors["text_to_image"]),
            _cell(reranked["text_to_image"]),
            _cell(matched["text_to_image"]) if matched else "-",
            _cell(vectors["image_to_text"]),
            _cell(reranked["image_to_text"]),
        ]
        lines.append(f"| {' | '.join(cells)} |".replace("|  |", "| |"))
    asked, where = base["asked"], base["machine"]
    minutes = sum(result["seconds"] for result in results.values()) / 60
    commits = ", ".join(sorted({result["commit"] for result in results.values()}))
    note = (
        f"Recall in percent at 1 / 5 / 10 on {asked['validation']['images']:,} pictures of "
        f"{asked['validation']['dataset']}, the {DEPTH} nearest reranked; the match logit alone ranks "
        f"{alone['pictures']:,} pictures for {alone['captions']:,} captions. {asked['training']['images']:,} training "
        f"pictures, {asked['settings']['epochs']} epochs; {len(results)} runs in {minutes:.0f} minutes on "
        f"{where['device']}, {where['threads']} threads, PyTorch {where['torch']}; commit {commits}."
    )
    return "\n".join([*lines, "", note])


def _cell(recalls: Sequence[float]) -> str:
    return " / ".join(f"{value:.1f}" for value in recalls)


def put(text: str, page: Path) -> None:
    """Replace what stands between the page's markers.

    Raises:
        InputError: the page or a marker is missing.
    """
    before, after = _around(page)
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def _around(page: Path) -> tuple[str, str]:
    """What stands before and after the markers."""
    if not page.is_file():
        raise InputError(f"{page} is missing, so the table has no place; restore it, or give another --page")
    content = page.read_text(encoding="utf-8")
    before, begin, rest = content.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(f"{page} lacks the lines {BEGIN} and {END}, between which the table goes; put them back")
    return before, after


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
    """Train what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs/ablation"), help="runs, results, cached maps")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--images", type=int, default=3000, help="train on so many pictures, the first ones")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "MODEL.md", help="gets the table")
    options = parser.parse_args()
    try:
        _around(options.page)
        dataset = read_dataset(options.dataset)
        training = dataset.select("train")
        bench = Bench(
            pretrained_start(),
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
    message(f"the table is in {options.page}, all figures in {options.work / 'ablation.json'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
