"""The class channel: what a classifier recognises, as vectors of the text tower."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import nn

from encoders import load_encoder
from encoders.architecture import CAPTION_WEIGHT, UNFAMILIAR_WEIGHT
from encoders.checkpoint.files import read_checkpoint, write_checkpoint
from encoders.checkpoint.lexicon import Lexicon
from encoders.network.class_channel import ImageClasses, TextClasses, join, plain_cosine
from encoders.training.fitting import fit_classes
from tests.encoders.conftest import tiny_checkpoint

D, K = 6, 4


@pytest.fixture
def names() -> torch.Tensor:
    """Vectors of four class names."""
    return F.normalize(torch.randn(K, D, generator=torch.Generator().manual_seed(0)), dim=-1)


def test_a_recognised_class_has_the_direction_of_its_name(names: torch.Tensor) -> None:
    """A picture that is certainly of class 2 is nearest to the name of class 2."""
    text = TextClasses(D, 3)
    image = ImageClasses(nn.Sequential(nn.Identity()), K, K, 3)
    image.names.copy_(text.fit(names))
    with torch.no_grad():
        image.classifier.weight.copy_(50 * torch.eye(K))
        image.classifier.bias.zero_()
        activations = torch.zeros(1, K, 2, 2)
        activations[:, 2] = 1
        vector = image(activations)
    assert int((text(names) @ vector.T).argmax()) == 2
    torch.testing.assert_close(vector.norm(dim=-1), torch.ones(1))


def test_the_basis_keeps_the_cosines_of_names(names: torch.Tensor) -> None:
    """With enough dimensions, projection does not change the cosines of centred names."""
    text = TextClasses(D, 8)  # more dimensions than names: the rest stays 0
    coordinates = text.fit(names)
    centred = F.normalize(names - names.mean(0), dim=-1)
    torch.testing.assert_close(coordinates @ coordinates.T, centred @ centred.T, atol=1e-5, rtol=1e-4)


def test_a_joined_cosine_is_the_weighted_sum_of_both_cosines(names: torch.Tensor) -> None:
    """Multiplied by `plain_cosine` it is the plain cosine plus the weight times that of the class parts."""
    one, two, parts = names[:1], names[1:2], F.normalize(torch.tensor([[1.0, 2.0], [2.0, -0.5]]), dim=-1)
    joined = join(one, parts[:1], 0.7) @ join(two, parts[1:]).T
    expected = one @ two.T + 0.7 * parts[:1] @ parts[1:].T
    torch.testing.assert_close(joined * plain_cosine(0.7), expected)


def test_a_model_with_classes_gives_unfamiliar_queries_a_larger_class_part(tmp_path: Path) -> None:
    """After a round trip to disk, vectors are longer by the class part, and states are unchanged."""
    start = tiny_checkpoint(image_split=2, classes=3, class_dimension=4)
    checkpoint = replace(start, lexicon=Lexicon({"red": 10**9, "wall": 10**9}, ("a door", "a wall", "blue")))
    fit_classes(checkpoint.model, checkpoint.tokenizer, checkpoint.lexicon.class_names)
    write_checkpoint(checkpoint, tmp_path)
    assert read_checkpoint(tmp_path).lexicon == checkpoint.lexicon
    encoder = load_encoder(tmp_path, device="cpu")
    assert encoder.dimension == 20
    images = encoder.encode_images(np.random.default_rng(0).integers(0, 255, (2, 32, 32, 3), np.uint8))
    assert images.vectors.shape == (2, 20)
    texts = encoder.encode_texts(["a red wall", "a blue door"])
    assert texts.familiarity is not None
    np.testing.assert_allclose(texts.familiarity, [1, 0], atol=1e-6)
    queries = encoder.query(texts)
    for vectors in (images.vectors, texts.vectors, queries.vectors):
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(queries.vectors[0], texts.vectors[0], atol=1e-6)
    share = np.linalg.norm(queries.vectors[1, 16:]) / np.linalg.norm(queries.vectors[1, :16])
    assert share == pytest.approx(CAPTION_WEIGHT + UNFAMILIAR_WEIGHT, rel=1e-4)
    assert queries.tokens is texts.tokens


def test_unfamiliar_words_keep_the_order_of_retrieval(tmp_path: Path) -> None:
    """The reranker does not count for a word that no caption contains."""
    checkpoint = replace(tiny_checkpoint(), lexicon=Lexicon({"red": 9}))
    write_checkpoint(checkpoint, tmp_path)
    encoder = load_encoder(tmp_path, device="cpu")
    images = encoder.encode_images(np.random.default_rng(0).integers(0, 255, (6, 32, 32, 3), np.uint8))
    text = encoder.query(encoder.encode_texts(["blue"]))
    scores = encoder.match_images(text, images).scores
    assert np.argsort(scores).tolist() == np.argsort(images.vectors @ text.vectors[0]).tolist()
