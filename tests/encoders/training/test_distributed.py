"""Training over several processes: the same curves as with one, and exact resume."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from encoders.checkpoint.files import Checkpoint
from encoders.datasets import Dataset, Example, Label
from encoders.errors import TrainingError
from encoders.network import backbones
from encoders.training import TrainConfig, is_first_process, train
from encoders.training.data.frozen import FrozenStages
from encoders.training.data.labels import LabelBatch, Labels
from encoders.training.data.pairs import prepare_pairs
from encoders.training.distributed import Team, assemble_team
from encoders.training.objective import Objective
from tests.encoders.conftest import tiny_backbone, tiny_checkpoint
from tests.encoders.training.test_trainer import CONFIG, open_picture

CALM = replace(CONFIG, epochs=2, batch_size=7, region_dropout=0.0, word_dropout=0.0, views=1, precision="float32")
"""28 pictures in batches of 7, which two processes cannot share evenly, without dropout."""


def calm_checkpoint() -> Checkpoint:
    """The tiny model without dropout."""
    return tiny_checkpoint(dropout=0.0, head_dropout=0.0)


def calm_patch(monkeypatch: pytest.MonkeyPatch, out: Path) -> None:
    """Remove the random crops and word swaps that no setting turns off; save the gradients of the first step."""
    clip = torch.nn.utils.clip_grad_norm_

    def save_and_clip(parameters: Iterable[torch.Tensor], size: float) -> torch.Tensor:
        trained = list(parameters)
        if is_first_process() and not (out / "gradients.pt").exists():
            torch.save([p.grad.clone() for p in trained if p.grad is not None], out / "gradients.pt")
        return clip(trained, size)

    monkeypatch.setattr(backbones, "_torchvision_model", lambda *_, **__: tiny_backbone())
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", save_and_clip)
    monkeypatch.setattr("encoders.training.objective.crop_maps", lambda maps, _: maps)
    monkeypatch.setattr(
        "encoders.training.objective.swap_words", lambda ids, *_: (ids, torch.zeros(len(ids), dtype=torch.bool))
    )


def uneven(pictures: Dataset) -> tuple[Dataset, Dataset]:
    """Split into training and validation pictures, every third with a single caption, the others with labels."""
    parts = [
        tuple(_one_caption(e) if i % 3 == 0 else _labelled(e) for i, e in enumerate(part.examples))
        for part in (pictures.select("train"), pictures.select("dev"))
    ]
    return Dataset("train", parts[0]), Dataset("dev", parts[1])


def _one_caption(example: Example) -> Example:
    return replace(example, captions=example.captions[:1])


def _labelled(example: Example) -> Example:
    return replace(example, labels=tuple(Label("tags", word) for word in example.captions[0].split()))


def work(task_file: Path, interrupted_at: str, *, resume: bool) -> None:
    """Train in one process as a file says, with a model without dropout."""
    task = json.loads(task_file.read_text())

    def report(phase: str, done: int, _total: int) -> None:
        if f"{phase}, {done}" == interrupted_at:
            raise KeyboardInterrupt

    training, validation = (
        [
            Dataset(
                name,
                tuple(
                    Example(Path(image), tuple(captions), split, tuple(Label(*label) for label in labels))
                    for image, captions, split, labels in examples
                ),
            )
            for name, examples in task[use].items()
        ]
        for use in ("training", "validation")
    )
    with pytest.MonkeyPatch.context() as monkeypatch:
        calm_patch(monkeypatch, Path(task["out"]))
        config = TrainConfig(**task["config"])
        train(
            calm_checkpoint(),
            training,
            validation,
            Path(task["out"]),
            config=config,
            open_picture=open_picture,
            resume=resume,
            progress=report,
        )


def torchrun(*command: object) -> subprocess.CompletedProcess[str]:
    """Run a program in two processes."""
    start: Sequence[object] = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2)
    arguments = [str(part) for part in (*start, *command)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(arguments, capture_output=True, text=True, check=False, env=environment, timeout=600)


def curve_of(out: Path) -> list[dict[str, str]]:
    """Read the rows of `curves.csv`."""
    with (out / "curves.csv").open() as file:
        return list(csv.DictReader(file))


def as_json(datasets: list[Dataset]) -> dict[str, list[tuple[str, tuple[str, ...], str, tuple[Label, ...]]]]:
    """The examples of datasets by name, as JSON types."""
    return {d.name: [(str(e.image), e.captions, e.split, e.labels) for e in d.examples] for d in datasets}


@pytest.mark.slow
@pytest.mark.parametrize("weights", [(), (1.0, 2.5)])
def test_two_processes_train_as_one_does(
    weights: tuple[float, ...], pictures: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradients agree to rounding though shares are uneven; so do the curves, even after an interruption."""
    training, validation = ([dataset] for dataset in uneven(pictures))
    if weights:
        training, validation = (
            [replace(whole, name=name, examples=whole.examples[first::2]) for first, name in enumerate(("even", "odd"))]
            for whole in (*training, *validation)
        )
    config = replace(CALM, dataset_weights=weights)
    task = {
        "config": asdict(config),
        "out": str(tmp_path / "two"),
        "training": as_json(training),
        "validation": as_json(validation),
    }
    (tmp_path / "task.json").write_text(json.dumps(task))
    worker = ("-m", "tests.encoders.training.test_distributed", tmp_path / "task.json")
    assert torchrun(*worker, "epoch 2/2, 2").returncode == 1
    done = torchrun(*worker, "never")
    assert done.returncode == 0, done.stderr
    calm_patch(monkeypatch, tmp_path / "one")
    train(calm_checkpoint(), training, validation, tmp_path / "one", config=config, open_picture=open_picture)
    one, two = (torch.load(tmp_path / name / "gradients.pt") for name in ("one", "two"))
    torch.testing.assert_close(two, one, atol=1e-5, rtol=1e-3)
    for expected, row in zip(curve_of(tmp_path / "one"), curve_of(tmp_path / "two"), strict=True):
        for name in ("contrastive", "whole", "matching", "label", "loss"):
            assert float(row[name]) == pytest.approx(float(expected[name]), rel=1e-3), name


@pytest.mark.parametrize("count", [1, 3])
def test_the_shares_of_the_label_loss_add_up(pictures: Dataset, tmp_path: Path, count: int) -> None:
    """Also if there are fewer labels than processes."""
    start = calm_checkpoint()
    training = Dataset("train", tuple(map(_labelled, pictures.examples[:7])))
    tower, tokenizer = start.model.image.tower, start.tokenizer
    pairs = prepare_pairs(training, open_picture, FrozenStages(tower, 0), tokenizer, tmp_path, views=1)
    labels = Labels.of(training.examples, [(training, np.arange(7))], tokenizer)
    batch = labels.sample(np.arange(7), np.random.default_rng(0))
    assert batch is not None
    few = LabelBatch(*(value[:count] for value in vars(batch).values()))
    images = start.model.eval().image.from_activations(torch.from_numpy(pairs.activations[:, 0]).float(), 0)
    whole, *parts = (
        float(Objective(start.model, None, tokenizer, CALM, team)._label_loss(few, images).detach())
        for team in (Team(), *(Team(rank, 2) for rank in range(2)))
    )
    assert whole > 0
    assert sum(parts) == pytest.approx(whole, rel=1e-5)


def test_without_torchrun_a_process_is_a_team_of_one() -> None:
    """It connects to no other process, and its share is the whole batch."""
    with assemble_team(torch.device("cpu")) as team:
        assert team == Team(0, 1)
    assert not torch.distributed.is_initialized()
    rows = torch.ones(3, 2, requires_grad=True)
    assert team.gather(rows, slice(0, 3), 3) is rows
    assert team.share(torch.tensor([0, 0, 1, 2])) == (slice(0, 3), slice(0, 4))
    assert team.broadcast(lambda: 5) == 5
    assert is_first_process()


def test_shares_are_consecutive_and_make_up_the_batch() -> None:
    """Every picture belongs to one process, with all its captions."""
    image_of = torch.tensor([0, 0, 1, 2, 2, 2, 3, 4])
    shares = [Team(rank, 3).share(image_of) for rank in range(3)]
    assert [s.pictures for s in shares] == [slice(0, 1), slice(1, 3), slice(3, 5)]
    assert [s.captions for s in shares] == [slice(0, 2), slice(2, 6), slice(6, 8)]


def test_processes_that_cannot_connect_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """WORLD_SIZE without the rest of torchrun's environment is an error at once, not a long wait."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with (
        pytest.raises(TrainingError, match=r"the 2 processes of WORLD_SIZE cannot connect .* start them with torchrun"),
        assemble_team(torch.device("cpu")),
    ):
        pass


if __name__ == "__main__":
    work(Path(sys.argv[1]), sys.argv[2], resume=sys.argv[2] == "never")
