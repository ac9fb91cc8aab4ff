"""The encoders of open_clip as modules that give states beside vectors, both in the shared space.

A patch or a place of a map gets into the space on the way that the pooled picture takes. Where attention pools, that
is the way of its values: what the pool would give if the picture had this place only.

Source: Zhou et al., "Extract Free Dense Labels from CLIP" (MaskCLIP), https://arxiv.org/abs/2112.01071.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor, nn


class Half(nn.Module):
    """One of a model's encoders: pictures (B, 3, S, S) or token ids (B, T) → vectors (B, D).

    Args:
        model: of open_clip.
    """

    def __init__(self, model: Any) -> None:  # noqa: ANN401  open_clip's models have no type in common
        super().__init__()
        self.model = model


class PlainImages(Half):
    """Pictures → vectors."""

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Encode a batch."""
        return (self.model.encode_image(pixels),)


class PlainTexts(Half):
    """Token ids → vectors."""

    def forward(self, ids: Tensor) -> tuple[Tensor, ...]:
        """Encode a batch."""
        return (self.model.encode_text(ids),)


class TimmImages(Half):
    """An encoder of timm: each place of its features takes the way of a picture that has no other."""

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Encode a batch: vectors (B, D), regions (B, P, D)."""
        trunk = self.model.visual.trunk
        features = trunk.forward_features(pixels)
        if features.ndim == 4:
            if getattr(trunk, "output_fmt", "NCHW") == "NHWC":
                raise TypeError("a map whose channels are last")
            places = features.flatten(2).transpose(1, 2)
            alone = places.reshape(-1, places.shape[2], 1, 1)
        else:
            markers = int(getattr(trunk, "num_prefix_tokens", 0))
            places = features[:, markers:]
            alone = places.reshape(-1, 1, places.shape[2]).expand(-1, markers + 1, -1)  # in place of the markers too
        return self._head(features), self._head(alone).reshape(len(places), places.shape[1], -1)

    def _head(self, features: Tensor) -> Tensor:
        visual = self.model.visual
        output: Tensor = visual.head(visual.trunk.forward_head(features))
        return output


class TransformerImages(Half):
    """open_clip's own transformer: patches pass the last layer without attention, as values."""

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Encode a batch: vectors (B, D), regions (B, P, D)."""
        visual = self.model.visual
        block = visual.transformer.resblocks[-1]
        with inputs_of(block) as seen:
            vectors = self.model.encode_image(pixels)
        x = seen[0] if visual.transformer.batch_first else seen[0].transpose(0, 1)
        x = x[:, 1:]
        width = x.shape[2]
        weight, bias = block.attn.in_proj_weight[2 * width :], block.attn.in_proj_bias[2 * width :]
        x = x + block.ls_1(block.attn.out_proj(F.linear(block.ln_1(x), weight, bias)))
        x = x + block.ls_2(block.mlp(block.ln_2(x)))
        return vectors, visual.ln_post(x) @ visual.proj


class ResNetImages(Half):
    """CLIP's ResNet: places of the map as values of its attention pool."""

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Encode a batch: vectors (B, D), regions (B, P, D)."""
        pool = self.model.visual.attnpool
        with inputs_of(pool) as seen:
            vectors = self.model.encode_image(pixels)
        return vectors, pool.c_proj(pool.v_proj(seen[0].flatten(2).transpose(1, 2)))


class TransformerTexts(Half):
    """open_clip's own transformer: each token takes the way of the one whose state is the sentence's vector."""

    def forward(self, ids: Tensor) -> tuple[Tensor, ...]:
        """Encode a batch: vectors (B, D), token states (B, T, D)."""
        text = getattr(self.model, "text", self.model)
        with inputs_of(text.ln_final) as seen:
            vectors = self.model.encode_text(ids)
        states, projection = text.ln_final(seen[0])[:, : ids.shape[1]], text.text_projection
        return vectors, projection(states) if isinstance(projection, nn.Module) else states @ projection


@contextmanager
def inputs_of(module: nn.Module) -> Iterator[list[Tensor]]:
    """Collect the first input of each call of a module."""
    seen: list[Tensor] = []
    handle = module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        yield seen
    finally:
        handle.remove()


@torch.no_grad()
def image_half(model: nn.Module, example: Tensor) -> Half:
    """Choose the half that encodes pictures as the model does and, if one does, also gives regions.

    Args:
        model: of open_clip.
        example: pictures (B, 3, S, S).
    """
    plain = PlainImages(model)
    (expected,) = plain(example)
    for kind in (TimmImages, TransformerImages, ResNetImages):
        half = kind(model)
        found = _tried(half, example, expected)
        if found is not None and math.isqrt(found.shape[1]) ** 2 == found.shape[1]:
            return half
    return plain


@torch.no_grad()
def text_half(model: nn.Module, example: Tensor) -> Half:
    """Choose the half that encodes token ids (B, T) as the model does and, if one does, also gives token states."""
    plain = PlainTexts(model)
    (expected,) = plain(example)
    half = TransformerTexts(model)
    found = _tried(half, example, expected)
    return half if found is not None and found.shape[1] == example.shape[1] else plain


def _tried(half: Half, example: Tensor, expected: Tensor) -> Tensor | None:
    """Return a half's states, (B, L, D), if it suits the model."""
    try:
        vectors, states = half(example)
        suits = torch.allclose(vectors, expected, atol=1e-4) and states.ndim == 3 and bool(states.isfinite().all())
    except Exception:  # noqa: BLE001  another architecture lacks parts of any kind
        return None
    return states if suits and states.shape[2] == expected.shape[1] else None
