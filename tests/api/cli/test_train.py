"""`crosslook train`, from the command line to a usable model."""

from __future__ import annotations

import csv
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from api.cli.train import open_picture
from api.errors import InputError
from encoders import load_encoder
from encoders.checkpoint.calibration import Calibration
from encoders.checkpoint.files import Checkpoint, write_checkpoint
from encoders.checkpoint.tokenizer import Tokenizer
from encoders.datasets import Dataset
from encoders.network.model import CrosslookModel
from tests.api.conftest import Run
from tests.encoders.conftest import TINY, pictures, tiny_backbone, tiny_checkpoint, tiny_config
from tests.encoders.training.test_distributed import torchrun

__all__ = ["pictures"]  # the fixture of forty captioned pictures

QUICK = ("--epochs", "2", "--batch-size", "8", "--views", "1", "--image-cut", "1", "--text-cut", "0", "--device", "cpu")


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `torchvision/tiny` the three-stage CNN, without a download."""
    monkeypatch.setattr("encoders.network.backbones._torchvision_model", lambda *_, **__: tiny_backbone())


def table(dataset: Dataset, path: Path, *, splits: bool) -> Path:
    """Write a dataset as a table beside its pictures."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "caption", *(["split"] if splits else [])])
        for example in dataset.examples:
            for caption in example.captions:
                writer.writerow([example.image.name, caption, *([example.split] if splits else [])])
    return path


def epochs_of(out: Path) -> list[str]:
    """The epochs in curves.csv."""
    with (out / "curves.csv").open() as file:
        return [row["epoch"] for row in csv.DictReader(file)]


def test_a_new_model_is_trained_resumed_and_used(run: Run, pictures: Dataset, tmp_path: Path) -> None:
    """Backbone and text tower are chosen by name; JSON names the model; --resume of a finished run adds nothing."""
    data = table(pictures, pictures.examples[0].image.parent / "data.csv", splits=True)
    command = ("train", data, "--out", tmp_path / "out", "--backbone", TINY, "--text-tower", "lstm", *QUICK)
    done = run(*command, "--json")
    assert done.status == 0, done.err
    assert done.json["model"] == str(tmp_path / "out" / "model")
    assert (done.json["epochs"], done.json["stopped_early"]) == (2, False)
    assert done.json["best_epoch"] in (1, 2)
    assert "28 images to train on" in done.err
    assert "validation images are too few to choose an epoch reliably" in done.err
    assert epochs_of(tmp_path / "out") == ["1", "2"]
    description = json.loads((tmp_path / "out" / "model" / "model.json").read_text())
    assert description["architecture"]["text_tower"] == "lstm"
    assert description["training"]["images"] == 28
    again = run(*command, "--resume")
    assert again.status == 0
    assert "text → image" in again.out
    assert epochs_of(tmp_path / "out") == ["1", "2"]
    assert load_encoder(tmp_path / "out" / "model", device="cpu").encode_texts(["red"]).vectors.shape == (1, 256)
    refused = run(*command)
    assert refused.status == 1
    assert "already holds a run; go on with --resume" in refused.err


def test_a_model_is_fine_tuned_where_there_are_no_splits(run: Run, pictures: Dataset, tmp_path: Path) -> None:
    """A tenth is held out, and the result keeps the architecture of the starting model."""
    write_checkpoint(tiny_checkpoint(), tmp_path / "start")
    data = table(pictures, pictures.examples[0].image.parent / "data.csv", splits=False)
    done = run("train", data, "--out", tmp_path / "out", "--init", tmp_path / "start", *QUICK, "--json")
    assert done.status == 0, done.err
    description = json.loads((tmp_path / "out" / "model" / "model.json").read_text())
    assert description["architecture"]["dimension"] == 16
    assert description["name"] == "out"
    assert description["training"]["config"]["keep"] == 0.5
    assert (description["training"]["images"], description["metrics"]["images"]) == (36, 4)


def test_a_model_that_no_epoch_beats_is_returned_unchanged(run: Run, pictures: Dataset, tmp_path: Path) -> None:
    """The result is the starting model, as the command says in text and JSON, also after --resume."""
    write_checkpoint(replace(tiny_checkpoint(), metadata={"training": {"epoch": 3}}), tmp_path / "start")
    data = table(pictures, pictures.examples[0].image.parent / "data.csv", splits=True)
    command = (
        "train",
        data,
        "--out",
        tmp_path / "out",
        "--init",
        tmp_path / "start",
        *QUICK,
        "--learning-rate",
        "1e-9",
    )
    done = run(*command, "--json")
    assert done.status == 0, done.err
    assert (done.json["best_epoch"], done.json["epochs"]) == (0, 2)
    assert "None of 2 epochs validated better than the starting model, which is the result, unchanged" in done.err
    weights = [(path / "model.safetensors").read_bytes() for path in (tmp_path / "start", tmp_path / "out" / "model")]
    assert weights[0] == weights[1]
    again = run(*command, "--resume")
    assert again.status == 0, again.err
    assert "which is the result, unchanged" in again.err
    assert "text → image" in again.out
    assert epochs_of(tmp_path / "out") == ["0", "1", "2"]


def languages(pictures: Dataset) -> tuple[Path, Path]:
    """Write two tables beside the pictures: all in English, and every second one in German."""
    folder = pictures.examples[0].image.parent
    german = [
        replace(example, captions=tuple(f"{caption} bitte" for caption in example.captions))
        for example in pictures.examples[::2]
    ]
    return (
        table(pictures, folder / "en.csv", splits=True),
        table(Dataset("de", tuple(german)), folder / "de.csv", splits=True),
    )


def test_several_datasets_are_mixed(run: Run, pictures: Dataset, tmp_path: Path) -> None:
    """A picture of both has all its captions; each is validated by name, in JSON, the curves and the table."""
    english, german = languages(pictures)
    out = tmp_path / "out"
    command = ("train", english, german, "--out", out, "--backbone", TINY, "--text-tower", "gru", *QUICK)
    done = run(*command, "--weights", "1,1.5", "--json")
    assert done.status == 0, done.err
    assert "en: 28 images to train on, 12 to validate on" in done.err
    assert "de: 14 images to train on, 6 to validate on" in done.err
    description = json.loads((out / "model" / "model.json").read_text())
    assert description["training"]["dataset"] == "en (train) + de (train)"
    assert (description["training"]["images"], description["training"]["captions"]) == (28, 28 * 2 + 14 * 2)
    assert description["training"]["config"]["dataset_weights"] == [1.0, 1.5]
    assert "bitte" in description["vocabulary"]
    assert {f"{name} (dev) reranked_t2i_r1" for name in ("en", "de")} <= done.json["metrics"].keys()
    with (out / "curves.csv").open() as file:
        assert "de (dev) retrieval_i2t_r10" in next(csv.reader(file))
    again = run(*command, "--weights", "1,1.5", "--resume")
    assert [row.split()[0] for row in again.out.splitlines()[1:]] == ["en", "de"]
    other = run(*command, "--resume")
    assert other.status == 1
    assert "dataset_weights was (1.0, 1.5) and is ()" in other.err


def test_datasets_that_overlap_are_refused(run: Run, pictures: Dataset, tmp_path: Path) -> None:
    """A picture of both datasets is not trained on in one and validated on in the other."""
    english, _ = languages(pictures)
    turned = [replace(e, split="dev" if e.split == "train" else "train") for e in pictures.examples[20:]]
    other = table(Dataset("other", tuple(turned)), english.parent / "other.csv", splits=True)
    write_checkpoint(tiny_checkpoint(), tmp_path / "tiny")
    done = run("train", english, other, "--out", tmp_path / "out", "--init", tmp_path / "tiny", *QUICK)
    assert done.status == 1
    assert "cannot train on other (train) and validate on en (dev): they share 12 images" in done.err
    assert "give both datasets the same splits" in done.err


@pytest.mark.parametrize("weights", ["1", "1,2,3", "1,0", "1,-1", "1,x", "", "1,nan", "1,inf"])
def test_weights_are_one_positive_number_for_each_dataset(run: Run, pictures: Dataset, weights: str) -> None:
    """Anything else is a usage error."""
    done = run("train", *languages(pictures), "--out", "out", "--weights", weights)
    assert done.status == 2
    assert "2 numbers" in done.err


def test_towers_come_from_one_place(run: Run, pictures: Dataset) -> None:
    """A pair is no model to fine-tune, and leaves no tower to choose."""
    data = table(pictures, pictures.examples[0].image.parent / "data.csv", splits=True)
    for option in (("--init", "base"), ("--backbone", TINY), ("--text-tower", "gru")):
        done = run("train", data, "--out", "out", "--towers", "open_clip:RN50/openai", *option)
        assert done.status == 2
        assert "leave out --init, --backbone and --text-tower" in " ".join(done.err.replace("│", " ").split())


def test_the_licence_of_a_pair_is_said_before_it_is_fetched(
    run: Run, pictures: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Research only, for some."""

    def fail(*_: object, **__: object) -> None:
        raise InputError("no network")

    monkeypatch.setattr("api.cli.train.obtain", fail)
    data = table(pictures, pictures.examples[0].image.parent / "data.csv", splits=True)
    done = run("train", data, "--out", "out", "--towers", "open_clip:MobileCLIP2-S0/dfndr2b")
    assert done.status == 1
    assert "open_clip:MobileCLIP2-S0/dfndr2b: licence Apple's, for research only" in done.err


@pytest.mark.slow
def test_two_processes_train_one_model(pictures: Dataset, tmp_path: Path) -> None:
    """Under torchrun two processes train together, write and print once, resume, and fail together."""
    tokenizer = tiny_checkpoint().tokenizer
    assert isinstance(tokenizer, Tokenizer)
    model = CrosslookModel(tiny_config(tokenizer, backbone="test_efficientnet", text_tower="gru"))
    write_checkpoint(Checkpoint("start", model, tokenizer, Calibration(1, 0, 1, 0)), tmp_path / "start")
    data = table(pictures, pictures.examples[0].image.parent / "data.csv", splits=True)
    out = tmp_path / "out"
    command = ("train", data, "--out", out, "--init", tmp_path / "start", *QUICK)
    done = torchrun("-m", "api.cli", *command, "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)  # one document
    assert answer["epochs"] == 2
    assert math.isfinite(answer["metrics"]["loss"])
    assert epochs_of(out) == ["1", "2"]
    assert load_encoder(out / "model", device="cpu").encode_texts(["red"]).vectors.shape == (1, 16)
    again = torchrun("--no-python", Path(sys.executable).parent / "crosslook", *command, "--resume", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout) == answer
    pictures.examples[3].image.write_text("no picture")
    refused = torchrun("-m", "api.cli", *command[:3], tmp_path / "other", *command[4:])
    assert refused.returncode == 1
    assert "3.png: not an image" in refused.stderr
    assert not (tmp_path / "other" / "model").exists()


def test_training_errors_are_one_sentence(run: Run, pictures: Dataset, tmp_path: Path) -> None:
    """Missing datasets, models and runs, and overlapping splits, are one-line errors."""
    data = table(pictures, pictures.examples[0].image.parent / "data.csv", splits=True)
    out = tmp_path / "out"
    write_checkpoint(tiny_checkpoint(), tmp_path / "tiny")
    one = table(Dataset("one", pictures.examples[:1]), data.parent / "one.csv", splits=False)
    lone = table(Dataset("lone", pictures.examples[26:29]), data.parent / "lone.csv", splits=True)
    bare = data.parent / "bare.csv"
    bare.write_text("image,caption\n0.png,\n1.png,\n")
    foreign = data.parent / "foreign.csv"
    foreign.write_bytes(b"image,caption\n0.png,caf\xe9\n")
    cases = {
        ("train", one, "--out", out, "--backbone", TINY): "one has 1 pictures; training and validation need four",
        ("train", lone, "--out", out, "--init", tmp_path / "tiny"): "too few pictures to validate on: 1",
        ("train", bare, "--out", out, "--backbone", TINY): "bare.csv:2: no caption for 0.png",
        ("train", foreign, "--out", out, "--backbone", TINY): "foreign.csv:2: neither UTF-8 nor UTF-16;",
        ("train", tmp_path / "none", "--out", out): "no such file or folder",
        ("train", data, "--out", out, "--init", tmp_path / "none"): "is not a model: model.safetensors is missing",
        ("train", data, "--out", out, "--backbone", TINY, "--resume"): "holds no run to resume",
        ("train", data, "--out", out, "--backbone", "nonsense_5"): "timm has no model 'nonsense_5'",
        ("train", data, "--out", out, "--split", "dev", "--validation", "dev"): "they share images",
        ("train", data, "--out", out, "--towers", tmp_path / "tiny"): "tiny is no pretrained pair; name a folder, a",
        ("train", data, "--out", out, "--towers", "open_clip:RN50"): "write open_clip:ARCHITECTURE/WEIGHTS",
        ("train", data, "--out", out, "--split", "test"): "has no split 'test'; it has: dev, train, all",
        ("train", data, "--out", data / "x", "--backbone", TINY): "cannot write to",
    }
    for arguments, words in cases.items():
        done = run(*arguments)
        assert done.status == 1, arguments
        assert words in done.err, done.err
        assert "Traceback" not in done.err


def test_training_sees_pictures_upright(tmp_path: Path) -> None:
    """EXIF orientation is applied in training as in indexing; an unreadable file is an InputError."""
    image = Image.new("RGB", (20, 10), "red")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    image.save(tmp_path / "side.jpg", exif=exif)
    assert open_picture(tmp_path / "side.jpg").size == (10, 20)
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(InputError, match=r"text\.jpg: not an image.*remove it from the dataset"):
        open_picture(tmp_path / "text.jpg")
