"""The file that a run resumes from: damage, other settings, other data."""

from __future__ import annotations

import os
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from encoders.datasets import Dataset
from encoders.errors import TrainingError
from encoders.training import train
from tests.encoders.conftest import painted_pictures, tiny_checkpoint, use_tiny_backbone
from tests.encoders.training.test_trainer import CONFIG, open_picture, run

TWO = replace(CONFIG, epochs=2)


def test_a_run_is_not_overwritten_nor_resumed_with_changes(pictures: Dataset, tmp_path: Path) -> None:
    """Starting twice, resuming nothing, and resuming with other settings or data are refused at once."""
    with pytest.raises(TrainingError, match=r"holds no run to resume: last\.pt is missing"):
        run(pictures, tmp_path / "run", resume=True)
    run(pictures, tmp_path / "run", replace(CONFIG, epochs=1))
    with pytest.raises(TrainingError, match="already holds a run; go on with --resume"):
        run(pictures, tmp_path / "run")
    with pytest.raises(TrainingError, match=r"other settings: epochs was 1 and is 4; resume with the same ones"):
        run(pictures, tmp_path / "run", resume=True)
    fewer = Dataset("fewer", pictures.examples[1:])
    with pytest.raises(TrainingError, match="other pictures or captions; resume with the same dataset"):
        run(fewer, tmp_path / "run", replace(CONFIG, epochs=1), resume=True)
    (tmp_path / "run" / "last.pt").write_bytes(b"cut short")
    with pytest.raises(TrainingError, match=r"last\.pt is damaged"):
        run(pictures, tmp_path / "run", replace(CONFIG, epochs=1), resume=True)


def test_a_run_from_before_a_setting_existed_is_resumed(pictures: Dataset, tmp_path: Path) -> None:
    """It had the default then; with another value the run is refused."""
    run(pictures, tmp_path / "run", replace(CONFIG, epochs=1))
    state = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    del state["config"]["dataset_weights"]
    torch.save(state, tmp_path / "run" / "last.pt")
    assert len(run(pictures, tmp_path / "run", replace(CONFIG, epochs=1), resume=True)) == 1
    with pytest.raises(TrainingError, match=r"dataset_weights was \(\) and is \(2\.0,\)"):
        run(pictures, tmp_path / "run", replace(CONFIG, epochs=1, dataset_weights=(2.0,)), resume=True)


def test_a_run_from_before_labels_is_not_resumed_with_them(pictures: Dataset, tmp_path: Path) -> None:
    """It would end with another objective than it began with."""
    run(pictures, tmp_path / "run", replace(CONFIG, epochs=1, label_weight=0.0))
    state = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    del state["config"]["label_weight"]
    torch.save(state, tmp_path / "run" / "last.pt")
    with pytest.raises(TrainingError, match=r"label_weight was 0\.0 and is 0\.5"):
        run(pictures, tmp_path / "run", replace(CONFIG, epochs=1), resume=True)
    run(pictures, tmp_path / "run", replace(CONFIG, epochs=1, label_weight=0.0), resume=True)


class Stopped(Exception):  # noqa: N818  not an error
    """Ends a run as an interruption does."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pictures and two runs of two epochs: `finished`, and `unfinished`, which has ended one."""
    folder = tmp_path_factory.mktemp("runs")

    def stop(phase: str, _done: int, _total: int) -> None:
        if phase == "epoch 2/2":
            raise Stopped

    with pytest.MonkeyPatch.context() as monkeypatch:
        use_tiny_backbone(monkeypatch)
        pictures = painted_pictures(folder)
        run(pictures, folder / "finished", TWO)
        training, validation = [pictures.select("train")], [pictures.select("dev")]
        with pytest.raises(Stopped):
            train(
                tiny_checkpoint(),
                training,
                validation,
                folder / "unfinished",
                config=TWO,
                open_picture=open_picture,
                progress=stop,
            )
    return folder


def test_a_finished_run_leaves_its_result_only(runs: Path, tmp_path: Path) -> None:
    """Activations and the state to resume from are several times as large as the model."""
    assert {path.name for path in (runs / "unfinished").iterdir()} >= {"cache", "last.pt", "model"}
    names = {path.name for path in (runs / "finished").iterdir()}
    assert names == {"config.json", "curves.csv", "curves.png", "last.pt", "model"}
    assert (runs / "finished" / "last.pt").stat().st_size < 10_000 < (runs / "unfinished" / "last.pt").stat().st_size
    pictures = painted_pictures(runs)
    shutil.copytree(runs / "unfinished", tmp_path / "run")
    results = [
        train(
            tiny_checkpoint(),
            [pictures.select("train")],
            [pictures.select("dev")],
            out,
            config=TWO,
            open_picture=open_picture,
            resume=True,
        )
        for out in (runs / "finished", tmp_path / "run", tmp_path / "run")
    ]
    assert len({tuple(sorted(result.metrics.items())) for result in results}) == 1
    assert not (tmp_path / "run" / "cache").exists()


def test_a_cache_of_the_caller_is_kept(pictures: Dataset, tmp_path: Path) -> None:
    """Several runs can share it."""
    for name in ("one", "two"):
        train(
            tiny_checkpoint(),
            [pictures.select("train")],
            [pictures.select("dev")],
            tmp_path / name,
            config=replace(CONFIG, epochs=1),
            open_picture=open_picture,
            cache=tmp_path / "cache",
        )
        assert not (tmp_path / name / "cache").exists()
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 2


def damaged_states(path: Path) -> dict[str, bytes | object]:
    """Make damaged contents of a progress file: bytes, or objects saved by torch."""
    content = path.read_bytes()
    state = torch.load(path, weights_only=True)
    cuts = {f"cut at {share}%": content[: len(content) * share // 100] for share in (1, 10, 50, 90, 99)}
    incomplete = {f"without {name}": {k: v for k, v in state.items() if k != name} for name in state}
    wrong = {f"{name} is {value!r}": state | {name: value} for name in state for value in (None, [1], "x", {"x": 1})}
    pickled = {"a pickle": pickle.dumps({"config": 1}), "an object": pickle.dumps(Path("x"))}
    return {
        "empty": b"",
        "junk": b"cut short",
        **cuts,
        **pickled,
        "a list": [1, 2],
        "a tensor": torch.ones(2),
        **incomplete,
        **wrong,
    }


@pytest.mark.parametrize("name", ["finished", "unfinished"])
def test_a_damaged_progress_file_is_named_at_resume(name: str, runs: Path, tmp_path: Path) -> None:
    """Empty, truncated, of the wrong type or incomplete: one error, which names the file and says what to do."""
    pictures = painted_pictures(runs)
    shutil.copytree(runs / name, tmp_path / "run")
    file = tmp_path / "run" / "last.pt"
    for damage, content in damaged_states(runs / name / "last.pt").items():
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            torch.save(content, file)
        with pytest.raises(TrainingError) as caught:
            run(pictures, tmp_path / "run", TWO, resume=True)
        message = str(caught.value)
        named = message.startswith(f"{file} is damaged (") and "start again in another --out" in message
        assert named or "resume with the same" in message, (damage, message)


def test_the_progress_file_is_flushed_before_it_is_renamed(
    pictures: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut leaves the file of the epoch before, never half a file."""
    flushed: list[int] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        fsync(descriptor)
        flushed.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", note)
    run(pictures, tmp_path / "run", replace(CONFIG, epochs=1))
    assert (tmp_path / "run" / "last.pt").stat().st_ino in flushed


def test_a_run_with_keep_resumes_from_the_same_start_only(pictures: Dataset, tmp_path: Path) -> None:
    """Otherwise the result would mix the weights of unrelated models."""
    config = replace(CONFIG, epochs=1, keep=0.5)
    run(pictures, tmp_path, config)
    run(pictures, tmp_path, config, resume=True)
    other = tiny_checkpoint()
    with torch.no_grad():
        other.model.log_scale.add_(1)
    training, validation = pictures.select("train"), pictures.select("dev")
    with pytest.raises(TrainingError, match="was started from another model; resume with the same one"):
        train(other, [training], [validation], tmp_path, config=config, open_picture=open_picture, resume=True)
