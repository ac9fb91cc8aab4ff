"""A trained model in use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from encoders import BASE_MODEL, Encoder, ImageFeatures, TextFeatures, load_encoder
from encoders.checkpoint.files import Checkpoint, write_checkpoint
from tests.encoders.conftest import tiny_checkpoint

TEXTS = ["a red wall", "the blue door is over a white wall", "green"]


@pytest.fixture
def encoder(model_directory: Path) -> Encoder:
    """The tiny model."""
    return load_encoder(model_directory, device="cpu")


def load_written(checkpoint: Checkpoint, directory: Path) -> Encoder:
    """Write a model and load it."""
    write_checkpoint(checkpoint, directory)
    return load_encoder(directory, device="cpu")


def pixels(count: int = 3) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Random pictures of the model's size."""
    return np.random.default_rng(0).integers(0, 255, (count, 32, 32, 3), np.uint8)


def test_features_are_arrays_of_the_documented_shapes(encoder: Encoder) -> None:
    """They are float32 and contiguous, vectors and states of length 1."""
    images, texts = encoder.encode_images(pixels()), encoder.encode_texts(TEXTS)
    assert images.vectors.shape == (3, encoder.dimension) == (3, 16)
    assert images.regions.shape == (3, 16, 8)
    assert [t.shape for t in texts.tokens] == [(3, 8), (8, 8), (1, 8)]
    for array in (images.vectors, images.regions, texts.vectors, *texts.tokens):
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
        np.testing.assert_allclose(np.linalg.norm(array, axis=-1), 1, atol=1e-5)


def test_features_do_not_depend_on_the_batch(encoder: Encoder) -> None:
    """Pictures and sentences have the same features alone and in a batch."""
    images, texts = encoder.encode_images(pixels()), encoder.encode_texts(TEXTS)
    for i in range(3):
        np.testing.assert_allclose(encoder.encode_images(pixels()[i : i + 1]).vectors[0], images.vectors[i], atol=1e-5)
        single = encoder.encode_texts([TEXTS[i]])
        np.testing.assert_allclose(single.vectors[0], texts.vectors[i], atol=1e-5)
        np.testing.assert_allclose(single.tokens[0], texts.tokens[i], atol=1e-5)


def test_a_pair_scores_the_same_alone_and_in_a_list(encoder: Encoder) -> None:
    """In both directions; the higher score has the higher probability."""
    images, texts = encoder.encode_images(pixels()), encoder.encode_texts(TEXTS)
    for c in range(3):
        text = TextFeatures(texts.vectors[c : c + 1], texts.tokens[c : c + 1])
        row = encoder.match_images(text, images)
        np.testing.assert_array_equal(np.argsort(row.scores), np.argsort(row.probabilities))
        for i in range(3):
            image = ImageFeatures(images.vectors[i : i + 1], images.regions[i : i + 1])
            assert encoder.match_images(text, image).scores[0] == pytest.approx(row.scores[i], abs=1e-4)
            column = encoder.match_captions(image, texts)
            assert encoder.match_captions(image, text).scores[0] == pytest.approx(column.scores[c], abs=1e-4)
    nothing = ImageFeatures(images.vectors[:0], images.regions[:0])
    assert len(encoder.match_images(text, nothing).scores) == 0


def test_hubness_is_subtracted(tmp_path: Path) -> None:
    """That of candidates from scores, and that of the query from log-odds.

    Pictures are compared with the bank of captions, captions with that of pictures.
    """
    scores = []  # of both directions
    for weight in (0.0, 0.5):
        checkpoint = tiny_checkpoint(querybank=3)
        assert checkpoint.model.hubness is not None
        banks = (checkpoint.model.hubness.captions, checkpoint.model.hubness.images)
        for seed, bank in enumerate(banks):
            vectors = torch.randn(9, 16, generator=torch.Generator().manual_seed(seed))
            bank.fit(torch.nn.functional.normalize(vectors, dim=-1), 20.0)
            for tensor in (bank.centres, bank.log_shares):
                tensor.copy_(tensor.half())
        calibration = replace(checkpoint.calibration, hubness_weight=weight, usual_hubness=-50.0, excess_slope=0.25)
        write_checkpoint(replace(checkpoint, calibration=calibration), tmp_path / str(weight))
        encoder = load_encoder(tmp_path / str(weight), device="cpu")
        images, texts = encoder.encode_images(pixels()), encoder.encode_texts(TEXTS)
        text = TextFeatures(texts.vectors[:1], texts.tokens[:1])
        image = ImageFeatures(images.vectors[:1], images.regions[:1])
        matches = [encoder.match_images(text, images), encoder.match_captions(image, texts)]
        scores.append([match.scores for match in matches])
        odds = [np.log(match.probabilities / (1 - match.probabilities)) for match in matches]
    of_query = []
    for bank, vectors, plain, reduced in zip(banks, (images.vectors, texts.vectors), *scores, strict=True):
        similar = np.exp(checkpoint.calibration.similarity_weight * vectors @ bank.centres.numpy().T)
        hubness = np.log((similar * np.exp(bank.log_shares.numpy())).sum(axis=1))
        np.testing.assert_allclose(reduced, plain - 0.5 * hubness, atol=1e-3)
        of_query.append(hubness[0])
    curve = checkpoint.calibration.slope, checkpoint.calibration.intercept
    excess = of_query[1] + 50  # of the sentence; for pictures as queries it does not count
    for match, reduced, less in zip(odds, scores[1], (0.25 * excess, 0.0), strict=True):
        np.testing.assert_allclose(match, curve[0] * reduced + curve[1] - less, atol=1e-2)


def test_the_slope_is_the_log_odds_per_unit_of_score(encoder: Encoder) -> None:
    """Evidence then moves scores and probabilities by the same amount."""
    text = encoder.query(encoder.encode_texts(["a red wall"]))
    match = encoder.match_images(text, encoder.encode_images(pixels()))
    log_odds = np.log(match.probabilities / (1 - match.probabilities.astype(np.float64)))
    np.testing.assert_allclose(np.diff(log_odds), match.slope * np.diff(match.scores), rtol=0.01, atol=1e-4)


def test_the_probability_of_a_short_query_has_its_own_curve(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """A picture's captions share the curve of long ones, so that their order is that of the scores."""
    calibration = replace(checkpoint.calibration, length_slope=0.5, length_intercept=-9.0)
    write_checkpoint(replace(checkpoint, calibration=calibration), tmp_path / "model")
    encoder, plain = (load_encoder(path, device="cpu") for path in (tmp_path / "model", _written(checkpoint, tmp_path)))
    texts = ["red", "a red wall", "a blue door", "the wall is red over the blue door", "a green door is over a wall"]
    image = encoder.encode_images(pixels(1))
    match = encoder.match_captions(image, encoder.encode_texts(texts))
    assert np.argsort(-match.scores).tolist() == np.argsort(-match.probabilities).tolist()
    np.testing.assert_array_equal(match.scores, plain.match_captions(image, plain.encode_texts(texts)).scores)
    for text, score, probability in zip(texts, match.scores, match.probabilities, strict=True):
        of_query = encoder.match_images(encoder.encode_texts([text]), image)
        length = min(len(text.split()), 6)
        assert of_query.scores[0] == pytest.approx(score, abs=1e-3)
        assert of_query.probabilities[0] == pytest.approx(calibration.probabilities(of_query.scores, length)[0])
        assert (of_query.probabilities[0] == pytest.approx(probability, rel=0.02)) == (length == 6)


def _written(checkpoint: Checkpoint, folder: Path) -> Path:
    write_checkpoint(checkpoint, folder / "plain")
    return folder / "plain"


def test_scores_do_not_depend_on_the_batch_size(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many pairs are scored in several batches."""
    images, text = encoder.encode_images(pixels(7)), encoder.encode_texts(["a red wall"])
    expected = encoder.match_images(text, images).scores
    monkeypatch.setattr("encoders.inference.encoder.MATCH_BATCH", 3)
    np.testing.assert_allclose(encoder.match_images(text, images).scores, expected, atol=1e-5)


def test_each_word_has_an_attention_grid(encoder: Encoder) -> None:
    """Each grid sums to 1."""
    attention = encoder.attend("A red Wall", encoder.encode_images(pixels(1)))
    assert attention.words == ("A", "red", "Wall")
    assert attention.weights.shape == (3, 4, 4)
    assert (attention.weights >= 0).all()
    np.testing.assert_allclose(attention.weights.sum(axis=(1, 2)), 1, rtol=1e-4)


def test_words_that_pictures_can_show_are_judged_by_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A word's probability is that of the word as a query; words far from all training pictures have none."""
    checkpoint = tiny_checkpoint(querybank=2)
    hubness = checkpoint.model.hubness
    assert hubness is not None
    plain = load_written(checkpoint, tmp_path / "plain")
    red, wall = plain.encode_texts(["red", "wall"]).vectors
    hubness.images.centres.copy_(torch.from_numpy(np.stack([red, red])))
    monkeypatch.setattr("encoders.inference.encoder.DEPICTED", (1 + float(red @ wall)) / 2)
    judging = replace(checkpoint, calibration=replace(checkpoint.calibration, length_intercept=-0.1))
    encoder = load_written(judging, tmp_path / "judging")
    image = encoder.encode_images(pixels(1))
    shown = encoder.attend("red wall", image).probabilities
    expected = encoder.match_images(encoder.query(encoder.encode_texts(["red"])), image).probabilities[0]
    assert shown[0] == pytest.approx(float(expected))
    assert np.isnan(shown[1])
    assert np.isnan(plain.attend("red wall", image).probabilities).all()


@pytest.mark.parametrize("fusion", ["attention", "gated", "concatenation"])
@pytest.mark.parametrize("text_tower", ["transformer", "gru", "lstm"])
def test_every_fusion_works_with_every_text_tower(tmp_path: Path, fusion: str, text_tower: str) -> None:
    """All nine combinations can be written, loaded, and used to encode, match and attend."""
    write_checkpoint(tiny_checkpoint(fusion=fusion, text_tower=text_tower), tmp_path / "model")
    encoder = load_encoder(tmp_path / "model", device="cpu")
    images, texts = encoder.encode_images(pixels()), encoder.encode_texts(TEXTS)
    scores = encoder.match_images(TextFeatures(texts.vectors[:1], texts.tokens[:1]), images)
    assert np.isfinite(scores.scores).all()
    np.testing.assert_allclose(encoder.attend(TEXTS[0], images.take([0])).weights.sum(axis=(1, 2)), 1, rtol=1e-4)


def test_a_picture_is_resized_without_cropping(encoder: Encoder) -> None:
    """Both ends of a panorama are still there."""
    panorama = Image.new("RGB", (400, 100))
    panorama.paste((255, 0, 0), (0, 0, 60, 100))
    panorama.paste((0, 0, 255), (340, 0, 400, 100))
    square = encoder.prepare(panorama)
    assert square.shape == (32, 32, 3)
    assert square[16, 1, 0] > 200
    assert square[16, 30, 2] > 200


def test_the_base_model_is_small_and_sound() -> None:
    """Its files take at most 96 MB, and every part loads without a network connection."""
    assert sum(f.stat().st_size for f in BASE_MODEL.iterdir()) <= 96_000_000
    encoder = load_encoder(device="cpu")
    assert encoder.name == "crosslook-base"
    images = encoder.encode_images(np.zeros((1, encoder.input_size, encoder.input_size, 3), np.uint8))
    assert images.regions.shape == (1, 121, 96)
    assert encoder.encode_texts(["a dog"]).vectors.shape == (1, encoder.dimension)


def test_the_base_model_tells_sentences_apart() -> None:
    """Two sentences about a dog in snow are more similar than either to one about a man on a bicycle."""
    encoder = load_encoder(device="cpu")
    texts = ["a dog runs through the snow", "a dog is running in snow", "a man rides a bicycle down a street"]
    one, two, three = encoder.encode_texts(texts).vectors
    assert one @ two > 0.7
    assert one @ three < 0.4


def test_the_base_model_knows_which_words_are_familiar() -> None:
    """Everyday words are familiar in every language of its captions, rare ones and names of files are not."""
    encoder = load_encoder(device="cpu")
    texts = encoder.encode_texts(["a dog in the snow", "a theodolite"])
    assert texts.familiarity is not None
    assert texts.familiarity[0] > 0.99
    assert texts.familiarity[1] < 0.2
    assert encoder.strangeness(["dog", "狗", "theodolite", "IMG_2034"]) == pytest.approx([0, 0, 1, 1], abs=0.06)
