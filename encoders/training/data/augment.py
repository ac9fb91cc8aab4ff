"""Augmentation of cached activations and of sentences, and encoding sentences batched by length."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor

from ...checkpoint.lexicon import FUNCTION_WORDS
from ...checkpoint.tokenizer import SPACE, Tokenizer
from ...network.model import Encoded, TextSide


def crop_maps(maps: Tensor, smallest: float) -> Tensor:
    """Crop a random square of each activation map and mirror half of them; a batch has one crop size.

    A crop of the frozen stages' output is nearly their output for a crop of the picture, and costs nothing.

    Args:
        maps: activations of square pictures.
        smallest: smallest side of a crop, as a share of the map's side.

    Shape:
        - maps: (B, c, s, s), or (B, 1 + P, W) of a pretrained pair, which are no maps and stay as they are.
        - output: (B, c, s', s'), channels last in memory.
    """
    if maps.ndim != 4:
        return maps
    count, _, full, _ = maps.shape
    side = int(torch.randint(max(1, round(smallest * full)), full + 1, ()))
    steps = torch.arange(side, device=maps.device)
    corners = torch.randint(0, full - side + 1, (2, count, 1), device=maps.device)
    mirrored = torch.rand(count, 1, device=maps.device) < 0.5
    rows = corners[0] + steps
    columns = corners[1] + torch.where(mirrored, side - 1 - steps, steps)
    batch = torch.arange(count, device=maps.device)[:, None, None]
    return maps.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def hide_regions(states: Tensor, share: float) -> Tensor:
    """Drop a random share of each picture's regions: (B, P, C) → (B, P', C)."""
    count = max(1, round(states.shape[1] * (1 - share)))
    if count == states.shape[1]:
        return states
    rows = torch.rand(states.shape[:2], device=states.device).argsort(1)[:, :count]
    return states.gather(1, rows.unsqueeze(-1).expand(-1, -1, states.shape[2]))


def hide_words(mask: Tensor, share: float) -> Tensor:
    """Drop a random share of words from a mask (M, T), but never all words of a sentence."""
    remaining = mask & (torch.rand(mask.shape, device=mask.device) >= share)
    return torch.where(remaining.any(1, keepdim=True), remaining, mask)


def encode_by_length(side: TextSide, ids: Tensor, mask: Tensor, attended: Tensor, parts: int = 4) -> Encoded:
    """Encode sentences in parts of similar length, which need less padding.

    Shape:
        - ids, mask, attended: (M, T).
        - output: vectors (M, D), states (M, T, C).
    """
    order = attended.sum(1).argsort()
    vectors, states = [], []
    for rows in order.chunk(parts):
        width = int(attended[rows].sum(1).max())
        encoded = side.heads(ids[rows, :width], mask[rows, :width], attended[rows, :width])
        vectors.append(encoded.vectors)
        states.append(F.pad(encoded.states, (0, 0, 0, ids.shape[1] - width)))
    original = order.argsort()
    return Encoded(torch.cat(vectors)[original], torch.cat(states)[original])


def movable_words(tokenizer: Tokenizer) -> Tensor:
    """Return which tokens of a vocabulary are, or begin, content words: (V,), bool."""
    words = tokenizer.vocabulary
    if tokenizer.scores is not None:
        words = tuple(token[1:] if token.startswith(SPACE) else "" for token in words)
    return torch.tensor([len(w) > 2 and w.isalpha() and w.lower() not in FUNCTION_WORDS for w in words])


def swap_words(ids: Tensor, mask: Tensor, movable: Tensor, pieces: Tensor) -> tuple[Tensor, Tensor]:
    """Swap two content words of each sentence: a hard negative with the same words and another meaning.

    Args:
        ids: token ids of sentences.
        mask: true on words.
        movable: which tokens of the vocabulary are whole content words, from `movable_words`.
        pieces: which tokens of the vocabulary only continue a word.

    Shape:
        - ids, mask: (N, T); movable, pieces: (V,), bool.

    Returns:
        The ids (N, T), and which sentences changed (N,): those with two different content words.
    """
    continued = F.pad(pieces[ids[:, 1:]], (0, 1))
    chances = torch.rand(ids.shape, device=ids.device).masked_fill(~(mask & movable[ids] & ~continued), -1)
    highest, positions = chances.topk(2, dim=1)
    words = ids.gather(1, positions)
    changed = (highest[:, 1] >= 0) & (words[:, 0] != words[:, 1])
    return ids.scatter(1, positions, torch.where(changed[:, None], words.flip(1), words)), changed


def piece_tokens(tokenizer: Tokenizer) -> Tensor:
    """Return which tokens of a vocabulary only continue a word: (V,), bool."""
    if tokenizer.scores is None:
        return torch.tensor([token.startswith("##") for token in tokenizer.vocabulary])
    return torch.tensor([token[:1].isalnum() for token in tokenizer.vocabulary])
