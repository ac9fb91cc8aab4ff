"""Search for captions with one model. The caption bank supplements an index with few captions."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np

from encoders import Floats, ImageFeatures, TextFeatures, caption_bank
from encoders.sentences import encode_in_batches
from indexer import Catalog
from indexer.catalog.captions import add_bank, bank_ids, captions_by_id, has_captions
from indexer.catalog.embeddings import stored_features
from indexer.catalog.records import BANK, Ids, Kind
from indexer.errors import CatalogWriteError

from .answers import CaptionAnswer, CaptionHit
from .image_query import ImageQuery, QueryImage, describe, query_features
from .model_index import ModelIndex
from .stages.query import check_numbers, is_unicode
from .stages.rerank import Candidate, reorder
from .timing import Stopwatch
from .verdicts import FITTING

FEW = 200
"""An index with fewer captions of its own is searched together with the bank."""

Encoded = dict[str, tuple[Floats, Floats]]
"""Vector (D,) and token states (T, C) of captions by their text."""


@dataclass(frozen=True)
class CaptionSearch:
    """A search for captions by an image; the fields are the arguments of `SearchEngine.find_captions`."""

    image: ImageQuery
    k: int
    depth: int
    rerank: bool
    bank: Sequence[str]

    def run(self, model: ModelIndex) -> CaptionAnswer:
        """Run the search with a model."""
        watch = Stopwatch()
        check_numbers(self.k, self.depth, None, rerank=self.rerank)
        with watch.stage("load"):
            _ = model.encoder
        with watch.stage("encode"):
            query_image = query_features(model, self.image)
        with watch.stage("bank"):
            hidden = _hidden_captions(model)
            given = _encode(model, self.bank)
            extra = model.bank | given
        with watch.stage("retrieve"):
            candidates = self._retrieve(model, query_image, hidden, extra)
        least = 0.0
        if self.rerank and model.encoder.matches and candidates:
            with watch.stage("rerank"):
                candidates = _rerank(model, candidates, query_image, self.depth, extra)
            least = FITTING if model.encoder.describes else 0.0
        hits = _hits(model.catalog, candidates, self.k, given, least)
        return CaptionAnswer(describe(self.image), hits, watch.milliseconds())

    def _retrieve(
        self, model: ModelIndex, query_image: QueryImage, hidden: Ids, extra: Encoded
    ) -> list[Candidate[int | str]]:
        """Return the nearest captions; keys are ids of stored captions, and texts of others."""
        count = max(self.k, self.depth)  # more than k, because several captions can have one text
        scores, ids = model.vectors(Kind.CAPTION).search(query_image.vector[None], count, hidden=hidden)
        stored = zip(ids[0].tolist(), scores[0].tolist(), strict=True)
        candidates: list[Candidate[int | str]] = [Candidate(caption_id, score) for caption_id, score in stored]
        candidates += [Candidate(text, float(vector @ query_image.vector)) for text, (vector, _) in extra.items()]
        return sorted(candidates, key=lambda c: -c.retrieval_score)[:count]


def _rerank(
    model: ModelIndex, candidates: list[Candidate[int | str]], query_image: QueryImage, depth: int, extra: Encoded
) -> list[Candidate[int | str]]:
    """Rerank the first `depth` candidates, without those that were deleted since they were retrieved."""
    ids = [c.key for c in candidates[:depth] if isinstance(c.key, int)]
    stored, vectors, tokens = stored_features(model.catalog, Kind.CAPTION, ids)
    features: dict[int | str, tuple[Floats, Floats]] = dict(extra.items())
    features |= dict(zip(stored, zip(vectors, tokens, strict=True), strict=True))
    first = [c for c in candidates[:depth] if c.key in features]
    if not first:
        return candidates[depth:]
    texts = TextFeatures(np.stack([features[c.key][0] for c in first]), tuple(features[c.key][1] for c in first))
    image = ImageFeatures(query_image.vector[None], query_image.regions[None])
    return reorder(first + candidates[depth:], model.encoder.match_captions(image, texts))


def _hidden_captions(model: ModelIndex) -> Ids:
    """Return the ids of captions to leave out: the bank's, unless the index has few captions of its own.

    The bank is embedded when first needed, and stored if the catalog can be written.
    """
    if has_captions(model.catalog, FEW):
        return bank_ids(model.catalog)
    bank = set(caption_bank())
    with model.lock:
        ids = bank_ids(model.catalog)
        if len(ids) < len(bank):  # none yet, or only some, stored by an earlier version
            stored = {record.text for record in captions_by_id(model.catalog, ids.tolist()).values()}
            _store_bank(model, model.bank or _encode(model, sorted(bank - stored)))
    return np.empty(0, np.int64)


def _store_bank(model: ModelIndex, bank: Encoded) -> None:
    encoder, catalog = model.encoder, model.catalog
    vectors, tokens = zip(*bank.values(), strict=True)
    try:
        catalog.use_encoder(encoder.name, encoder.fingerprint, encoder.dimension, encoder.directory)
        add_bank(catalog, list(bank), TextFeatures(np.stack(vectors), tokens))  # all of it, or nothing
        model.bank = {}
    except CatalogWriteError:  # read-only, locked or full: the bank stays in memory
        model.bank = bank


def _encode(model: ModelIndex, captions: Sequence[str]) -> Encoded:
    """Encode captions, each text once, without empty and invalid ones."""
    texts = list(dict.fromkeys(line.strip() for line in captions if line.strip() and is_unicode(line)))
    encoded: Encoded = {}
    for positions, features in encode_in_batches(model.encoder, texts):
        pairs = zip(features.vectors, features.tokens, strict=True)
        encoded |= dict(zip((texts[position] for position in positions), pairs, strict=True))
    return encoded


def _hits(
    catalog: Catalog, candidates: Sequence[Candidate[int | str]], k: int, given: Container[str], least: float
) -> tuple[CaptionHit, ...]:
    """The first k captions with different texts, without those of the bank below a probability.

    `given` are the captions that came with the query; like those of the index, they have no minimum.
    """
    records = captions_by_id(catalog, [c.key for c in candidates if isinstance(c.key, int)])
    hits: dict[str, CaptionHit] = {}
    for c in candidates:
        if isinstance(c.key, int):
            if c.key not in records:
                continue
            caption_id, text, source = c.key, records[c.key].text, records[c.key].source
        else:
            caption_id, text, source = None, c.key, BANK
        if source == BANK and text not in given and (c.match_probability or 0.0) < least:
            continue
        if text not in hits and len(hits) < k:
            scores = (c.score, c.retrieval_score, c.rerank_score, c.match_probability)
            hits[text] = CaptionHit(len(hits) + 1, caption_id, text, source, *scores)
    return tuple(hits.values())
