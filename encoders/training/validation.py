"""Recall on the validation split, before and after reranking, and the weights that join what reranking knows."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor

from ..calibration import Calibration, fit_probability
from ..classes import plain_cosine
from ..errors import TrainingError
from ..features import Floats
from ..heads import Pool
from ..model import CrosslookModel, Encoded
from ..reranker import Reranker
from ..text_tower import TextTower
from .data import PairSet

MATCH_WEIGHTS = (0.0, 0.125, 0.25, 0.375, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
HUBNESS_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Recalls:
    """Recall at 1, 5 and 10 in percent, both ways."""

    text_to_image: tuple[float, float, float]
    image_to_text: tuple[float, float, float]

    @property
    def total(self) -> float:
        """The sum of all six, the figure that early stopping watches."""
        return sum(self.text_to_image) + sum(self.image_to_text)


@dataclass(frozen=True)
class Validation:
    """The towers' recalls, the reranked ones, and the calibration that gave them."""

    retrieval: Recalls
    reranked: Recalls
    calibration: Calibration


@dataclass(frozen=True)
class EncodedPairs:
    """A split, encoded: pictures (N, …), captions in one padded block (M, …)."""

    images: Encoded
    texts: Encoded
    mask: Tensor
    image_of: npt.NDArray[np.int64]


@torch.inference_mode()
def encode_pairs(model: CrosslookModel, pairs: PairSet, *, cut: int) -> EncodedPairs:
    """Encode a validation split from its cached activations (the plain view of each picture)."""
    model.eval()
    device = model.log_scale.device
    images = []
    for start in range(0, len(pairs.activations), 64):
        part = torch.from_numpy(np.array(pairs.activations[start : start + 64, 0])).float().to(device)
        images.append(model.image.crowned(part, cut))
    width = pairs.captions.ids.shape[1]
    texts, masks = [], []
    for start in range(0, len(pairs.image_of), 256):
        rows = np.arange(start, min(start + 256, len(pairs.image_of)))
        ids, mask, attended = (x.to(device) for x in pairs.tokens_of(rows))
        vectors, states = model.text(ids, mask, attended)
        pad = width - ids.shape[1]
        texts.append(Encoded(vectors, F.pad(states, (0, 0, 0, pad))))
        masks.append(F.pad(mask, (0, pad)))
    return EncodedPairs(_join(images), _join(texts), torch.cat(masks), pairs.image_of)


@torch.inference_mode()
def sentence_means(tower: TextTower, pairs: PairSet) -> Tensor:
    """What a text tower makes of each caption: the mean of its states, of length 1, (captions, C)."""
    tower.eval()
    device = next(tower.parameters()).device
    lengths = pairs.captions.attended.sum(1)
    order = np.argsort(lengths, kind="stable")
    means = torch.empty(len(order), tower.channels)
    for start in range(0, len(order), 256):
        rows = order[start : start + 256]
        ids, _, attended = (x.to(device) for x in pairs.tokens_of(rows))
        weight = attended.unsqueeze(-1).float()
        states = tower(ids, attended)[0].float()
        means[torch.from_numpy(rows)] = F.normalize((states * weight).sum(1) / weight.sum(1), dim=-1).cpu()
    return means


def _join(parts: list[Encoded]) -> Encoded:
    return Encoded(torch.cat([p.vectors for p in parts]), torch.cat([p.states for p in parts]))


@torch.inference_mode()
def match_lists(reranker: Reranker, pairs: EncodedPairs, images: Tensor, captions: Tensor) -> Floats:
    """Match logits of pairs given by their rows.

    Shape:
        - images, captions: (L, K), row numbers.

    Returns:
        Logits (L, K).
    """
    pictures = _in_parts(reranker.picture, pairs.images.states)
    sentences = _in_parts(reranker.sentence, pairs.texts.states, pairs.mask)
    logits = []
    flat_images, flat_captions = images.flatten(), captions.flatten()
    for start in range(0, len(flat_images), 1024):
        i, c = flat_images[start : start + 1024], flat_captions[start : start + 1024]
        longest = int(pairs.mask[c].sum(1).max()) + 1
        match = reranker.compare(pairs.images.states[i], pairs.texts.states[c][:, :longest], pairs.mask[c][:, :longest])
        logits.append(match.logit + reranker.scale * (pictures[i] * sentences[c]).sum(-1))
    return torch.cat(logits).reshape(images.shape).float().cpu().numpy()


def _in_parts(pool: Pool, *states: Tensor) -> Tensor:
    """Pool states (N, L, C) with their mask (N, L) a part at a time: (N, D)."""
    return torch.cat([pool(*part) for part in zip(*(torch.split(x, 512) for x in states), strict=True)])


def validate(
    model: CrosslookModel, pairs: EncodedPairs, *, depth: int = 16, calibration: Calibration | None = None
) -> Validation:
    """Recalls of a split before and after reranking, with the weights of match and hubness that served best.

    Args:
        model: what encoded the pairs.
        pairs: a split.
        depth: how many candidates are reranked.
        calibration: to be used as it is, with nothing fitted.

    Raises:
        TrainingError: scores are no finite numbers.
    """
    similarities = pairs.texts.vectors @ pairs.images.vectors.T  # (M, N)
    image_of = torch.from_numpy(pairs.image_of).to(similarities.device)
    by_text = similarities.topk(min(depth, similarities.shape[1]), dim=1)
    by_image = similarities.topk(min(depth, similarities.shape[0]), dim=0)
    rows = torch.arange(len(similarities), device=similarities.device)[:, None]
    columns = torch.arange(similarities.shape[1], device=similarities.device)[:, None]
    image_logits = match_lists(model.reranker, pairs, by_text.indices, rows.expand_as(by_text.indices))
    found = by_image.indices.T
    text_logits = match_lists(model.reranker, pairs, columns.expand_as(found), found)
    scale = float(model.scale.detach())
    image_hubness, text_hubness = _hubness(model, pairs)
    correct_images = (by_text.indices == image_of[:, None]).cpu().numpy()
    correct_texts = (image_of[found] == columns).cpu().numpy()
    weight = scale * plain_cosine() if model.config.classes else scale
    image_scores = weight * by_text.values.cpu().numpy()
    text_scores = weight * by_image.values.T.cpu().numpy()
    parts = (image_scores, text_scores, image_logits, text_logits, image_hubness, text_hubness)
    if not all(np.isfinite(part).all() for part in parts):
        raise TrainingError(
            "the model gives the validation pictures no finite scores; "
            "train with a lower learning rate, or start from another model"
        )

    of_images, of_texts = image_hubness[by_text.indices.cpu().numpy()], text_hubness[found.cpu().numpy()]

    def scores(match: float, hubness: float) -> tuple[Floats, Floats]:
        return (
            image_scores + match * image_logits - hubness * of_images,
            text_scores + match * text_logits - hubness * of_texts,
        )

    def recalls(match: float, hubness: float) -> Recalls:
        for_text, for_image = scores(match, hubness)
        return Recalls(_recalls(for_text, correct_images), _recalls(for_image, correct_texts))

    if calibration is not None:
        given = recalls(calibration.match_weight, calibration.hubness_weight)
        return Validation(recalls(0.0, 0.0), given, calibration)
    hubness_weights = HUBNESS_WEIGHTS if model.hubness is not None else (0.0,)
    best = max(product(MATCH_WEIGHTS, hubness_weights), key=lambda weights: recalls(*weights).total)
    flat = np.concatenate([s.ravel() for s in scores(*best)])
    slope, intercept = fit_probability(flat, np.concatenate([correct_images.ravel(), correct_texts.ravel()]))
    plain = np.concatenate([s.ravel() for s in scores(0.0, 0.0)])
    calibration = Calibration(weight, best[0], slope, intercept, best[1], learned_mean=float((flat - plain).mean()))
    return Validation(recalls(0.0, 0.0), recalls(*best), calibration)


def _hubness(model: CrosslookModel, pairs: EncodedPairs) -> tuple[Floats, Floats]:
    """Of all pictures (N,), and of all captions (M,); zero without a querybank."""
    if model.hubness is None:
        return np.zeros(len(pairs.images.vectors), np.float32), np.zeros(len(pairs.texts.vectors), np.float32)
    of_images = model.hubness.captions(pairs.images.vectors)
    return of_images.cpu().numpy(), model.hubness.images(pairs.texts.vectors).cpu().numpy()


def _recalls(scores: Floats, correct: npt.NDArray[np.bool_]) -> tuple[float, float, float]:
    """Recall at 1, 5, 10 in percent of lists (L, K) that hold only the retrieved candidates."""
    ranked = np.take_along_axis(correct, np.argsort(-scores, axis=1, kind="stable"), axis=1)
    r1, r5, r10 = (100 * float(ranked[:, :k].any(axis=1).mean()) for k in (1, 5, 10))
    return r1, r5, r10
