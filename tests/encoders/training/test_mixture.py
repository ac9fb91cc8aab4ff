"""Several datasets in one run: how they are mixed, validated and resumed."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from encoders.checkpoint.description import read_description
from encoders.datasets import Dataset, Example, Label
from encoders.errors import TrainingError
from encoders.training import TrainResult, train
from encoders.training.data.frozen import FrozenStages
from encoders.training.data.mixture import check_apart, mix
from encoders.training.data.pairs import Batch, PairSet, prepare_pairs
from encoders.training.encoded import encode_pairs
from encoders.training.validation import _lists, validate
from tests.encoders.conftest import tiny_checkpoint
from tests.encoders.training.test_trainer import CONFIG, Interrupted, open_picture

WEIGHTED = replace(CONFIG, dataset_weights=(1.0, 2.5), epochs=3)


def numbered(name: str, numbers: range, *captions: str) -> Dataset:
    """A dataset of pictures that are named by numbers and do not exist."""
    return Dataset(name, tuple(Example(Path(f"{i}.jpg"), captions, "all") for i in numbers))


def halves(pictures: Dataset) -> tuple[list[Dataset], list[Dataset]]:
    """The training and the validation pictures, each in two datasets: the even ones and the odd ones."""
    parts = [
        [Dataset(name, part.examples[first::2]) for first, name in ((0, "even"), (1, "odd"))]
        for part in (pictures.select("train"), pictures.select("dev"))
    ]
    return parts[0], parts[1]


def curve_of(out: Path) -> list[dict[str, str]]:
    """Read the rows of `curves.csv`."""
    with (out / "curves.csv").open() as file:
        return list(csv.DictReader(file))


@given(
    st.lists(st.tuples(st.integers(1, 30), st.floats(0.1, 4)), min_size=1, max_size=4),
    st.integers(0, 3),
)
def test_an_epoch_draws_pictures_as_often_as_their_weights_say(parts: list[tuple[int, float]], seed: int) -> None:
    """Of n pictures round(w·n) are drawn, evenly over pictures and passes; no pass has a picture twice."""
    starts = np.cumsum([0, *(count for count, _ in parts)])
    datasets = [numbered(str(i), range(starts[i], starts[i + 1])) for i in range(len(parts))]
    weights = np.array([weight for _, weight in parts])
    mixture = mix(datasets, weights.tolist())
    passes = mixture.passes(np.random.default_rng(seed))
    drawn = Counter(np.concatenate(passes).tolist())
    assert len(passes) == np.ceil(weights.max())
    assert all(len(set(pictures.tolist())) == len(pictures) for pictures in passes)
    for weight in set(weights.tolist()):
        same = np.flatnonzero(mixture.weights == weight)  # datasets of one weight are one dataset
        draws = [drawn[picture] for picture in same.tolist()]
        assert sum(draws) == round(weight * len(same))
        assert max(draws) - min(draws) <= 1
        shares = [int(np.isin(pictures, same).sum()) for pictures in passes]
        assert max(shares) - min(shares) <= 1
    again = mixture.passes(np.random.default_rng(seed + 1))
    assert [len(pictures) for pictures in again] == [len(pictures) for pictures in passes]
    assert mixture.steps(7) == sum(-(-len(pictures) // 7) for pictures in passes)


def test_without_weights_every_picture_comes_once() -> None:
    """In one pass, whatever the random numbers."""
    mixture = mix([numbered("a", range(5)), numbered("b", range(5, 9))])
    (pictures,) = mixture.passes(np.random.default_rng(0))
    assert pictures.tolist() == list(range(9))
    with pytest.raises(TrainingError, match="1 weights for 2 datasets; give one for each"):
        mix([numbered("a", range(5)), numbered("b", range(5, 9))], [1.0])


def test_a_file_of_several_datasets_is_one_picture(tmp_path: Path) -> None:
    """With all captions and labels and the largest weight, also if its path is another."""
    (tmp_path / "1.jpg").touch()
    (tmp_path / "link.jpg").symlink_to(tmp_path / "1.jpg")
    dog, grass, hund = (Label("objects", name) for name in ("dog", "grass", "Hund"))
    picture = Example(tmp_path / "1.jpg", ("a dog",), "train", (dog, grass))
    english = Dataset("en", (picture, Example(tmp_path / "2.jpg", ("x",), "")))
    german = Dataset("de", (Example(tmp_path / "link.jpg", ("ein Hund", "Hund"), "train", (hund, dog)),))
    mixture = mix([english, german], [1.0, 3.0])
    first, second = mixture.dataset.examples
    assert first == Example(tmp_path / "1.jpg", ("a dog", "ein Hund", "Hund"), "train", (dog, grass, hund))
    assert second == english.examples[1]
    assert mixture.weights.tolist() == [3.0, 1.0]
    assert [(dataset.name, rows.tolist()) for dataset, rows in mixture.parts] == [("en", [0, 1]), ("de", [0])]
    assert mixture.dataset.name == "en + de"
    assert mix([english]).dataset is english


def test_no_picture_is_its_own_negative(pictures: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No batch of a run holds a picture twice, though the odd ones are drawn two or three times an epoch."""
    training, validation = halves(pictures)
    batched: list[list[int]] = []
    original = PairSet.batches

    def note(self: PairSet, *arguments: Any, **options: Any) -> Iterator[Batch]:
        for batch in original(self, *arguments, **options):
            owners = self.image_of[batch.rows.numpy()]
            batched.append(owners[np.unique(batch.image_of.numpy(), return_index=True)[1]].tolist())
            yield batch

    monkeypatch.setattr(PairSet, "batches", note)
    config = replace(WEIGHTED, epochs=1, batch_size=5)  # passes of 17, 17 and 15: no picture is left over
    train(tiny_checkpoint(), training, validation, tmp_path, config=config, open_picture=open_picture)
    assert all(len(set(batch)) == len(batch) for batch in batched)
    drawn = Counter(picture for batch in batched for picture in batch)
    assert sum(drawn[picture] for picture in range(14)) == 14
    assert sorted(drawn[picture] for picture in range(14, 28)) == [2] * 7 + [3] * 7


@pytest.fixture
def result(pictures: Dataset, tmp_path: Path) -> TrainResult:
    """A run on two datasets, in `tmp_path / "run"`."""
    training, validation = halves(pictures)
    return train(tiny_checkpoint(), training, validation, tmp_path / "run", config=WEIGHTED, open_picture=open_picture)


def test_each_dataset_has_its_recalls_and_the_mean_chooses_the_epoch(result: TrainResult, tmp_path: Path) -> None:
    """In the curves, the metrics and the model's description."""
    curve = curve_of(tmp_path / "run")
    for row in curve:
        sums = []
        for name in ("even", "odd"):
            recalls = {key: float(row[f"{name} reranked_{key}"]) for key in ("t2i_r1", "t2i_r5", "t2i_r10")}
            recalls |= {key: float(row[f"{name} reranked_{key}"]) for key in ("i2t_r1", "i2t_r5", "i2t_r10")}
            sums.append(sum(recalls.values()))
        assert float(row["total"]) == pytest.approx(sum(sums) / 2, abs=0.05)
        mean = (float(row["even retrieval_t2i_r1"]) + float(row["odd retrieval_t2i_r1"])) / 2
        assert float(row["retrieval_t2i_r1"]) == pytest.approx(mean, abs=0.011)
    totals = [float(row["total"]) for row in curve]
    assert result.best_epoch == 1 + totals.index(max(totals))
    metadata = read_description(result.model).metadata
    assert (metadata["training"]["dataset"], metadata["training"]["images"]) == ("even + odd", 28)
    assert (metadata["metrics"]["dataset"], metadata["metrics"]["images"]) == ("even + odd", 12)
    assert metadata["metrics"]["odd reranked_i2t_r5"] == result.metrics["odd reranked_i2t_r5"]
    assert json.loads((tmp_path / "run" / "config.json").read_text())["dataset_weights"] == [1.0, 2.5]


def test_a_mixed_run_resumes_exactly(result: TrainResult, pictures: Dataset, tmp_path: Path) -> None:
    """Killed in the second epoch and resumed, curves and model are the same; other weights or names are refused."""
    training, validation = halves(pictures)

    def report(phase: str, done: int, _total: int) -> None:
        if phase.startswith("epoch 2") and done == 4:
            raise Interrupted

    def run(validation: list[Dataset], config: Any = WEIGHTED, **options: Any) -> TrainResult:
        out = tmp_path / "again"
        return train(tiny_checkpoint(), training, validation, out, config=config, open_picture=open_picture, **options)

    with pytest.raises(Interrupted):
        run(validation, progress=report)
    with pytest.raises(TrainingError, match=r"dataset_weights was \(1\.0, 2\.5\) and is \(1\.0, 2\.0\)"):
        run(validation, replace(WEIGHTED, dataset_weights=(1.0, 2.0)), resume=True)
    with pytest.raises(TrainingError, match="other pictures or captions"):
        run([validation[0], replace(validation[1], name="strange")], resume=True)
    resumed = run(validation, resume=True)
    assert replace(resumed, model=result.model) == result
    for name in ("curves.csv", "model/model.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "run" / name).read_bytes()


def test_one_calibration_is_the_best_for_the_mean(pictures: Dataset, tmp_path: Path) -> None:
    """Each dataset's recalls are those of the common calibration, and no dataset's own has a higher mean."""
    start = tiny_checkpoint()
    splits = {}
    for name, part in (("first", pictures.examples[:15]), ("rest", pictures.examples[15:])):
        pairs = prepare_pairs(
            Dataset(name, part),
            open_picture,
            FrozenStages(start.model.image.tower, 1),
            start.tokenizer,
            tmp_path,
            views=1,
        )
        splits[name] = encode_pairs(start.model, pairs, cut=1)
    both = validate(start.model, splits)
    totals = []
    for name, split in splits.items():
        alone = validate(start.model, {name: split}, calibration=both.calibration)
        assert alone.datasets[name] == both.datasets[name]
        assert alone.mean == both.datasets[name]
        own = validate(start.model, {name: split}).calibration
        totals.append(validate(start.model, splits, calibration=own).mean.reranked.total)
    assert both.mean.reranked.total >= max(totals)
    assert both.mean.reranked.total == pytest.approx(np.mean([r.reranked.total for r in both.datasets.values()]))


def test_the_hubness_of_queries_is_not_that_of_candidates(pictures: Dataset, tmp_path: Path) -> None:
    """A list has one query, whose hubness is measured in the other bank than that of its candidates."""
    model = tiny_checkpoint(querybank=3).model.eval()
    assert model.hubness is not None
    for seed, bank in enumerate((model.hubness.captions, model.hubness.images)):
        vectors = torch.randn(9, 16, generator=torch.Generator().manual_seed(seed))
        bank.fit(torch.nn.functional.normalize(vectors, dim=-1), 20.0)
    frozen = FrozenStages(model.image.tower, 1)
    split = prepare_pairs(pictures, open_picture, frozen, tiny_checkpoint().tokenizer, tmp_path, views=1)
    encoded = encode_pairs(model, split, cut=1)
    of_images = model.hubness.captions(encoded.images.vectors).numpy()
    of_texts = model.hubness.images(encoded.texts.vectors).numpy()
    by_text, by_picture = _lists(model, encoded, 4)
    for lists, of_queries, of_candidates in ((by_text, of_texts, of_images), (by_picture, of_images, of_texts)):
        np.testing.assert_array_equal(lists.query_hubness, np.repeat(of_queries[:, None], 4, axis=1))
        assert np.isin(lists.hubness, of_candidates).all()


def test_datasets_that_cannot_be_mixed_are_refused(pictures: Dataset, tmp_path: Path) -> None:
    """If one is validated on what another one trains on, two have one name, or too little is drawn."""
    training, validation = halves(pictures)
    leaky = Dataset("leaky", (*validation[1].examples, training[0].examples[3]))
    cases = (
        (training, [validation[0], leaky], (), r"train on even and validate on leaky: they share 1 images, .*6\.png"),
        (training, [validation[0], validation[0]], (), "two datasets have one name: even, even"),
        (training, validation, (0.05, 0.05), r"the weights draw fewer than 2 pictures of even \+ odd at a time"),
        (training, validation, (1.0,), "1 weights for 2 datasets"),
    )
    for trained, validated, weights, words in cases:
        config = replace(CONFIG, dataset_weights=weights)
        with pytest.raises(TrainingError, match=words):
            train(tiny_checkpoint(), trained, validated, tmp_path, config=config, open_picture=open_picture)
    for weight in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(TrainingError, match="dataset_weights must be above 0"):
            replace(CONFIG, dataset_weights=(1.0, weight))


def test_datasets_of_one_picture_file_agree_on_its_split() -> None:
    """The splits of a single dataset are its own; those of several are compared."""
    one, other = numbered("one", range(4)), numbered("other", range(2, 6))
    check_apart([one], [other])
    with pytest.raises(
        TrainingError, match=r"they share 2 images, the first: 2\.jpg; give both datasets the same splits"
    ):
        check_apart([one, numbered("more", range(9, 12))], [numbered("rest", range(7, 9)), other])
