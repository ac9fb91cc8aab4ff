"""The objective of a training step: from a batch of cached activations to its losses."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  torch's own convention
from torch import Tensor

from ..checkpoint.tokenizer import AnyTokenizer, Tokenizer
from ..device import autocast
from ..network.model import CrosslookModel, Encoded
from .config import TrainConfig
from .data.augment import crop_maps, encode_by_length, hide_regions, hide_words, movable_words, piece_tokens, swap_words
from .data.labels import LabelBatch
from .data.pairs import Batch
from .distributed import Share, Team
from .losses import hard_candidates, info_nce, label_candidates, label_loss, listwise_match


@dataclass(frozen=True)
class _Lists:
    """Matching lists, those of captions before those of pictures.

    Shape:
        - first: (b,), the first caption of each of this process's b pictures.
        - images, captions: (2b·K,), rows of the batch, list after list.
        - kinship: (2b, K).
    """

    first: Tensor
    images: Tensor
    captions: Tensor
    kinship: Tensor


class Objective:
    """Computes the losses of a batch.

    Args:
        model: the model to train.
        sentences: a fixed vector of each training caption, whose cosines say how similar two captions are; None if
            targets are not softened.
        tokenizer: its vocabulary says which words can be swapped; none can in the sentences of a pretrained pair,
            which are encoded already.
        config: settings of the run.
        team: the processes that share each batch.

    Shape:
        - sentences: (captions, C), rows of length 1.
    """

    def __init__(
        self, model: CrosslookModel, sentences: Tensor | None, tokenizer: AnyTokenizer, config: TrainConfig, team: Team
    ) -> None:
        self._model, self._sentences, self._config, self._team = model, sentences, config, team
        self._device = model.log_scale.device
        self._swaps = None
        if isinstance(tokenizer, Tokenizer):
            self._swaps = movable_words(tokenizer).to(self._device), piece_tokens(tokenizer).to(self._device)

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the losses of one batch; with several processes, this one's share of each."""
        model, config, team = self._model, self._config, self._team
        activations, ids, mask, attended, image_of = (
            x.to(self._device) for x in (batch.activations, batch.ids, batch.mask, batch.attended, batch.image_of)
        )
        kinship = self._kinship(batch)
        share = team.share(image_of)
        activations = crop_maps(activations, config.smallest_crop)[share.pictures]
        team.seed_apart()
        with autocast(self._device, config.precision):
            for_vector, for_match = model.image.tower.top_stages(activations, config.image_cut)
            images = model.image.heads(
                hide_regions(for_vector, config.region_dropout), hide_regions(for_match, config.region_dropout)
            )
            words, mask = mask, hide_words(mask[share.captions], config.word_dropout)
            texts = encode_by_length(model.text, ids[share.captions], mask, attended[share.captions])
            images, texts, mask = self._gather(images, texts, mask, share, batch)
            similarities = images.vectors @ texts.vectors.T
            losses: dict[str, Tensor] = {}
            if config.contrastive_weight:
                contrastive = info_nce(similarities, image_of, model.scale, kinship, soft=config.soft_targets)
                losses["contrastive"] = contrastive / team.size
            if config.whole_weight:
                cosines = model.reranker.picture(images.states) @ model.reranker.sentence(texts.states, mask).T
                global_match = info_nce(cosines, image_of, model.reranker.scale, kinship, soft=config.soft_targets)
                losses["whole"] = global_match / team.size
            if config.matching_weight:
                lists = self._lists(similarities, image_of, kinship, share.pictures)
                first = lists.first
                negatives = None
                if self._swaps is not None:
                    swapped, changed = swap_words(ids[first], words[first], *self._swaps)
                    states = encode_by_length(model.text, swapped, mask[first], attended[first]).states
                    negatives, _ = model.reranker.compare(images.states[share.pictures], states, mask[first])
                    negatives = negatives.float().masked_fill(~changed, -1e4)
                matching = self._matching(lists, images.states, texts.states, mask, negatives)
                losses["matching"] = matching * (len(first) / len(similarities))
            if config.label_weight:
                losses["label"] = self._label_loss(batch.labels, images)
        return losses

    def _matching(self, lists: _Lists, regions: Tensor, tokens: Tensor, mask: Tensor, swapped: Tensor | None) -> Tensor:
        """Compute the listwise loss of both directions; a picture's list also has its caption with swapped words.

        Shape:
            - regions: (B, P, C); tokens: (M, T, C); mask: (M, T); swapped: (b,), the swapped captions' match logits.
        """
        soft = self._config.soft_targets
        logits, _ = self._model.reranker.compare(regions[lists.images], tokens[lists.captions], mask[lists.captions])
        by_caption, by_image = logits.float().reshape(lists.kinship.shape).chunk(2)
        kinship_by_caption, kinship_by_image = lists.kinship.chunk(2)
        if swapped is not None:
            by_image = torch.cat([by_image, swapped[:, None]], 1)
            kinship_by_image = F.pad(kinship_by_image, (0, 1), value=float("-inf"))
        return (
            listwise_match(by_caption, kinship_by_caption, soft=soft)
            + listwise_match(by_image, kinship_by_image, soft=soft)
        ) / 2

    def _label_loss(self, labels: LabelBatch | None, images: Encoded) -> Tensor:
        """Compute the other losses over labels instead of captions, with their weights; this process's share."""
        model, config, team = self._model, self._config, self._team
        count = 0 if labels is None else len(labels.ids)
        own = slice(count * team.rank // team.size, count * (team.rank + 1) // team.size)
        total = images.vectors.new_zeros(())
        if labels is None or own.start == own.stop:  # none, or fewer than processes
            return total
        every = (labels.ids, labels.mask, labels.attended, labels.shown, labels.known, labels.chosen)
        ids, mask, attended, shown, known, chosen = (x[own].to(self._device) for x in every)
        texts = encode_by_length(model.text, ids, mask, attended)
        similarities = texts.vectors @ images.vectors.T
        if config.contrastive_weight:
            total = total + config.contrastive_weight * label_loss(similarities * model.scale, shown, known).sum()
        if config.whole_weight:
            cosines = model.reranker.sentence(texts.states, mask) @ model.reranker.picture(images.states).T
            total = total + config.whole_weight * label_loss(cosines * model.reranker.scale, shown, known).sum()
        if config.matching_weight:
            pictures = label_candidates(similarities, shown, known, chosen, config.hard_negatives)
            rows = torch.arange(len(ids), device=self._device)[:, None].expand_as(pictures).flatten()
            logits, _ = model.reranker.compare(images.states[pictures.flatten()], texts.states[rows], mask[rows])
            shown, known = shown.gather(1, pictures), known.gather(1, pictures)
            logits = logits.float().reshape(pictures.shape)
            total = total + config.matching_weight * label_loss(logits, shown, known).sum()
        return total / count

    def _kinship(self, batch: Batch) -> Tensor:
        """Compute the kinship of a batch's captions, as logits (M, M)."""
        if self._sentences is None:
            return torch.zeros(len(batch.rows), len(batch.rows), device=self._device)
        sentences = self._sentences[batch.rows].to(self._device)
        return sentences @ sentences.T / self._config.kinship_temperature

    def _gather(
        self, images: Encoded, texts: Encoded, mask: Tensor, share: Share, batch: Batch
    ) -> tuple[Encoded, Encoded, Tensor]:
        """Gather the whole batch's vectors, states and word mask from every process's share."""
        pictures, captions = len(batch.activations), len(batch.ids)
        return (
            Encoded(*(self._team.gather(x, share.pictures, pictures) for x in images)),
            Encoded(*(self._team.gather(x, share.captions, captions) for x in texts)),
            self._team.gather(mask.float(), share.captions, captions).bool(),
        )

    def _lists(self, similarities: Tensor, image_of: Tensor, kinship: Tensor, pictures: slice) -> _Lists:
        """Build matching lists in both directions for some pictures and their first captions, from the whole batch."""
        first = torch.searchsorted(image_of, torch.arange(len(similarities), device=self._device))
        images, captions = hard_candidates(similarities[:, first], image_of[first], self._config.hard_negatives)
        rows = torch.arange(len(first), device=self._device)[pictures, None]
        images, captions = images[pictures], captions[pictures]
        kinship = kinship[first][:, first][pictures]
        return _Lists(
            first[pictures],
            torch.cat([images.flatten(), rows.expand_as(captions).flatten()]),
            first[torch.cat([rows.expand_as(images).flatten(), captions.flatten()])],
            torch.cat([kinship.gather(1, images), kinship.gather(1, captions)]),
        )
