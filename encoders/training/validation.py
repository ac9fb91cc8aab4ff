"""Recall on the validation split, before and after reranking, and the calibration that gives the best recall."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from statistics import fmean

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor

from ..checkpoint.calibration import Calibration, fit_probability
from ..errors import TrainingError
from ..features import Floats
from ..network.class_channel import CAPTION_WEIGHT, UNFAMILIAR_WEIGHT, plain_cosine
from ..network.heads import AttentionPool
from ..network.model import CrosslookModel, Encoded
from ..network.reranker import Reranker
from ..network.text_tower import TextTower
from ..recall import Recalls, first_correct
from .data import PairSet

MATCH_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
WHOLE_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
HUBNESS_WEIGHTS = (0.0, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class BothRecalls:
    """Recalls in both directions."""

    text_to_image: Recalls
    image_to_text: Recalls

    @property
    def total(self) -> float:
        """The sum of all six recalls, which early stopping watches."""
        return sum(self.text_to_image) + sum(self.image_to_text)


def mean_of(recalls: Sequence[BothRecalls]) -> BothRecalls:
    """Return the mean of each recall."""
    return BothRecalls(
        Recalls(*map(fmean, zip(*(r.text_to_image for r in recalls), strict=True))),
        Recalls(*map(fmean, zip(*(r.image_to_text for r in recalls), strict=True))),
    )


@dataclass(frozen=True)
class StageRecalls:
    """The towers' recalls, and the reranked ones."""

    retrieval: BothRecalls
    reranked: BothRecalls

    def figures(self) -> dict[str, float]:
        """Return the recalls by their names in `curves.csv`."""
        figures: dict[str, float] = {}
        for stage, recalls in (("retrieval", self.retrieval), ("reranked", self.reranked)):
            for direction, values in (("t2i", recalls.text_to_image), ("i2t", recalls.image_to_text)):
                names = (f"{stage}_{direction}_r{k}" for k in (1, 5, 10))
                figures |= zip(names, values.rounded(), strict=True)
        return figures


@dataclass(frozen=True)
class Validation:
    """The recalls of each dataset by its name, and the calibration that gave them."""

    datasets: dict[str, StageRecalls]
    calibration: Calibration

    @property
    def mean(self) -> StageRecalls:
        """The mean over datasets."""
        recalls = self.datasets.values()
        return StageRecalls(mean_of([r.retrieval for r in recalls]), mean_of([r.reranked for r in recalls]))

    def figures(self) -> dict[str, float]:
        """Return all figures by their names in `curves.csv`: means, and of several datasets also each one's recalls."""
        weights = ("match_weight", "whole_weight", "hubness_weight")
        figures = self.mean.figures() | {name: getattr(self.calibration, name) for name in weights}
        figures["total"] = round(self.mean.reranked.total, 2)
        if len(self.datasets) > 1:
            for dataset, recalls in self.datasets.items():
                figures |= {f"{dataset} {name}": value for name, value in recalls.figures().items()}
        return figures


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
        images.append(model.image.from_activations(part, cut))
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
    """Return the mean of a text tower's states for each caption: (captions, C), rows of length 1."""
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
def match_lists(reranker: Reranker, pairs: EncodedPairs, images: Tensor, captions: Tensor) -> tuple[Floats, Floats]:
    """Compute match logits and global matches of pairs given by their rows.

    Shape:
        - images, captions: (L, K), row numbers.

    Returns:
        Both (L, K).
    """
    pictures = _in_parts(reranker.picture, pairs.images.states)
    sentences = _in_parts(reranker.sentence, pairs.texts.states, pairs.mask)
    logits, global_matches = [], []
    flat_images, flat_captions = images.flatten(), captions.flatten()
    for start in range(0, len(flat_images), 1024):
        i, c = flat_images[start : start + 1024], flat_captions[start : start + 1024]
        longest = int(pairs.mask[c].sum(1).max()) + 1
        regions, tokens = pairs.images.states[i], pairs.texts.states[c][:, :longest]
        logits.append(reranker.compare(regions, tokens, pairs.mask[c][:, :longest])[0])
        global_matches.append(reranker.scale * (pictures[i] * sentences[c]).sum(-1))
    return _lists_of(logits, images), _lists_of(global_matches, images)


def _lists_of(parts: list[Tensor], like: Tensor) -> Floats:
    return torch.cat(parts).reshape(like.shape).float().cpu().numpy()


def _in_parts(pool: AttentionPool, *states: Tensor) -> Tensor:
    """Pool states (N, L, C) with their mask (N, L) a part at a time: (N, D)."""
    return torch.cat([pool(*part) for part in zip(*(torch.split(x, 512) for x in states), strict=True)])


@dataclass(frozen=True)
class _Lists:
    """The reranking features of each query's candidates, and which of them are correct; all (L, K)."""

    similarities: Floats
    logits: Floats
    global_matches: Floats
    hubness: Floats
    correct: npt.NDArray[np.bool_]

    def scores(self, calibration: Calibration) -> Floats:
        """Combine the features as a search does for familiar words."""
        return calibration.scores(self.similarities, self.logits, self.global_matches, self.hubness)

    def recalls(self, calibration: Calibration) -> Recalls:
        """Return recall at 1, 5 and 10 in percent."""
        order = np.argsort(-self.scores(calibration), axis=1, kind="stable")
        return Recalls.of(first_correct(np.take_along_axis(self.correct, order, axis=1)))


def validate(
    model: CrosslookModel,
    splits: Mapping[str, EncodedPairs],
    *,
    depth: int = 16,
    calibration: Calibration | None = None,
    weights: Calibration | None = None,
) -> Validation:
    """Measure the recalls of one or more splits before and after reranking, with the weights that give the best mean.

    Args:
        model: the model that encoded the pairs.
        splits: the encoded splits by name; one calibration is fitted to all of them.
        depth: candidates to rerank per query.
        calibration: used as it is; nothing is fitted.
        weights: calibration whose weights of match logit, global match and hubness are used instead of the best ones.

    Raises:
        TrainingError: some scores are not finite.
    """
    lists = {name: _lists(model, pairs, depth) for name, pairs in splits.items()}
    every = [x for both in lists.values() for x in both]
    scale = float(model.scale.detach())
    plain = Calibration(scale * plain_cosine() if model.config.classes else scale, 0.0, 1.0, 0.0)
    if not all(np.isfinite(array).all() for x in every for array in vars(x).values()):
        raise TrainingError(
            "the model gives the validation pictures no finite scores; "
            "train with a lower learning rate, or start from another model"
        )

    def recalls(calibration: Calibration) -> dict[str, BothRecalls]:
        return {name: BothRecalls(*(x.recalls(calibration) for x in both)) for name, both in lists.items()}

    if calibration is None:
        if weights is not None:
            choices = [(weights.match_weight, weights.hubness_weight, weights.whole_weight)]
        else:
            hubness_weights = HUBNESS_WEIGHTS if model.hubness is not None else (0.0,)
            choices = list(product(MATCH_WEIGHTS, hubness_weights, WHOLE_WEIGHTS))
        candidates = (replace(plain, match_weight=m, hubness_weight=h, whole_weight=w) for m, h, w in choices)
        best = max(candidates, key=lambda c: mean_of([*recalls(c).values()]).total)
        calibration = _with_probability(best, plain, every)
        if model.config.classes:
            calibration = _with_unfamiliar(calibration, model, splits.values(), depth)
    before, after = recalls(plain), recalls(calibration)
    return Validation({name: StageRecalls(before[name], after[name]) for name in splits}, calibration)


def _lists(model: CrosslookModel, pairs: EncodedPairs, depth: int) -> tuple[_Lists, _Lists]:
    """Retrieve the candidates of every caption, and of every picture."""
    similarities = pairs.texts.vectors @ pairs.images.vectors.T  # (M, N)
    image_of = torch.from_numpy(pairs.image_of).to(similarities.device)
    image_hubness, text_hubness = _hubness(model, pairs)
    captions, pictures = (torch.arange(n, device=similarities.device)[:, None] for n in similarities.shape)
    cosines, rows = similarities.topk(min(depth, similarities.shape[1]), dim=1)
    matches = match_lists(model.reranker, pairs, rows, captions.expand_as(rows))
    correct = (rows == image_of[:, None]).cpu().numpy()
    for_text = _Lists(cosines.cpu().numpy(), *matches, image_hubness[rows.cpu().numpy()], correct)
    cosines, rows = (x.T for x in similarities.topk(min(depth, similarities.shape[0]), dim=0))
    matches = match_lists(model.reranker, pairs, pictures.expand_as(rows), rows)
    correct = (image_of[rows] == pictures).cpu().numpy()
    return for_text, _Lists(cosines.cpu().numpy(), *matches, text_hubness[rows.cpu().numpy()], correct)


def _with_probability(best: Calibration, plain: Calibration, lists: Sequence[_Lists]) -> Calibration:
    """Fit the curve from scores to probabilities, and the mean of the learned part."""
    scores = np.concatenate([x.scores(best).ravel() for x in lists])
    cosines = np.concatenate([x.scores(plain).ravel() for x in lists])
    slope, intercept = fit_probability(scores, np.concatenate([x.correct.ravel() for x in lists]))
    return replace(best, slope=slope, intercept=intercept, learned_mean=float((scores - cosines).mean()))


def _with_unfamiliar(
    calibration: Calibration, model: CrosslookModel, splits: Iterable[EncodedPairs], depth: int
) -> Calibration:
    """Fit the curve for unfamiliar words, by treating those of every caption as unfamiliar."""
    scores, correct = [], []
    for pairs in splits:
        vectors = model.text.with_class_weight(pairs.texts.vectors, CAPTION_WEIGHT + UNFAMILIAR_WEIGHT)
        cosines, pictures = (vectors @ pairs.images.vectors.T).topk(min(depth, len(pairs.images.vectors)), dim=1)
        zeros = np.zeros(tuple(cosines.shape), np.float32)
        scores.append(calibration.scores(cosines.cpu().numpy(), zeros, zeros, zeros, familiarity=0.0).ravel())
        correct.append((pictures.cpu().numpy() == pairs.image_of[:, None]).ravel())
    return replace(calibration, unfamiliar=fit_probability(np.concatenate(scores), np.concatenate(correct)))


def _hubness(model: CrosslookModel, pairs: EncodedPairs) -> tuple[Floats, Floats]:
    """Measure the hubness of all pictures (N,), and of all captions (M,); zero without a querybank."""
    if model.hubness is None:
        return np.zeros(len(pairs.images.vectors), np.float32), np.zeros(len(pairs.texts.vectors), np.float32)
    of_images = model.hubness.captions(pairs.images.vectors)
    return of_images.cpu().numpy(), model.hubness.images(pairs.texts.vectors).cpu().numpy()
