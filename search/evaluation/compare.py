"""Compare the models of an index on its own images: recall or agreement, and speed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from encoders import Encoder, ImageFeatures, Pixels, TextFeatures, caption_bank
from encoders.progress import Progress, no_progress
from encoders.recall import Ranks
from indexer import Catalog, open_image
from indexer.catalog.captions import caption_texts
from indexer.catalog.contents import catalog_stats
from indexer.catalog.embeddings import bytes_per_item, features_of, unembedded_ids
from indexer.catalog.images import content_hashes, images_by_id
from indexer.catalog.records import EncoderRow, Ids, Kind
from indexer.errors import DecodeError
from indexer.pictures.decode import reading_size

from ..engine import SearchEngine
from ..errors import EvaluationError
from ..model_index import ModelIndex
from .evaluate import Evaluation, encode_texts, measure_recall

TOP = 10
"""Hits per query on which agreement is measured."""

BANK_QUERIES = 200
"""Captions of the bank used as queries if the images have no captions."""

TIMED_QUERIES = 20
TIMED_IMAGES, WARM_UP_IMAGES = 64, 4


@dataclass(frozen=True)
class ModelResult:
    """The results of one model.

    - `evaluation` is recall on the images' own captions; None if they have none.
    - `agreement` is used instead: the percentage of the top 10 hits shared with the first model, for captions of the
      bank as queries, by stage.
    - `ms_per_query` is a median.
    - `images_per_second` includes reading the files; None if none can be read.
    """

    name: str
    fingerprint: str
    active: bool
    evaluation: Evaluation | None
    agreement: dict[str, float] | None
    ms_per_query: float
    images_per_second: float | None
    bytes_per_image: int

    def as_dict(self) -> dict[str, Any]:
        """The results as JSON types."""
        evaluation = {} if self.evaluation is None else self.evaluation.as_dict()
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "active": self.active,
            "text_to_image": evaluation.get("text_to_image"),
            "image_to_text": evaluation.get("image_to_text"),
            "agreement": self.agreement,
            "ms_per_query": self.ms_per_query,
            "images_per_second": self.images_per_second,
            "bytes_per_image": self.bytes_per_image,
        }


@dataclass(frozen=True)
class Comparison:
    """The results of all models, and the sample of images and texts they were measured on.

    `own_captions` says whether the texts are the images' own captions, or captions of the bank.
    """

    n_images: int
    n_texts: int
    own_captions: bool
    depth: int
    seed: int
    models: tuple[ModelResult, ...]

    def as_dict(self) -> dict[str, Any]:
        """The comparison as JSON types."""
        return asdict(self) | {"models": [model.as_dict() for model in self.models]}


@dataclass(frozen=True)
class _Sample:
    """The images and texts that every model is measured on.

    `image_of` is the row of each text's image; None if the texts are captions of the bank.
    """

    ids: Ids
    texts: tuple[str, ...]
    image_of: Ranks | None


def compare_models(
    catalog: Catalog,
    models: Sequence[EncoderRow],
    load: Callable[[EncoderRow], Encoder],
    *,
    sample: int = 1000,
    depth: int = 100,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Comparison:
    """Compare models on a sample of the images that all of them have embedded.

    Image embeddings are read from the index. Captions are encoded again, because the query vector of a sentence differs
    from the vector stored for it as a caption: it weights unfamiliar words differently.

    Args:
        catalog: an open index.
        models: the models to compare; agreement is with the first one.
        load: loads a model; one is in memory at a time.
        sample: maximum number of images.
        depth: number of candidates to rerank.
        seed: seed of the sample.
        progress: called as work goes on.

    Raises:
        EvaluationError: no image is embedded by all models, or a number is below 1.
    """
    if min(sample, depth) < 1:
        raise EvaluationError(f"sample and depth must be at least 1, not {sample} and {depth}")
    chosen = _choose(catalog, models, sample, seed)
    results: list[ModelResult] = []
    first_top: dict[str, Ids] = {}
    for model in models:
        encoder, view = load(model), catalog.for_model(model.name, model.fingerprint)
        vectors, regions = features_of(view, Kind.IMAGE, chosen.ids.tolist())
        images, evaluation, agreement = ImageFeatures(vectors, np.stack(regions)), None, None

        def report(phase: str, done: int, total: int, name: str = model.name) -> None:
            progress(f"{name}: {phase}", done, total)

        texts = encode_texts(chosen.texts, encoder, report)
        if chosen.image_of is not None:
            evaluation = measure_recall(encoder, images, texts, chosen.image_of, depth=depth, progress=report)
        else:
            top = _top(encoder, images, texts, depth, report)
            first_top = first_top or top
            agreement = {stage: _overlap(first_top[stage], top[stage]) for stage in top}
        result = ModelResult(
            model.name,
            model.fingerprint,
            model.active,
            evaluation,
            agreement,
            ms_per_query=_ms_per_query(view, encoder, depth),
            images_per_second=_images_per_second(view, encoder, chosen.ids.tolist()),
            bytes_per_image=round(bytes_per_item(view, Kind.IMAGE)),
        )
        results.append(result)
    return Comparison(len(chosen.ids), len(chosen.texts), chosen.image_of is not None, depth, seed, tuple(results))


def _choose(catalog: Catalog, models: Sequence[EncoderRow], sample: int, seed: int) -> _Sample:
    """Sample images with captions; if there are none, sample all images, and captions of the bank."""
    common: Ids = np.array(sorted(content_hashes(catalog).values()), np.int64)
    for model in models:
        common = np.setdiff1d(common, unembedded_ids(catalog.for_model(model.name, model.fingerprint), Kind.IMAGE))
    if not len(common):
        raise EvaluationError(
            f"no image in {catalog.directory} is embedded by all of: {', '.join(model.name for model in models)}; "
            "embed them with: crosslook models add MODEL_DIR"
        )
    texts: dict[int, set[str]] = {}
    for source in catalog_stats(catalog).captions:
        for image_id, text in caption_texts(catalog, source):
            if image_id is not None:
                texts.setdefault(image_id, set()).add(text)
    rng = np.random.default_rng(seed)
    captioned = np.intersect1d(common, np.array(sorted(texts), np.int64))
    population = captioned if len(captioned) else common
    ids = np.sort(rng.choice(population, min(sample, len(population)), replace=False))
    if not len(captioned):
        bank = caption_bank()
        rows = sorted(rng.choice(len(bank), min(BANK_QUERIES, len(bank)), replace=False).tolist())
        return _Sample(ids, tuple(bank[row] for row in rows), None)
    pairs = [(row, text) for row, image_id in enumerate(ids.tolist()) for text in sorted(texts[image_id])]
    return _Sample(ids, tuple(text for _, text in pairs), np.array([row for row, _ in pairs], np.int64))


def _top(
    encoder: Encoder, images: ImageFeatures, texts: TextFeatures, depth: int, progress: Progress
) -> dict[str, Ids]:
    """Rows of the top 10 images for each text, (M, 10), by stage."""
    queries = encoder.query(texts)
    similarities = queries.vectors @ images.vectors.T
    top: dict[str, list[Ids]] = {"retrieval": [], "reranked": []}
    for row, scores in enumerate(similarities):
        retrieved = np.argsort(-scores, kind="stable")[: max(TOP, depth)]
        candidates = retrieved[:depth]
        order = np.argsort(-encoder.match_images(queries.take([row]), images.take(candidates)).scores, kind="stable")
        top["retrieval"].append(retrieved[:TOP])
        top["reranked"].append(np.concatenate([candidates[order], retrieved[depth:]])[:TOP])
        progress("reranking images", row + 1, len(similarities))
    return {stage: np.stack(rows) for stage, rows in top.items()}


def _overlap(one: Ids, other: Ids) -> float:
    """The mean percentage of each row's values that the other's row contains."""
    return round(100 * float(np.mean([len(np.intersect1d(a, b)) / len(a) for a, b in zip(one, other, strict=True)])), 1)


def _ms_per_query(view: Catalog, encoder: Encoder, depth: int) -> float:
    """Median milliseconds of a search."""
    engine = SearchEngine(ModelIndex(view, lambda: encoder))
    times = []
    for text in caption_bank()[: TIMED_QUERIES + 1]:
        start = time.perf_counter()
        engine.search_images(text, depth=depth)
        times.append(1000 * (time.perf_counter() - start))
    return round(statistics.median(times[1:]), 1)  # the first one also loads the index


def _images_per_second(view: Catalog, encoder: Encoder, ids: list[int]) -> float | None:
    """Images read and encoded per second, in batches of 32; None if no file can be read."""
    records = images_by_id(view, ids[: TIMED_IMAGES + WARM_UP_IMAGES]).values()
    paths = [record.path for record in records if record.path is not None]

    def read(path: Path) -> Pixels | None:
        try:
            return encoder.prepare(open_image(path, at_least=reading_size(encoder.input_size)))
        except DecodeError:
            return None

    def encode(batch: Sequence[Path]) -> int:
        pixels = [prepared for prepared in pool.map(read, batch) if prepared is not None]
        if pixels:
            encoder.encode_images(np.stack(pixels))
        return len(pixels)

    with ThreadPoolExecutor(4) as pool:
        encode(paths[:WARM_UP_IMAGES])
        timed = paths[WARM_UP_IMAGES:] or paths
        start = time.perf_counter()
        count = sum(encode(timed[first : first + 32]) for first in range(0, len(timed), 32))
        seconds = time.perf_counter() - start
    return round(count / seconds, 1) if count else None
