"""Search for images with one model: by a sentence, or by an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from encoders import Floats, ImageFeatures, TextFeatures
from indexer import Catalog
from indexer.catalog.embeddings import stored_features
from indexer.catalog.images import images_by_id
from indexer.catalog.records import Kind

from .answers import Answer, Hit, PageStart
from .errors import QueryError
from .image_query import ImageQuery, describe, query_features
from .model_index import ModelIndex
from .stages.keywords import Keywords, find_keywords
from .stages.negate import away_from
from .stages.query import EXCLUDED, Query, check_numbers, check_text, parse
from .stages.rerank import Candidate, match, reorder
from .stages.retrieve import retrieve
from .timing import Stopwatch
from .verdicts import matches_nothing

PAGED = 1024
"""Number of nearest images retrieved for pages beyond the reranked depth, unless they need more."""


@dataclass(frozen=True)
class _Vectors:
    """The vectors of a query.

    `sentence` is the sentence alone, which gives the match probability. `order` has the sum of the vectors of sentence
    and picture, which gives the order. `excluded` has one row per excluded phrase.
    """

    sentence: TextFeatures
    order: TextFeatures
    excluded: TextFeatures


@dataclass(frozen=True)
class ImageSearch:
    """A search for images by a sentence; the fields are the arguments of `SearchEngine.search_images`."""

    text: str
    image: ImageQuery | None
    without: Sequence[str]
    k: int
    depth: int
    rerank: bool
    keywords: bool
    where: Sequence[str]
    min_probability: float | None
    after: PageStart | None

    def run(self, model: ModelIndex) -> Answer:
        """Run the search with a model."""
        watch = Stopwatch()
        query = parse(self.text, self.without)
        check_numbers(self.k, self.depth, self.min_probability, rerank=self.rerank)
        with watch.stage("load"):
            encoder = model.encoder
            if self.min_probability is not None and not encoder.matches:
                raise QueryError(f"model {encoder.name} gives no probability; leave the minimum probability out")
            encoder.warm_up()
            index = model.vectors(Kind.IMAGE)
        with watch.stage("encode"):
            vectors = self._encode(model, query)
        page = self.after or PageStart((), index.stamp.top, encoder.fingerprint)
        with watch.stage("retrieve"):
            keywords = Keywords()
            if self.keywords:
                keywords = find_keywords(model.catalog, query, encoder.strangeness, len(index))
            vector = away_from(vectors.order.vectors, vectors.excluded.vectors)
            selection = model.select(self.where, None if self.after is None else page.top)
            count = self.depth if self.min_probability else _count(len(page.shown) + self.k, self.depth)
            candidates, reranked = retrieve(index, vector, keywords, selection, depth=self.depth, count=count)
        ranks = _ranks(candidates)
        if self.rerank and encoder.matches:
            with watch.stage("rerank"):
                candidates = _rerank(model, candidates, reranked, vectors)
        no_match = encoder.describes and matches_nothing(len(vectors.sentence.tokens[0]), _probabilities(candidates))
        if self.min_probability is not None:
            candidates = [c for c in candidates if (c.match_probability or 0.0) >= self.min_probability]
        shown = set(page.shown)
        candidates = [c for c in candidates if c.key not in shown]
        hits = _hits(model.catalog, candidates, self.k, ranks, keywords, len(shown))
        following = None
        if len(hits) == self.k < len(candidates):
            following = replace(page, shown=(*page.shown, *(hit.image_id for hit in hits)))
        return Answer(query.text, hits, watch.milliseconds(), query.without, encoder.describes, no_match, following)

    def _encode(self, model: ModelIndex, query: Query) -> _Vectors:
        features = model.encoder.query(model.encoder.encode_texts([query.text, *query.without]))
        sentence, excluded = features.take([0]), features.take(list(range(1, len(features.tokens))))
        if self.image is None:
            return _Vectors(sentence, sentence, excluded)
        joined = _unit(sentence.vectors[0] + query_features(model, self.image).vector)
        return _Vectors(sentence, replace(sentence, vectors=joined[None]), excluded)


def search_similar(
    model: ModelIndex, image: ImageQuery, *, without: Sequence[str], k: int, where: Sequence[str]
) -> Answer:
    """Find images similar to an image; the arguments are those of `SearchEngine.similar_images`."""
    watch = Stopwatch()
    check_numbers(k, 1, None, rerank=False)
    excluded = tuple(dict.fromkeys(check_text(words, EXCLUDED) for words in without))
    with watch.stage("encode"):
        query_image = query_features(model, image)
        vector = query_image.vector[None]
        if excluded:
            vector = away_from(vector, model.encoder.query(model.encoder.encode_texts(excluded)).vectors)
    with watch.stage("load"):
        index = model.vectors(Kind.IMAGE)
    with watch.stage("retrieve"):
        selection = model.select(where)
        scores, ids = index.search(vector, k + 1, allowed=selection.allowed, hidden=selection.hidden)
        nearest = zip(ids[0].tolist(), scores[0].tolist(), strict=True)
        candidates = [Candidate(image_id, score) for image_id, score in nearest if image_id != query_image.image_id]
    hits = _hits(model.catalog, candidates, k, _ranks(candidates))
    return Answer(describe(image), hits, watch.milliseconds(), excluded)


def _rerank(model: ModelIndex, candidates: list[Candidate[int]], depth: int, vectors: _Vectors) -> list[Candidate[int]]:
    """Rerank the first `depth` candidates, without those that were deleted since they were retrieved."""
    ids, image_vectors, regions = stored_features(model.catalog, Kind.IMAGE, [c.key for c in candidates[:depth]])
    if not ids:
        return candidates[depth:]
    present = set(ids)
    first = [c for c in candidates[:depth] if c.key in present]
    images = ImageFeatures(image_vectors, np.asarray(regions))
    evidence = np.array([c.evidence for c in first], np.float32)
    matches = match(model.encoder, images, evidence, vectors.sentence, vectors.order, vectors.excluded)
    return reorder(first + candidates[depth:], matches)


def _probabilities(candidates: Sequence[Candidate[int]]) -> list[float]:
    return [c.match_probability for c in candidates if c.match_probability is not None]


def _hits(
    catalog: Catalog,
    candidates: Sequence[Candidate[int]],
    k: int,
    ranks: dict[int, int],
    keywords: Keywords | None = None,
    shown: int = 0,
) -> tuple[Hit, ...]:
    """Return the first k candidates that still have a file.

    Args:
        catalog: an open index.
        candidates: best first.
        k: maximum number of hits.
        ranks: the candidates' ranks before reranking.
        keywords: the keywords of the query.
        shown: number of hits on previous pages.
    """
    hits: list[Hit] = []
    words = keywords or Keywords()
    for start in range(0, len(candidates), k):
        batch = candidates[start : start + k]
        records = images_by_id(catalog, [c.key for c in batch])
        for c in batch:
            record = records.get(c.key)
            if record is not None and record.path is not None and len(hits) < k:
                scores = (c.score, c.retrieval_score, c.rerank_score, c.match_probability)
                sources = ("vector",) * c.nearest + words.sources(c.key)
                origin = (sources, words.matched(c.key), ranks[c.key])
                rank = shown + len(hits) + 1
                hits.append(Hit(rank, c.key, record.path, *scores, *origin, record.width, record.height))
        if len(hits) == k:
            break
    return tuple(hits)


def _ranks(candidates: Sequence[Candidate[int]]) -> dict[int, int]:
    """The ranks of candidates before reranking, from 1."""
    return {c.key: rank for rank, c in enumerate(candidates, 1)}


def _count(last_rank: int, depth: int) -> int:
    """The number of nearest images to retrieve for the hits up to a rank, and to know whether more follow.

    Beyond `depth` it is the same for most pages, because an approximate index may find other images for other numbers.
    """
    return depth if last_rank < depth else max(last_rank + 1, PAGED)


def _unit(vector: Floats) -> Floats:
    return (vector / max(float(np.linalg.norm(vector)), 1e-8)).astype(np.float32)
