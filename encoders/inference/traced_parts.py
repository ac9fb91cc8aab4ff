"""The parts of the model that OpenVINO translates: each as a function of tensors, with example inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor, nn

from ..checkpoint.files import Description
from ..network.model import ImageSide, ModelConfig, TextSide, create_reranker
from ..network.reranker import Reranker

LONG = "a man and a woman stand beside a red car in front of their house while it snows"

Inputs = tuple[Tensor, ...]


@dataclass(frozen=True)
class TracedPart:
    """One translatable part.

    Args:
        build: makes the module.
        run: calls the module, given with its inputs, and returns the outputs.
        examples: returns inputs of two sizes that differ in every dynamic dimension.
    """

    build: Callable[[ModelConfig], nn.Module]
    run: Callable[..., tuple[Tensor, ...]]
    examples: Callable[[Description], tuple[Inputs, Inputs]]


def _encode_images(side: ImageSide, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """(B, S, S, 3), uint8 → vectors (B, D), regions (B, P, C)."""
    return tuple(side(pixels.permute(0, 3, 1, 2).float() / 255))


def _encode_texts(side: TextSide, ids: Tensor, mask: Tensor, attended: Tensor) -> tuple[Tensor, Tensor]:
    """(B, T) three times → vectors (B, D), token states (B, T, C)."""
    return tuple(side(ids, mask, attended))


def _match_pairs(reranker: Reranker, regions: Tensor, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """(N, P, C), (N, T, C), (N, T) → logits (N,), global matches (N,)."""
    return tuple(reranker(regions, tokens, mask)[:2])


def _example_pictures(description: Description) -> tuple[Inputs, Inputs]:
    size = description.config.input_size
    noise = torch.randint(0, 256, (3, size, size, 3), generator=_seeded(), dtype=torch.uint8)
    return (noise[:2],), (noise,)


def _example_sentences(description: Description) -> tuple[Inputs, Inputs]:
    return _tokens(description, ["a dog", "two"]), _tokens(description, [LONG, "a dog", LONG[: len(LONG) // 2]])


def _tokens(description: Description, texts: list[str]) -> Inputs:
    tokens = description.tokenizer(texts)
    return tuple(torch.from_numpy(array) for array in (tokens.ids, tokens.mask, tokens.attended))


def _example_pairs(description: Description) -> tuple[Inputs, Inputs]:
    def states(*shape: int) -> Tensor:
        return F.normalize(torch.randn(*shape, description.config.channels, generator=_seeded()), dim=-1)

    mask = torch.arange(9) < torch.tensor([[9], [5], [2]])
    return (states(2, 4), states(1, 5), torch.ones(1, 5, dtype=torch.bool)), (states(1, 9), states(3, 9), mask)


def _seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


PARTS = {
    "image": TracedPart(ImageSide, _encode_images, _example_pictures),
    "text": TracedPart(TextSide, _encode_texts, _example_sentences),
    "reranker": TracedPart(create_reranker, _match_pairs, _example_pairs),
}
