"""Training: it learns, resumes exactly, stops early, and refuses what cannot work."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from encoders import load_encoder
from encoders.checkpoint.description import read_description
from encoders.checkpoint.files import Checkpoint, read_checkpoint
from encoders.checkpoint.lexicon import Lexicon
from encoders.checkpoint.tokenizer import END, PAD, START, UNKNOWN, Tokenizer
from encoders.datasets import Dataset, Label
from encoders.errors import BackboneError, TrainingError
from encoders.features import Pixels
from encoders.network.image_tower import ImageTower
from encoders.network.model import CrosslookModel
from encoders.preprocess import to_square
from encoders.training import TrainConfig, TrainResult, fresh_start, train
from encoders.training.data.augment import (
    crop_maps,
    encode_by_length,
    hide_regions,
    hide_words,
    movable_words,
    piece_tokens,
    swap_words,
)
from encoders.training.data.frozen import FrozenStages
from encoders.training.data.pairs import PairSet, grouped_order, prepare_pairs
from encoders.training.data.views import cached_activations, make_view, read_views
from encoders.training.encoded import encode_pairs
from encoders.training.validation import validate
from tests.encoders.conftest import TINY, painted_pictures, tiny_checkpoint, use_tiny_backbone

CONFIG = TrainConfig(
    epochs=4,
    batch_size=8,
    learning_rate=3e-3,
    image_cut=1,
    text_cut=0,
    views=2,
    hard_negatives=3,
    patience=9,
    device="cpu",
)


def open_picture(path: Path) -> Image.Image:
    """Open a painted picture."""
    with Image.open(path) as image:
        return image.convert("RGB")


def square(image: Image.Image) -> Pixels:
    """Prepare a picture for the tiny model."""
    return to_square(image, 32)


def run(pictures: Dataset, out: Path, config: TrainConfig = CONFIG, *, resume: bool = False) -> list[dict[str, str]]:
    """Train the tiny model, and return its curve."""
    training, validation = pictures.select("train"), pictures.select("dev")
    train(tiny_checkpoint(), [training], [validation], out, config=config, open_picture=open_picture, resume=resume)
    with (out / "curves.csv").open() as file:
        return list(csv.DictReader(file))


PlainRun = tuple[Path, list[dict[str, str]]]
"""The folder of a finished run, and its curve."""


@pytest.fixture(scope="module")
def plain_run(tmp_path_factory: pytest.TempPathFactory) -> PlainRun:
    """A run of four epochs, shared by the tests that only read it."""
    folder = tmp_path_factory.mktemp("plain")
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_tiny_backbone(monkeypatch)
        return folder / "run", run(painted_pictures(folder), folder / "run")


class Interrupted(Exception):  # noqa: N818  not an error, a simulated kill
    """Simulates `kill -9`."""


def test_it_learns(pictures: Dataset, tmp_path: Path) -> None:
    """Both losses fall, and recall rises."""
    curve = run(pictures, tmp_path / "run", replace(CONFIG, epochs=16, average=0.8))
    first, last = curve[0], curve[-1]
    assert float(last["contrastive"]) < 0.8 * float(first["contrastive"])
    assert float(last["matching"]) < float(first["matching"])
    assert float(last["reranked_t2i_r5"]) > float(first["reranked_t2i_r5"])
    assert float(last["loss"]) == pytest.approx(
        float(last["contrastive"]) + 0.5 * float(last["whole"]) + 2 * float(last["matching"]), rel=1e-4
    )


def test_a_run_writes_a_model_and_the_curves(plain_run: PlainRun) -> None:
    """The model records its training data and metrics; the curves are CSV and PNG."""
    out, curve = plain_run
    assert [row["epoch"] for row in curve] == ["1", "2", "3", "4"]
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((out / "config.json").read_text())["epochs"] == 4
    metadata = read_description(out / "model").metadata
    assert metadata["training"]["dataset"] == "colours (train)"
    assert metadata["training"]["images"] == 28
    assert metadata["metrics"]["dataset"] == "colours (dev)"
    assert load_encoder(out / "model", device="cpu").encode_texts(["red over blue"]).vectors.shape == (1, 16)


def test_a_model_without_a_class_channel_trusts_its_reranker_for_any_word(plain_run: PlainRun) -> None:
    """It knows the words of its captions all the same, which keywords go by."""
    description = read_description(plain_run[0] / "model")
    assert description.lexicon.counts["wall"] > 0
    assert description.lexicon.strangeness("zebra") == 1.0
    assert description.calibration.trust_exponent == 0
    assert description.calibration.unfamiliar is None


def test_a_resumed_run_follows_exactly_the_same_curve(plain_run: PlainRun, pictures: Dataset, tmp_path: Path) -> None:
    """Killed in the third epoch and resumed, it gives the same figures for every epoch, and the same weights."""
    folder, uninterrupted = plain_run

    def report(phase: str, done: int, _total: int) -> None:
        if phase.startswith("epoch 3") and done == 2:
            raise Interrupted

    start, training, validation = tiny_checkpoint(), pictures.select("train"), pictures.select("dev")
    with pytest.raises(Interrupted):
        train(
            start, [training], [validation], tmp_path / "b", config=CONFIG, open_picture=open_picture, progress=report
        )
    assert run(pictures, tmp_path / "b", resume=True) == uninterrupted
    model = "model/model.safetensors"
    assert (tmp_path / "b" / model).read_bytes() == (folder / model).read_bytes()


def test_it_stops_early_and_keeps_the_best(pictures: Dataset, tmp_path: Path) -> None:
    """It ends after `patience` epochs without improvement, and the model is that of the best epoch."""
    config = replace(CONFIG, epochs=30, patience=2, learning_rate=1e-9)
    training, validation = pictures.select("train"), pictures.select("dev")
    result = train(
        tiny_checkpoint(), [training], [validation], tmp_path / "r", config=config, open_picture=open_picture
    )
    assert result.stopped_early
    assert result.epochs < 30
    assert result.epochs - result.best_epoch >= 2
    assert read_description(result.model).metadata["training"]["epoch"] == result.best_epoch


def test_a_loss_that_is_not_finite_ends_the_run(
    pictures: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says where it happened, and what usually helps."""
    monkeypatch.setattr(
        "encoders.training.objective.listwise_match", lambda logits, *_, **__: logits.sum() * float("nan")
    )
    with pytest.raises(TrainingError, match=r"the loss became nan in epoch 1, step 1; a lower learning rate"):
        run(pictures, tmp_path / "run")


def test_the_best_model_before_a_divergence_stays_usable(
    pictures: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradients that are not finite never reach the weights, and the best epoch's model still loads."""

    def report(phase: str, done: int, _total: int) -> None:
        if phase.startswith("epoch 2") and done == 3:
            monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *_: torch.tensor(float("inf")))

    start, training, validation = tiny_checkpoint(), pictures.select("train"), pictures.select("dev")
    with pytest.raises(TrainingError, match=r"the gradient became inf in epoch 2, step 4; .*, of epoch 1, is kept"):
        train(start, [training], [validation], tmp_path, config=CONFIG, open_picture=open_picture, progress=report)
    assert read_description(tmp_path / "model").metadata["training"]["epoch"] == 1
    assert np.isfinite(load_encoder(tmp_path / "model", device="cpu").encode_texts(["red"]).vectors).all()


def test_a_model_without_finite_scores_is_never_kept(
    pictures: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Validation detects weights that overflow in use."""

    def spoil(model: CrosslookModel, *_: object, **__: object) -> None:
        with torch.no_grad():
            model.reranker.linear.bias.fill_(float("inf"))

    monkeypatch.setattr("encoders.training.trainer.fit_hubness", spoil)
    with pytest.raises(TrainingError, match="no finite scores; train with a lower learning rate"):
        run(pictures, tmp_path / "run")
    assert not (tmp_path / "run" / "model").exists()


def trained_checkpoint(pictures: Dataset, out: Path, epochs: int) -> Checkpoint:
    """Train the tiny model for some epochs, and read it as `--init` does."""
    run(pictures, out, replace(CONFIG, epochs=epochs, average=0.8))
    return read_checkpoint(out / "model")


def test_a_run_without_improvement_returns_the_starting_model(pictures: Dataset, tmp_path: Path) -> None:
    """With a learning rate that diverges, weights and calibration of the result are those of the start."""
    start = trained_checkpoint(pictures, tmp_path / "start", epochs=10)
    config = replace(CONFIG, learning_rate=0.9, warmup=0.0, average=0.1, patience=2)
    training, validation = pictures.select("train"), pictures.select("dev")
    result = train(start, [training], [validation], tmp_path / "out", config=config, open_picture=open_picture)
    assert (result.best_epoch, result.epochs, result.stopped_early) == (0, 2, True)
    initial, final = (read_description(tmp_path / name / "model") for name in ("start", "out"))
    assert (tmp_path / "out/model/model.safetensors").read_bytes() == (
        tmp_path / "start/model/model.safetensors"
    ).read_bytes()
    assert final.calibration == initial.calibration
    assert final.metadata == initial.metadata
    with (tmp_path / "out/curves.csv").open() as file:
        curve = list(csv.DictReader(file))
    assert [row["epoch"] for row in curve] == ["0", "1", "2"]
    assert curve[0]["loss"] == ""
    assert float(curve[0]["total"]) > max(float(row["total"]) for row in curve[1:])


def test_the_result_keeps_its_share_of_the_starting_weights(pictures: Dataset, tmp_path: Path) -> None:
    """Weights are the mean of those before and after, weighted by `keep`."""
    initial = tiny_checkpoint().model.state_dict()
    for keep in (0.0, 0.25):
        run(pictures, tmp_path / str(keep), replace(CONFIG, epochs=1, learning_rate=3e-2, average=0.5, keep=keep))
    trained, mean = (read_checkpoint(tmp_path / str(keep) / "model").model.state_dict() for keep in (0.0, 0.25))
    changed = [k for k, v in initial.items() if v.is_floating_point() and (trained[k] - v).abs().max() > 2e-2]
    assert len(changed) > 10
    for name in changed:
        torch.testing.assert_close(mean[name], 0.25 * initial[name] + 0.75 * trained[name], atol=2e-3, rtol=2e-3)


def test_with_keep_a_trained_start_keeps_its_querybank_and_weights(pictures: Dataset, tmp_path: Path) -> None:
    """Only the curve to probabilities is fitted: the other choices need more pictures than fine-tuning has."""
    start = replace(tiny_checkpoint(querybank=3), metadata={"training": {"epoch": 1}})
    assert start.model.hubness is not None
    torch.nn.init.normal_(start.model.hubness.captions.centres)
    centres = start.model.hubness.captions.centres.clone()
    training, validation = pictures.select("train"), pictures.select("dev")
    config = replace(CONFIG, epochs=8, average=0.8, keep=0.25, learning_rate=1e-2)
    result = train(start, [training], [validation], tmp_path, config=config, open_picture=open_picture)
    assert result.best_epoch > 0
    tuned = read_checkpoint(result.model)
    assert tuned.model.hubness is not None
    torch.testing.assert_close(tuned.model.hubness.captions.centres, centres, atol=2e-3, rtol=2e-3)
    weights = ("match_weight", "whole_weight", "hubness_weight")
    assert [getattr(tuned.calibration, w) for w in weights] == [getattr(start.calibration, w) for w in weights]
    assert tuned.calibration.slope != start.calibration.slope


def test_similar_pictures_come_in_groups(pictures: Dataset, tmp_path: Path) -> None:
    """Every picture comes once, groups stay together, and the order depends on the seed."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(5, 8))
    kinds = rng.permutation(np.repeat(np.arange(5), 4))
    sentences = torch.from_numpy(np.repeat(centres[kinds] + 0.01 * rng.normal(size=(20, 8)), 2, axis=0)).float()
    pairs = PairSet(
        np.zeros((20, 1, 1, 1, 1), np.float16), tiny_checkpoint().tokenizer(["red"]), np.repeat(np.arange(20), 2)
    )
    orders = [
        grouped_order(np.arange(20), pairs.neighbours(sentences), 4, np.random.default_rng(seed)) for seed in (0, 1)
    ]
    for order in orders:
        assert sorted(order) == list(range(20))
        assert all(len(set(kinds[group])) == 1 for group in order.reshape(5, 4))
    assert not np.array_equal(orders[0], orders[1])
    order = grouped_order(np.arange(20), pairs.neighbours(sentences), 3, rng)  # of four similar ones, one is left over
    assert sorted(order) == list(range(20))
    same_kind = kinds[order[1:]] == kinds[order[:-1]]
    assert same_kind.sum() >= 10
    config = replace(CONFIG, epochs=1, soft_targets=0.0)
    plain = run(pictures, tmp_path / "plain", config)
    grouped = run(pictures, tmp_path / "grouped", replace(config, group_size=4))
    assert grouped[0]["contrastive"] != plain[0]["contrastive"]


def test_fine_tuning_resumes_exactly_after_epoch_zero(pictures: Dataset, tmp_path: Path) -> None:
    """The starting model stays in the history, and epochs continue their count."""
    trained_checkpoint(pictures, tmp_path / "start", epochs=1)
    training, validation = pictures.select("train"), pictures.select("dev")

    def report(phase: str, done: int, _total: int) -> None:
        if phase.startswith("epoch 2") and done == 2:
            raise Interrupted

    def tune(out: Path, *, resume: bool = False, interrupt: bool = False) -> TrainResult:
        return train(
            read_checkpoint(tmp_path / "start/model"),
            [training],
            [validation],
            out,
            config=replace(CONFIG, epochs=2),
            open_picture=open_picture,
            resume=resume,
            progress=report if interrupt else lambda *_: None,
        )

    uninterrupted = tune(tmp_path / "whole")
    with pytest.raises(Interrupted):
        tune(tmp_path / "b", interrupt=True)
    resumed = tune(tmp_path / "b", resume=True)
    assert uninterrupted.epochs == 2
    assert replace(resumed, model=uninterrupted.model) == uninterrupted
    for name in ("curves.csv", "model/model.safetensors"):
        assert (tmp_path / "b" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_dataset_too_small_to_learn_from_is_refused(pictures: Dataset, tmp_path: Path) -> None:
    """A single picture to train or validate on, or a picture without captions, is an error at once."""
    one = Dataset("lone", pictures.examples[:1])
    for training, validation, words in (
        (one, pictures, "lone has too few pictures to train on: 1; at least 2 are needed"),
        (pictures, one, "lone has too few pictures to validate on: 1; at least 2 are needed"),
        (Dataset("bare", (*one.examples, replace(one.examples[0], captions=()))), one, r"0\.png has no caption"),
    ):
        with pytest.raises(TrainingError, match=words):
            train(tiny_checkpoint(), [training], [validation], tmp_path, config=CONFIG, open_picture=open_picture)
    with pytest.raises(TrainingError, match="there is nothing to validate on"):
        train(tiny_checkpoint(), [pictures], [], tmp_path, config=CONFIG, open_picture=open_picture)


def test_a_picture_without_finite_activations_is_named(
    pictures: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Activations that overflow half precision are an error before the first epoch."""
    original = ImageTower.bottom_stages

    def overflow(self: ImageTower, pixels: torch.Tensor, cut: int) -> torch.Tensor:
        return original(self, pixels, cut).masked_fill((pixels.flatten(1).std(1) == 0)[:, None, None, None], 70_000.0)

    monkeypatch.setattr(ImageTower, "bottom_stages", overflow)
    Image.new("RGB", (40, 40)).save(pictures.examples[3].image)
    with pytest.raises(TrainingError, match=r"3\.png: .* not finite in half precision; take it out of the dataset"):
        run(pictures, tmp_path / "run")


def test_black_pictures_give_finite_figures(pictures: Dataset, tmp_path: Path) -> None:
    """Even if every picture is black and there is nothing to learn."""
    for example in pictures.examples:
        Image.new("RGB", (40, 40)).save(example.image)
    curve = run(pictures, tmp_path / "run", replace(CONFIG, epochs=2))
    assert all(np.isfinite(float(value)) for row in curve for value in row.values())
    assert np.isfinite(load_encoder(tmp_path / "run/model", device="cpu").encode_texts(["red"]).vectors).all()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("batch_size", 1),
        ("learning_rate", 0.0),
        ("views", 0),
        ("precision", "float8"),
        ("keep", 1.0),
        ("group_size", 0),
    ],
)
def test_settings_that_cannot_work_are_refused(field: str, value: object) -> None:
    """The error names the setting."""
    with pytest.raises(TrainingError, match=field):
        replace(CONFIG, **{field: value})  # type: ignore[arg-type]


def test_a_picture_that_cannot_be_read_ends_the_run(pictures: Dataset, tmp_path: Path) -> None:
    """It is not skipped silently: the error of `open_picture` reaches the caller."""
    pictures.examples[3].image.write_text("no picture")
    with pytest.raises(OSError, match=r"3\.png"):
        run(pictures, tmp_path / "run")


def test_bf16_trains_as_well(plain_run: PlainRun, pictures: Dataset, tmp_path: Path) -> None:
    """With mixed precision the loss stays close to that of float32."""
    _, plain = plain_run
    mixed = run(pictures, tmp_path / "mixed", replace(CONFIG, precision="bfloat16"))
    assert float(mixed[-1]["loss"]) == pytest.approx(float(plain[-1]["loss"]), rel=0.15)


def test_cached_activations_are_those_of_the_frozen_stages(pictures: Dataset, tmp_path: Path) -> None:
    """The files hold the stages' output in half precision; a second call computes nothing."""
    start = tiny_checkpoint()
    tower = start.model.image.tower.eval()
    paths = [e.image for e in pictures.examples[:5]]
    array = cached_activations(FrozenStages(tower, 2), paths, open_picture, tmp_path, views=3)
    assert array.shape[:2] == (5, 3)
    view = read_views(paths[4], open_picture, square, 3, 0)[2:]
    pixels = torch.from_numpy(view).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        expected = tower.bottom_stages(pixels, 2)[0].numpy()
    np.testing.assert_allclose(array[4, 2], expected, atol=2e-3)
    calls: list[int] = []
    tower.bottom_stages, original = (lambda *a: calls.append(1) or original(*a)), tower.bottom_stages  # type: ignore[method-assign, func-returns-value]
    again = cached_activations(FrozenStages(tower, 2), paths, open_picture, tmp_path, views=3)
    np.testing.assert_array_equal(again, array)
    assert len(calls) == 1  # only the sample for the shape
    next(tmp_path.glob("*.npy")).unlink()
    np.testing.assert_array_equal(
        cached_activations(FrozenStages(tower, 2), paths, open_picture, tmp_path, views=3), array
    )


def count_computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the names of the pictures whose views are read from now on."""
    computed: list[str] = []

    def note(path: Path, *rest: Any) -> Any:
        computed.append(path.name)
        return read_views(path, *rest)

    monkeypatch.setattr("encoders.training.data.views.read_views", note)
    return computed


def test_edited_pictures_are_computed_again(pictures: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are recognised by size and modification time; the others are not computed again."""
    tower = tiny_checkpoint().model.image.tower
    paths = [example.image for example in pictures.examples[:5]]
    first = np.array(cached_activations(FrozenStages(tower, 1), paths, open_picture, tmp_path, views=2))
    Image.new("RGB", (40, 40), (9, 200, 77)).save(paths[2])
    computed = count_computed(monkeypatch)
    again = cached_activations(FrozenStages(tower, 1), paths, open_picture, tmp_path, views=2)
    assert computed == ["2.png"]
    assert not np.array_equal(again[2], first[2])
    np.testing.assert_array_equal(np.delete(again, 2, 0), np.delete(first, 2, 0))
    elsewhere = cached_activations(FrozenStages(tower, 1), paths, open_picture, tmp_path / "elsewhere", views=2)
    np.testing.assert_array_equal(again, elsewhere)
    computed.clear()
    paths[4].unlink()
    with pytest.raises(FileNotFoundError, match=r"4\.png"):
        cached_activations(FrozenStages(tower, 1), paths, open_picture, tmp_path, views=2)


@pytest.mark.parametrize("damage", ["empty", "cut", "junk", "header", "other", "gone"])
@pytest.mark.parametrize("which", ["activations", "stamps"])
def test_a_damaged_cache_of_activations_is_replaced(pictures: Dataset, tmp_path: Path, damage: str, which: str) -> None:
    """Truncated, overwritten, of another shape, or missing: the result is the same as from an empty folder."""
    tower = tiny_checkpoint().model.image.tower
    paths = [example.image for example in pictures.examples[:4]]
    expected = np.array(cached_activations(FrozenStages(tower, 1), paths, open_picture, tmp_path, views=1))
    (stamps,) = tmp_path.glob("*.stamps")
    file = stamps if which == "stamps" else stamps.with_suffix(".npy")
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    elif damage == "other":
        np.save(file, np.ones((3, 2), np.int64))
    else:
        contents = {"empty": b"", "cut": content[:-8], "junk": b"no array", "header": content[:40]}
        file.write_bytes(contents[damage])
    again = cached_activations(FrozenStages(tower, 1), paths, open_picture, tmp_path, views=1)
    np.testing.assert_array_equal(again, expected)


def test_views_are_the_picture_and_fixed_crops() -> None:
    """View 0 is plain; any other is a crop, the same for the same seed, and every second one is mirrored."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8))
    np.testing.assert_array_equal(make_view(image, square, 0, np.random.default_rng(0)), to_square(image, 32))
    crops = [make_view(image, square, 2, np.random.default_rng(s)) for s in (1, 1, 2)]
    np.testing.assert_array_equal(crops[0], crops[1])
    assert not np.array_equal(crops[0], crops[2])
    straight, mirrored = (make_view(image, np.asarray, view, np.random.default_rng(3)) for view in (1, 2))
    np.testing.assert_array_equal(straight[:, ::-1], mirrored)


def test_batches_hold_every_picture_once_with_its_own_captions(pictures: Dataset, tmp_path: Path) -> None:
    """An epoch is a permutation of the pictures; captions belong to their picture."""
    start = tiny_checkpoint()
    training = pictures.select("train")
    pairs = prepare_pairs(
        training, open_picture, FrozenStages(start.model.image.tower, 1), start.tokenizer, tmp_path, views=1
    )
    batched: list[int] = []
    for batch in pairs.batches(np.random.default_rng(0).permutation(28), 8, 2, np.random.default_rng(1)):
        for row in range(len(batch.activations)):
            picture = int(
                np.abs(np.asarray(pairs.activations[:, 0], np.float32) - batch.activations[row].numpy())
                .sum((1, 2, 3))
                .argmin()
            )
            batched.append(picture)
            captions = start.tokenizer(training.examples[picture].captions).ids
            for caption in batch.ids[batch.image_of == row].numpy():
                width = captions.shape[1]
                assert caption[:width].tolist() in [ids[: len(caption)].tolist() for ids in captions]
    assert len(batched) == 28


def test_hiding_keeps_the_right_share_and_never_all() -> None:
    """A fifth of the regions is dropped; a sentence keeps at least one word."""
    torch.manual_seed(0)
    states = torch.arange(2 * 10).float().reshape(2, 10, 1)
    remaining = hide_regions(states, 0.2)
    assert remaining.shape == (2, 8, 1)
    assert all(len(set(row.flatten().tolist())) == 8 for row in remaining)
    assert hide_regions(states, 0.0) is states
    mask = torch.tensor([[True, True, False], [True, False, False]])
    for _ in range(50):
        hidden = hide_words(mask, 0.9)
        assert hidden.any(1).all()
        assert not hidden[~mask].any()


def test_encoding_by_length_changes_nothing() -> None:
    """Parts of similar length give the features of one padded block."""
    start = tiny_checkpoint()
    side = start.model.text.eval()
    tokens = start.tokenizer(["a red wall", "green", "the blue door is over a white wall", "a", "white wall"])
    ids, mask, attended = (torch.from_numpy(a) for a in (tokens.ids, tokens.mask, tokens.attended))
    with torch.no_grad():
        expected, parts = side(ids, mask, attended), encode_by_length(side, ids, mask, attended, parts=3)
    torch.testing.assert_close(parts.vectors, expected.vectors)
    torch.testing.assert_close(parts.states[mask], expected.states[mask])


def test_a_fresh_start_takes_its_words_from_the_training_set(pictures: Dataset) -> None:
    """Backbone and text tower are chosen by name; unknown names are refused."""
    start = fresh_start([pictures], backbone=TINY, text_tower="gru", pretrained=False)
    assert isinstance(start.tokenizer, Tokenizer)
    assert set(start.tokenizer.vocabulary) >= {"red", "over", "wall"}
    assert start.model.config.text_tower == "gru"
    with pytest.raises(BackboneError, match="no text tower 'rnn'; there are transformer, gru, lstm"):
        fresh_start([pictures], backbone=TINY, text_tower="rnn")


def test_a_fresh_start_knows_the_labels(pictures: Dataset) -> None:
    """Also those that no caption uses, or only one picture has."""
    first, *others = pictures.select("train").examples
    labelled = Dataset("labelled", (replace(first, labels=(Label("objects", "Hot Violin"),)), *others))
    start = fresh_start([labelled], backbone=TINY, text_tower="gru", pretrained=False)
    assert isinstance(start.tokenizer, Tokenizer)
    assert {"hot", "violin"} <= set(start.tokenizer.vocabulary)


def test_labels_shift_the_probability(pictures: Dataset, tmp_path: Path) -> None:
    """Captions and labels weigh the same in the curve, whichever dataset has labels."""
    start = tiny_checkpoint()
    tower, tokenizer = start.model.image.tower, start.tokenizer
    labels = {colour: (Label("objects", colour), Label("objects", "door")) for colour in ("red", "green", "blue")}
    shown = [
        replace(e, labels=next((labels[c] for c in labels if e.captions[0].startswith(c)), (Label("objects", "is"),)))
        for e in pictures.examples
    ]
    curves = []
    for examples in (pictures.examples, tuple(shown)):
        splits = {}
        for name, part in (("first", pictures.examples[:15]), ("rest", examples[15:])):
            pairs = prepare_pairs(
                Dataset(name, part),
                open_picture,
                FrozenStages(tower, 1),
                tokenizer,
                tmp_path,
                views=1,
                label_queries=True,
            )
            splits[name] = encode_pairs(start.model, pairs, cut=1)
        assert splits["first"].labels is None
        assert (splits["rest"].labels is not None) == (examples != pictures.examples)
        curves.append(validate(start.model, splits).calibration)
    without, with_labels = curves
    score = np.array([without.similarity_weight * 0.5], np.float32)
    assert with_labels.probabilities(score, 1)[0] > without.probabilities(score, 1)[0]
    assert without.match_weight == with_labels.match_weight


def test_crops_of_maps_are_squares_of_them_mirrored_or_not() -> None:
    """Every crop is part of its map, all crops of a batch have one size, and half of them are mirrored."""
    torch.manual_seed(0)
    maps = torch.arange(2 * 3 * 6 * 6, dtype=torch.float32).reshape(2, 3, 6, 6).repeat(32, 1, 1, 1)
    sides, mirrored = set(), 0
    for _ in range(20):
        crops = crop_maps(maps, 0.5)
        side = crops.shape[-1]
        sides.add(side)
        for full, crop in zip(maps, crops, strict=True):
            upright = crop if crop[0, 0, 0] < crop[0, 0, -1] else crop.flip(-1)
            mirrored += not torch.equal(upright, crop)
            top, left = divmod(int(upright[0, 0, 0]) % 36, 6)
            assert torch.equal(upright, full[:, top : top + side, left : left + side])
    assert sides == {3, 4, 5, 6}
    assert 0.4 < mirrored / (20 * 64) < 0.6
    assert crop_maps(maps, 1.0).shape == maps.shape


MARKERS = (PAD, UNKNOWN, START, END)
WORDPIECE = Tokenizer([*MARKERS, "a", "with", "man", "dog", "snow", "##board", "red"])
UNIGRAM = Tokenizer([*MARKERS, "▁a", "▁with", "▁man", "▁dog", "▁snow", "board", "▁red"], scores=[-1.0] * 11)


@pytest.mark.parametrize("tokenizer", [WORDPIECE, UNIGRAM], ids=["wordpiece", "unigram"])
def test_only_two_content_words_are_swapped(tokenizer: Tokenizer) -> None:
    """Never function words or pieces of words; a sentence without two different content words is unchanged."""
    torch.manual_seed(0)
    ids = torch.tensor([[2, 4, 6, 5, 4, 7, 3, 0], [2, 4, 10, 8, 9, 5, 7, 3], [2, 4, 7, 5, 7, 3, 0, 0]])
    mask = ids > 3
    swaps = set()
    for _ in range(20):
        swapped, changed = swap_words(ids, mask, movable_words(tokenizer), piece_tokens(tokenizer))
        assert changed.tolist() == [True, True, False]
        assert swapped[0].tolist() == [2, 4, 7, 5, 4, 6, 3, 0]
        assert swapped[2].tolist() == ids[2].tolist()
        swaps.add(tuple(swapped[1].tolist()))
    assert swaps == {(2, 4, 7, 8, 9, 5, 10, 3)}


def test_the_reranker_can_be_trained_with_frozen_towers(pictures: Dataset, tmp_path: Path) -> None:
    """Training changes the reranker and its layers of the towers, but no vector."""
    start = tiny_checkpoint(image_split=2, text_split=1, querybank=3)
    initial = {name: value.clone() for name, value in start.model.state_dict().items()}
    config = replace(CONFIG, epochs=2, train_towers=False, contrastive_weight=0.0, average=0.5)
    training, validation = pictures.select("train"), pictures.select("dev")
    result = train(start, [training], [validation], tmp_path / "r", config=config, open_picture=open_picture)
    after = read_checkpoint(result.model).model.state_dict()
    trained = ("reranker.", "image.tower.match_", "text.tower.match_", "image.local.", "text.local.")
    changed = {n for n, v in initial.items() if v.is_floating_point() and not torch.equal(after[n], v.half().float())}
    assert any(name.startswith("image.tower.match_stages") for name in changed)
    assert any(name.startswith("text.tower.match_layers") for name in changed)
    assert all(name.startswith((*trained, "hubness.")) for name in changed)
    assert after["hubness.captions.centres"].abs().sum() > 1  # fitted once, before the first epoch


def test_unfamiliar_words_get_their_own_probability_curve(pictures: Dataset, tmp_path: Path) -> None:
    """With a class channel, the probability for unfamiliar words is fitted to the class part's cosines."""
    start = tiny_checkpoint(image_split=1, text_split=1, classes=3, class_dimension=2)
    start = replace(start, lexicon=Lexicon(class_names=("red", "green", "blue")))
    training, validation = pictures.select("train"), pictures.select("dev")
    config = replace(CONFIG, epochs=1)
    result = train(start, [training], [validation], tmp_path, config=config, open_picture=open_picture)
    calibration = read_description(result.model).calibration
    assert calibration.unfamiliar is not None
    assert np.isfinite(calibration.unfamiliar).all()
    scores = np.array([10.0], np.float32)
    assert calibration.probabilities(scores, 6, familiarity=0.0) != calibration.probabilities(scores, 6)
