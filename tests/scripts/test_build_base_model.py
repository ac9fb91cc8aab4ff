"""Loading pretrained parts into the base model."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from encoders.network.model import ModelConfig
from encoders.network.text_tower import TransformerTextTower
from scripts.build_base_model import _load_in_order, bert_to_ours, class_names, with_towers
from tests.encoders.conftest import _tiny, tiny_checkpoint

__all__ = ["_tiny"]  # the tiny CNN, for every test here

Array = npt.NDArray[np.float64]
CONFIG = ModelConfig(vocabulary_size=11, max_tokens=6, text_width=8, text_layers=2, text_heads=2, text_feed_forward=12)


def bert_weights() -> dict[str, Tensor]:
    """Random weights with BERT's tensor names."""
    generator = torch.Generator().manual_seed(3)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator) * 0.5

    weights = {
        "embeddings.word_embeddings.weight": random(11, 8),
        "embeddings.position_embeddings.weight": random(20, 8),
        "embeddings.token_type_embeddings.weight": random(2, 8),
        "embeddings.LayerNorm.weight": random(8) + 1,
        "embeddings.LayerNorm.bias": random(8),
    }
    for layer in range(2):
        parts = {
            "attention.self.query": (8, 8),
            "attention.self.key": (8, 8),
            "attention.self.value": (8, 8),
            "attention.output.dense": (8, 8),
            "intermediate.dense": (12, 8),
            "output.dense": (8, 12),
        }
        for name, shape in parts.items():
            weights[f"encoder.layer.{layer}.{name}.weight"] = random(*shape)
            weights[f"encoder.layer.{layer}.{name}.bias"] = random(shape[0])
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            weights[f"encoder.layer.{layer}.{name}.weight"] = random(8) + 1
            weights[f"encoder.layer.{layer}.{name}.bias"] = random(8)
    return weights


def slow_bert(weights: dict[str, Tensor], ids: list[int]) -> Array:
    """BERT's encoder for one sentence, written from the paper in plain NumPy."""
    w = {name: value.double().numpy() for name, value in weights.items()}

    def norm(x: Array, name: str) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return np.asarray(scaled * w[f"{name}.weight"] + w[f"{name}.bias"])

    def linear(x: Array, name: str) -> Array:
        return np.asarray(x @ w[f"{name}.weight"].T + w[f"{name}.bias"])

    def gelu(x: Array) -> Array:
        return x * 0.5 * (1 + torch.erf(torch.from_numpy(x / np.sqrt(2))).numpy())

    x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][: len(ids)]
    x = norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for layer in range(2):
        name = f"encoder.layer.{layer}"
        query, key, value = (linear(x, f"{name}.attention.self.{part}") for part in ("query", "key", "value"))
        heads = []
        for head in range(2):
            part = slice(4 * head, 4 * head + 4)
            scores = query[:, part] @ key[:, part].T / 2.0
            weight = np.exp(scores - scores.max(-1, keepdims=True))
            heads.append(weight / weight.sum(-1, keepdims=True) @ value[:, part])
        attended = linear(np.concatenate(heads, -1), f"{name}.attention.output.dense")
        x = norm(x + attended, f"{name}.attention.output.LayerNorm")
        x = norm(
            x + linear(gelu(linear(x, f"{name}.intermediate.dense")), f"{name}.output.dense"),
            f"{name}.output.LayerNorm",
        )
    return x


def test_our_transformer_computes_what_bert_does() -> None:
    """With BERT's weights, the states agree with a slow oracle, with and without padding."""
    tower = TransformerTextTower(11, width=8, layers=2, heads=2, feed_forward=12, max_tokens=6, dropout=0.1).eval()
    weights = bert_weights()
    tower.load_state_dict(bert_to_ours(weights, CONFIG))
    ids = torch.tensor([[2, 5, 7, 3, 0], [2, 9, 3, 0, 0]])
    with torch.no_grad():
        states = tower(ids, ids != 0)[0].numpy()
    np.testing.assert_allclose(states[0, :4], slow_bert(weights, [2, 5, 7, 3]), atol=1e-4)
    np.testing.assert_allclose(states[1, :3], slow_bert(weights, [2, 9, 3]), atol=1e-4)


def test_weights_are_loaded_by_position() -> None:
    """Names may differ; the classifier at the end is skipped; another shape is refused."""
    stages = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    theirs = {f"their.{i}": torch.full_like(v, i) for i, v in enumerate(stages.state_dict().values())}
    _load_in_order(stages, theirs | {"classifier": torch.zeros(9, 9)})
    assert [float(v.flatten()[0]) for v in stages.state_dict().values()] == [0, 1, 2, 3]
    with pytest.raises(SystemExit, match=r"has another shape at 0\.weight: \(9, 9\), not \(4, 3\)"):
        _load_in_order(stages, {name: torch.zeros(9, 9) for name in theirs})


def test_class_names_are_those_of_imagenet_in_its_order() -> None:
    """There are 1,000, each with WordNet's gloss; class 340 is the zebra."""
    names = class_names()
    assert len(names) == 1000
    assert names[340].startswith("zebra: ")


@pytest.mark.parametrize("same_configuration", [False, True])
def test_towers_come_from_the_other_model(same_configuration: bool) -> None:  # noqa: FBT001
    """Vectors are the other model's; regions are too if it has the same configuration, else they are the start's."""
    start = tiny_checkpoint(image_split=2, text_split=1)
    other = tiny_checkpoint(image_split=2, text_split=1) if same_configuration else tiny_checkpoint()
    with torch.no_grad():
        for weight in other.model.parameters():
            weight.add_(0.05)
    pixels = torch.rand(2, 3, 32, 32)
    start_features = start.model.image.eval()(pixels)
    shared = start.model.image.tower.stages[:2].state_dict()
    other.model.image.tower.stages[:2].load_state_dict(shared)  # the bottom stages are frozen in both
    other_features = other.model.image.eval()(pixels)
    features = with_towers(start, other).model.image(pixels)
    torch.testing.assert_close(features.vectors, other_features.vectors)
    torch.testing.assert_close(features.states, (other_features if same_configuration else start_features).states)
