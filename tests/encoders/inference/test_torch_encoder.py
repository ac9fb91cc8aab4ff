"""A trained model in use."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from encoders import BASE_MODEL, Encoder, EncodersError, ImageFeatures, TextFeatures, load_encoder
from encoders.checkpoint.files import Checkpoint, write_checkpoint
from encoders.device import machine, pick_device
from tests.encoders.conftest import tiny_checkpoint

TEXTS = ["a red wall", "the blue door is over a white wall", "green"]


@pytest.fixture
def encoder(model_directory: Path) -> Encoder:
    """The tiny model."""
    return load_encoder(model_directory, device="cpu")


def pixels(count: int = 3) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Random pictures of the model's size."""
    return np.random.default_rng(0).integers(0, 255, (count, 32, 32, 3), np.uint8)


def test_features_are_plain_arrays_of_the_promised_shapes(encoder: Encoder) -> None:
    """float32, contiguous, vectors and states of length 1."""
    images, texts = encoder.encode_images(pixels()), encoder.encode_texts(TEXTS)
    assert images.vectors.shape == (3, encoder.dimension) == (3, 16)
    assert images.regions.shape == (3, 16, 8)
    assert [t.shape for t in texts.tokens] == [(3, 8), (8, 8), (1, 8)]
    for array in (images.vectors, images.regions, texts.vectors, *texts.tokens):
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
        np.testing.assert_allclose(np.linalg.norm(array, axis=-1), 1, atol=1e-5)


def test_a_batch_says_what_each_alone_says(encoder: Encoder) -> None:
    """Neither pictures nor sentences see their neighbours."""
    images, texts = encoder.encode_images(pixels()), encoder.encode_texts(TEXTS)
    for i in range(3):
        np.testing.assert_allclose(encoder.encode_images(pixels()[i : i + 1]).vectors[0], images.vectors[i], atol=1e-5)
        alone = encoder.encode_texts([TEXTS[i]])
        np.testing.assert_allclose(alone.vectors[0], texts.vectors[i], atol=1e-5)
        np.testing.assert_allclose(alone.tokens[0], texts.tokens[i], atol=1e-5)


def test_a_pair_scores_the_same_alone_and_in_a_list(encoder: Encoder) -> None:
    """Pictures for a sentence, captions for a picture; the higher score has the higher probability."""
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


def test_hubness_is_taken_off_candidates(tmp_path: Path) -> None:
    """By its weight, of pictures against the bank of captions and of captions against the bank of pictures."""
    found = []
    for weight in (0.0, 0.5):
        checkpoint = tiny_checkpoint(querybank=3)
        assert checkpoint.model.hubness is not None
        banks = (checkpoint.model.hubness.captions, checkpoint.model.hubness.images)
        for seed, bank in enumerate(banks):
            vectors = torch.randn(9, 16, generator=torch.Generator().manual_seed(seed))
            bank.fit(torch.nn.functional.normalize(vectors, dim=-1), 20.0)
            for tensor in (bank.centres, bank.log_shares):
                tensor.copy_(tensor.half())
        calibration = replace(checkpoint.calibration, hubness_weight=weight)
        write_checkpoint(replace(checkpoint, calibration=calibration), tmp_path / str(weight))
        encoder = load_encoder(tmp_path / str(weight), device="cpu")
        images, texts = encoder.encode_images(pixels()), encoder.encode_texts(TEXTS)
        text = TextFeatures(texts.vectors[:1], texts.tokens[:1])
        image = ImageFeatures(images.vectors[:1], images.regions[:1])
        found.append([encoder.match_images(text, images).scores, encoder.match_captions(image, texts).scores])
    for bank, vectors, plain, less in zip(banks, (images.vectors, texts.vectors), *found, strict=True):
        similar = np.exp(checkpoint.calibration.similarity_weight * vectors @ bank.centres.numpy().T)
        hubness = np.log((similar * np.exp(bank.log_shares.numpy())).sum(axis=1))
        np.testing.assert_allclose(less, plain - 0.5 * hubness, atol=1e-3)


def test_the_slope_is_how_many_log_odds_a_unit_of_score_makes(encoder: Encoder) -> None:
    """So that evidence moves a picture as far among the scores as among the probabilities."""
    text = encoder.query(encoder.encode_texts(["a red wall"]))
    found = encoder.match_images(text, encoder.encode_images(pixels()))
    odds = np.log(found.probabilities / (1 - found.probabilities.astype(np.float64)))
    np.testing.assert_allclose(np.diff(odds), found.slope * np.diff(found.scores), rtol=0.01, atol=1e-4)


def test_many_pairs_are_scored_in_parts(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts join without a seam."""
    images, text = encoder.encode_images(pixels(7)), encoder.encode_texts(["a red wall"])
    whole = encoder.match_images(text, images).scores
    monkeypatch.setattr("encoders.inference.torch_encoder.MATCH_BATCH", 3)
    np.testing.assert_allclose(encoder.match_images(text, images).scores, whole, atol=1e-5)


def test_attention_is_a_share_of_the_picture_for_each_word(encoder: Encoder) -> None:
    """One grid a word, each summing to 1."""
    attention = encoder.attend("A red Wall", encoder.encode_images(pixels(1)).regions[0])
    assert attention.words == ("A", "red", "Wall")
    assert attention.weights.shape == (3, 4, 4)
    assert (attention.weights >= 0).all()
    np.testing.assert_allclose(attention.weights.sum(axis=(1, 2)), 1, rtol=1e-4)


@pytest.mark.parametrize("fusion", ["attention", "gated", "concatenation"])
@pytest.mark.parametrize("text_tower", ["transformer", "gru", "lstm"])
def test_every_fusion_and_text_tower_works_in_the_whole(tmp_path: Path, fusion: str, text_tower: str) -> None:
    """All nine combinations write, load, encode, match and explain."""
    write_checkpoint(tiny_checkpoint(fusion=fusion, text_tower=text_tower), tmp_path / "model")
    encoder = load_encoder(tmp_path / "model", device="cpu")
    images, texts = encoder.encode_images(pixels()), encoder.encode_texts(TEXTS)
    scores = encoder.match_images(TextFeatures(texts.vectors[:1], texts.tokens[:1]), images)
    assert np.isfinite(scores.scores).all()
    np.testing.assert_allclose(encoder.attend(TEXTS[0], images.regions[0]).weights.sum(axis=(1, 2)), 1, rtol=1e-4)


def test_a_picture_is_squeezed_not_cropped(encoder: Encoder) -> None:
    """Both ends of a panorama are still there."""
    panorama = Image.new("RGB", (400, 100))
    panorama.paste((255, 0, 0), (0, 0, 60, 100))
    panorama.paste((0, 0, 255), (340, 0, 400, 100))
    square = encoder.prepare(panorama)
    assert square.shape == (32, 32, 3)
    assert square[16, 1, 0] > 200
    assert square[16, 30, 2] > 200


def test_threads_load_each_part_once(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """A server's threads share one model in memory, and agree."""
    write_checkpoint(checkpoint, tmp_path / "model")
    encoder = load_encoder(tmp_path / "model", device="cpu")
    sides, vectors = [], []

    def work() -> None:
        vectors.append(encoder.encode_texts(["a red wall"]).vectors)
        sides.append(id(encoder._parts["text."]))  # type: ignore[attr-defined]

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(sides)) == 1
    assert all(np.allclose(v, vectors[0]) for v in vectors)


def test_devices_are_chosen_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` takes the GPU where torch sees one; a device that is not there is named."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("auto") == "cuda"
    with pytest.raises(EncodersError, match="device 'nonsense' is not available"):
        pick_device("nonsense")


def test_the_machine_is_described() -> None:
    """What `doctor` prints."""
    assert {"torch", "device", "threads", "fast_bfloat16"} <= set(machine())


def test_the_base_model_is_small_and_sound() -> None:
    """At most 64 MB in all its files, and it loads: every part of it, with the network out of reach."""
    assert sum(f.stat().st_size for f in BASE_MODEL.iterdir()) <= 64_000_000
    encoder = load_encoder(device="cpu")
    assert encoder.name == "crosslook-base"
    images = encoder.encode_images(np.zeros((1, encoder.input_size, encoder.input_size, 3), np.uint8))
    assert images.regions.shape == (1, 49, 192)
    assert encoder.encode_texts(["a dog"]).vectors.shape == (1, encoder.dimension)


def test_the_base_model_knows_what_it_was_trained_on() -> None:
    """Dogs are nearer to dogs than to a beach, and colours and actions tell sentences apart."""
    encoder = load_encoder(device="cpu")
    texts = ["a dog runs through the snow", "a dog is running in snow", "a man rides a bicycle down a street"]
    one, two, three = encoder.encode_texts(texts).vectors
    assert one @ two > 0.7
    assert one @ three < 0.4


def test_the_base_model_knows_which_words_captions_taught_it() -> None:
    """Everyday words are familiar, others are not, and more of a strange query's vector speaks of classes."""
    encoder = load_encoder(device="cpu")
    texts = encoder.encode_texts(["a dog in the snow", "a zebra"])
    assert texts.familiarity is not None
    assert texts.familiarity[0] > 0.99
    assert texts.familiarity[1] < 0.2
    assert encoder.strangeness(["dog", "zebra", "IMG_2034"]) == pytest.approx([0, 1, 1], abs=0.06)
    classes = np.linalg.norm(encoder.query(texts).vectors[:, 256:], axis=1)
    assert classes[0] < 0.1
    assert classes[1] > 0.9
