"""A split, encoded by a model: vectors and states of its pictures, captions and labels, and match logits of pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor

from ..device import autocast
from ..features import Floats
from ..network.heads import AttentionPool
from ..network.model import CrosslookModel, Encoded
from ..network.reranker import Reranker
from ..network.text_tower import TextTower
from .data.pairs import PairSet


class EncodedTexts(NamedTuple):
    """Sentences of a split, encoded: vectors (M, D), states (M, T, C) and word mask (M, T)."""

    vectors: Tensor
    states: Tensor
    mask: Tensor


@dataclass(frozen=True)
class EncodedPairs:
    """A split, encoded: pictures (N, …), and captions (M, …) and labels (L, …), each in one padded block."""

    source: PairSet
    images: Encoded
    texts: EncodedTexts
    labels: EncodedTexts | None


@torch.inference_mode()
def encode_pairs(model: CrosslookModel, pairs: PairSet, *, cut: int) -> EncodedPairs:
    """Encode a validation split from its cached activations (the plain view of each picture)."""
    model.eval()
    device = model.log_scale.device
    images = []
    for start in range(0, len(pairs.activations), 64):
        part = torch.from_numpy(np.array(pairs.activations[start : start + 64, 0])).float().to(device)
        images.append(model.image.from_activations(part, cut))
    labels = None
    if pairs.labels is not None:
        queries = pairs.labels.tokens
        labels = _encode_texts(model, PairSet(pairs.activations[:0], queries, np.arange(len(queries.ids))))
    return EncodedPairs(pairs, _join(images), _encode_texts(model, pairs), labels)


def _encode_texts(model: CrosslookModel, pairs: PairSet) -> EncodedTexts:
    device = model.log_scale.device
    count, width = pairs.captions.ids.shape
    texts, masks = [], []
    for start in range(0, count, 256):
        part = pairs.tokens_of(np.arange(start, min(start + 256, count)))
        ids, mask, attended = (x.to(device) for x in part)
        vectors, states = model.text(ids, mask, attended)
        pad = width - ids.shape[1]
        texts.append(Encoded(vectors, F.pad(states, (0, 0, 0, pad))))
        masks.append(F.pad(mask, (0, pad)))
    return EncodedTexts(*_join(texts), torch.cat(masks))


@torch.inference_mode()
def sentence_means(tower: TextTower, pairs: PairSet, precision: str, device: torch.device) -> Tensor:
    """Return the mean of a text tower's states for each caption: (captions, C), rows of length 1."""
    tower.eval()
    lengths = pairs.captions.attended.sum(1)
    order = np.argsort(lengths, kind="stable")
    means: list[Tensor] = []
    for start in range(0, len(order), 256):
        rows = order[start : start + 256]
        ids, _, attended = (x.to(device) for x in pairs.tokens_of(rows))
        weight = attended.unsqueeze(-1).float()
        with autocast(device, precision):
            states = tower(ids, attended)[0].float()
        means.append(F.normalize((states * weight).sum(1) / weight.sum(1), dim=-1).cpu())
    return torch.cat(means)[torch.from_numpy(np.argsort(order))]


def _join(parts: list[Encoded]) -> Encoded:
    return Encoded(torch.cat([p.vectors for p in parts]), torch.cat([p.states for p in parts]))


@torch.inference_mode()
def match_lists(
    reranker: Reranker, images: Encoded, texts: EncodedTexts, pictures_of: Tensor, texts_of: Tensor
) -> tuple[Floats, Floats]:
    """Compute match logits and global matches of pairs given by their rows.

    Shape:
        - pictures_of, texts_of: (L, K), row numbers.

    Returns:
        Both (L, K).
    """
    pictures = _in_parts(reranker.picture, images.states)
    sentences = _in_parts(reranker.sentence, texts.states, texts.mask)
    logits, global_matches = [], []
    flat_images, flat_captions = pictures_of.flatten(), texts_of.flatten()
    for start in range(0, len(flat_images), 1024):
        i, c = flat_images[start : start + 1024], flat_captions[start : start + 1024]
        longest = int(texts.mask[c].sum(1).max()) + 1
        regions, tokens = images.states[i], texts.states[c][:, :longest]
        logits.append(reranker.compare(regions, tokens, texts.mask[c][:, :longest])[0])
        global_matches.append(reranker.scale * (pictures[i] * sentences[c]).sum(-1))
    return _lists_of(logits, pictures_of), _lists_of(global_matches, pictures_of)


def _lists_of(parts: list[Tensor], like: Tensor) -> Floats:
    return torch.cat(parts).reshape(like.shape).float().cpu().numpy()


def _in_parts(pool: AttentionPool, *states: Tensor) -> Tensor:
    """Pool states (N, L, C) with their mask (N, L) a part at a time: (N, D)."""
    return torch.cat([pool(*part) for part in zip(*(torch.split(x, 512) for x in states), strict=True)])
