"""Recall on the validation split, before and after reranking, and the calibration that gives the best recall."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..architecture import CAPTION_WEIGHT, UNFAMILIAR_WEIGHT
from ..checkpoint.calibration import Calibration, fit_curve, fit_probability
from ..errors import TrainingError
from ..features import Floats
from ..network.class_channel import plain_cosine
from ..network.model import CrosslookModel
from ..recall import Recalls, first_correct
from .data.judgement import DESCRIBED, NOT_DESCRIBED, coverage
from .data.labels import Flags, Rows
from .data.pairs import PairSet
from .encoded import EncodedPairs, match_lists

MATCH_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
WHOLE_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
HUBNESS_WEIGHTS = (0.0, 0.5, 0.75, 1.0)
USUAL = 0.25
"""Share of the labels whose hubness is below the usual one; words that no picture shows have less than nearly all."""


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
class _Lists:
    """The reranking features of each query's candidates, and what is known about them; all (L, K).

    `correct` is a sentence with its own picture, `described` what the probability is about, which is known for `judged`
    pairs only. `lengths` are the sentences' tokens, `query_hubness` that of the query.
    """

    similarities: Floats
    logits: Floats
    global_matches: Floats
    hubness: Floats
    query_hubness: Floats
    lengths: npt.NDArray[np.int64]
    correct: Flags
    described: Flags
    judged: Flags

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
    labels = [found for pairs in splits.values() if (found := _label_lists(model, pairs, depth)) is not None]
    every = [x for both in lists.values() for x in both]
    scale = float(model.scale.detach())
    if model.config.classes:
        plain = Calibration(scale * plain_cosine(), 0.0, 1.0, 0.0)
    else:
        plain = Calibration(scale, 0.0, 1.0, 0.0, trust_exponent=0.0)
    if not all(np.isfinite(array).all() for x in every + labels for array in vars(x).values()):
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
        calibration = _with_probability(best, plain, [*lists.values()], labels)
        if model.config.classes:
            calibration = _with_unfamiliar(calibration, model, splits.values(), depth)
    before, after = recalls(plain), recalls(calibration)
    return Validation({name: StageRecalls(before[name], after[name]) for name in splits}, calibration)


def _lists(model: CrosslookModel, pairs: EncodedPairs, depth: int) -> tuple[_Lists, _Lists]:
    """Retrieve the candidates of every caption, and of every picture."""
    similarities = pairs.texts.vectors @ pairs.images.vectors.T  # (M, N)
    captions, pictures = (torch.arange(n, device=similarities.device)[:, None] for n in similarities.shape)
    by_text = similarities.topk(min(depth, similarities.shape[1]), dim=1).indices
    by_picture = similarities.topk(min(depth, similarities.shape[0]), dim=0).indices.T
    image_hubness, text_hubness = _hubness(model, pairs.images.vectors, pairs.texts.vectors)

    def lists(images: Tensor, texts: Tensor, *, for_texts: bool) -> _Lists:
        matches = match_lists(model.reranker, pairs.images, pairs.texts, images, texts)
        cosines = similarities[texts, images].cpu().numpy()
        of_text, of_image = texts.cpu().numpy(), images.cpu().numpy()
        lengths = pairs.source.captions.mask.sum(1)[of_text]
        correct = pairs.source.image_of[of_text] == of_image
        measured = image_hubness[of_image], text_hubness[of_text]
        hubness, query_hubness = measured if for_texts else measured[::-1]
        judgements = _judge(pairs.source, of_text, of_image)
        return _Lists(cosines, *matches, hubness, query_hubness, lengths, correct, *judgements)

    return (
        lists(by_text, captions.expand_as(by_text), for_texts=True),
        lists(pictures.expand_as(by_picture), by_picture, for_texts=False),
    )


def _judge(source: PairSet, captions: Rows, pictures: Rows) -> tuple[Flags, Flags]:
    """Which captions describe which pictures, and for which of these pairs (L, K) that is known."""
    said = coverage(source.captions, source.image_of, captions, pictures, unknown=source.unknown)
    described = (source.image_of[captions] == pictures) | (said >= DESCRIBED)
    return described, described | (said < NOT_DESCRIBED)


def _label_lists(model: CrosslookModel, pairs: EncodedPairs, depth: int) -> _Lists | None:
    """Retrieve the candidates of every label among the pictures that were judged for it; None without labels.

    Nor with a class channel, which weighs more for a word that captions lack: its curve is another.
    """
    labels = pairs.source.labels
    if labels is None or pairs.labels is None or model.config.classes:
        return None
    similarities = pairs.labels.vectors @ pairs.images.vectors.T  # (L, N)
    unknown = torch.from_numpy(~labels.judged).to(similarities.device)
    cosines, images = similarities.masked_fill(unknown, -2.0).topk(min(depth, similarities.shape[1]), dim=1)
    texts = torch.arange(len(images), device=images.device)[:, None].expand_as(images)
    matches = match_lists(model.reranker, pairs.images, pairs.labels, images, texts)
    of_text, of_image = texts.cpu().numpy(), images.cpu().numpy()
    shown = labels.shown[of_text, of_image]
    image_hubness, label_hubness = _hubness(model, pairs.images.vectors, pairs.labels.vectors)
    return _Lists(
        cosines.cpu().numpy(),
        *matches,
        image_hubness[of_image],
        label_hubness[of_text],
        labels.tokens.mask.sum(1)[of_text],
        shown,
        shown,
        labels.judged[of_text, of_image],
    )


def _with_probability(
    best: Calibration,
    plain: Calibration,
    captions: Sequence[tuple[_Lists, _Lists]],
    labels: Sequence[_Lists],
) -> Calibration:
    """Fit the mean of the learned part, and the probability curves.

    One is for sentences and labels as queries, which weigh the same; the other for pictures as queries.
    """
    of_texts, of_pictures = [both[0] for both in captions], [both[1] for both in captions]
    kinds = [lists for lists in (of_texts, labels) if lists]

    def joined(values: Callable[[_Lists], npt.NDArray[Any]]) -> npt.NDArray[Any]:
        return np.concatenate([values(x)[x.judged] for lists in kinds for x in lists])

    usual = float(np.quantile(np.concatenate([x.query_hubness[:, 0] for x in labels or of_texts]), USUAL))
    best = replace(best, usual_hubness=usual)
    counts = [count for lists in kinds if (count := sum(int(x.judged.sum()) for x in lists))]
    weights = np.concatenate([np.full(count, sum(counts) / len(counts) / count) for count in counts])
    curve = fit_curve(
        joined(lambda x: x.scores(best)),
        joined(lambda x: x.lengths),
        joined(lambda x: np.asarray(best.excess(x.query_hubness))),
        joined(lambda x: x.described),
        weights,
    )
    slope, intercept = fit_probability(
        np.concatenate([x.scores(best)[x.judged] for x in of_pictures]),
        np.concatenate([x.described[x.judged] for x in of_pictures]),
    )
    learned = np.concatenate([(x.scores(best) - x.scores(plain)).ravel() for both in captions for x in both])
    return replace(
        best, **curve._asdict(), of_pictures=(max(slope, 1e-3), intercept), learned_mean=float(learned.mean())
    )


def _with_unfamiliar(
    calibration: Calibration, model: CrosslookModel, splits: Iterable[EncodedPairs], depth: int
) -> Calibration:
    """Fit the curve for unfamiliar words, by treating those of every caption as unfamiliar."""
    scores, correct = [], []
    for pairs in splits:
        vectors = model.text.with_class_weight(pairs.texts.vectors, CAPTION_WEIGHT + UNFAMILIAR_WEIGHT)
        cosines, pictures = (vectors @ pairs.images.vectors.T).topk(min(depth, len(pairs.images.vectors)), dim=1)
        zeros = np.zeros(tuple(cosines.shape), np.float32)
        lists = calibration.scores(cosines.cpu().numpy(), zeros, zeros, zeros, familiarity=0.0)
        found = pictures.cpu().numpy()
        captions = np.broadcast_to(np.arange(len(found))[:, None], found.shape)
        described, judged = _judge(pairs.source, captions, found)
        scores.append(lists[judged])
        correct.append(described[judged])
    return replace(calibration, unfamiliar=fit_probability(np.concatenate(scores), np.concatenate(correct)))


def _hubness(model: CrosslookModel, images: Tensor, texts: Tensor) -> tuple[Floats, Floats]:
    """Measure the hubness of pictures (N, D) and of sentences (M, D): (N,) and (M,); zero without a querybank."""
    if model.hubness is None:
        return np.zeros(len(images), np.float32), np.zeros(len(texts), np.float32)
    return model.hubness.captions(images).cpu().numpy(), model.hubness.images(texts).cpu().numpy()
