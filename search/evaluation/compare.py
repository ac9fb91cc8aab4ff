"""Models of one index compared on the user's own pictures: how well each finds them, and how fast."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from encoders import Encoder, ImageFeatures, Pixels, caption_bank
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
from .evaluate import Evaluation, encode_texts, measure

TOP = 10
BANK_LINES = 200
TIMED_QUERIES = 20
TIMED_IMAGES, WARM_UP = 64, 4


@dataclass(frozen=True)
class Compared:
    """One model.

    `evaluation` is recall on the pictures' own captions; `agreement` says, where there are none, how many percent of
    the first ten pictures it shares with the first model, over lines of the caption bank. `images_per_second` is None
    where no picture's file can be read.
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
        """The model as JSON types."""
        found = None if self.evaluation is None else self.evaluation.as_dict()
        ways = {way: None if found is None else found[way] for way in ("text_to_image", "image_to_text")}
        document = asdict(self)
        del document["evaluation"]
        return {key: document.pop(key) for key in ("name", "fingerprint", "active")} | ways | document


@dataclass(frozen=True)
class Comparison:
    """What was compared: so many images and sentences, the top `depth` reranked."""

    n_images: int
    n_texts: int
    own_captions: bool
    depth: int
    seed: int
    models: tuple[Compared, ...]

    def as_dict(self) -> dict[str, Any]:
        """The comparison as JSON types."""
        return asdict(self) | {"models": [model.as_dict() for model in self.models]}


@dataclass(frozen=True)
class _Task:
    """The same for every model: images, sentences, and whose caption each is (none: lines of a bank)."""

    ids: Ids
    texts: tuple[str, ...]
    image_of: Ranks | None
    depth: int


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

    Pictures are not encoded anew, their stored embeddings are ranked. Sentences are, for a query is not what is stored:
    strange words weigh otherwise in it.

    Args:
        catalog: an open index.
        models: which of its models; the others are told how far they agree with the first.
        load: gives a model; one is held at a time.
        sample: how many images at most.
        depth: how many candidates are reranked.
        seed: chooses the sample.
        progress: called with the phase, how much is done, and out of how much.

    Raises:
        EvaluationError: no image is embedded by all of the models, or a number is below 1.
    """
    if min(sample, depth) < 1:
        raise EvaluationError(f"sample and depth must be at least 1, not {sample} and {depth}")
    task = _task(catalog, models, sample, depth, seed)
    compared: list[Compared] = []
    first: dict[str, Ids] = {}
    for model in models:
        encoder, seen = load(model), catalog.for_model(model.name, model.fingerprint)
        vectors, regions = features_of(seen, Kind.IMAGE, task.ids.tolist())
        images, evaluation, agreement = ImageFeatures(vectors, np.stack(regions)), None, None

        def report(phase: str, done: int, total: int, name: str = model.name) -> None:
            progress(f"{name}: {phase}", done, total)

        if task.image_of is not None:
            texts = encode_texts(task.texts, encoder, report)
            evaluation = measure(encoder, images, texts, task.image_of, depth=depth, progress=report)
        else:
            best = _best(encoder, images, task, report)
            first = first or best
            agreement = {stage: _shared(first[stage], best[stage]) for stage in best}
        speed = _speed(seen, encoder, task)
        compared.append(Compared(model.name, model.fingerprint, model.active, evaluation, agreement, *speed))
    return Comparison(len(task.ids), len(task.texts), task.image_of is not None, depth, seed, tuple(compared))


def _task(catalog: Catalog, models: Sequence[EncoderRow], sample: int, depth: int, seed: int) -> _Task:
    """A sample of the images with captions of their own, or where there is none, of all, with lines of the bank."""
    common: Ids = np.array(sorted(content_hashes(catalog).values()), np.int64)
    for model in models:
        common = np.setdiff1d(common, unembedded_ids(catalog.for_model(model.name, model.fingerprint), Kind.IMAGE))
    if not len(common):
        raise EvaluationError(
            f"no image in {catalog.directory} is embedded by all of: {', '.join(model.name for model in models)}; "
            "embed them with: crosslook models add MODEL_DIR"
        )
    own = [
        pair
        for source in catalog_stats(catalog).captions
        if source != "bank"
        for pair in caption_texts(catalog, source)
    ]
    texts: dict[int, set[str]] = {}
    for image_id, text in own:
        if image_id is not None:
            texts.setdefault(image_id, set()).add(text)
    rng = np.random.default_rng(seed)
    captioned = np.intersect1d(common, np.array(sorted(texts), np.int64))
    chosen = captioned if len(captioned) else common
    ids = np.sort(rng.choice(chosen, min(sample, len(chosen)), replace=False))
    if not len(captioned):
        bank = caption_bank()
        lines = sorted(rng.choice(len(bank), min(BANK_LINES, len(bank)), replace=False).tolist())
        return _Task(ids, tuple(bank[line] for line in lines), None, depth)
    pairs = [(row, text) for row, image_id in enumerate(ids.tolist()) for text in sorted(texts[image_id])]
    return _Task(ids, tuple(text for _, text in pairs), np.array([row for row, _ in pairs], np.int64), depth)


def _best(encoder: Encoder, images: ImageFeatures, task: _Task, progress: Progress) -> dict[str, Ids]:
    """Rows of the first ten images for each sentence, (M, 10), as retrieved and as reranked."""
    queries = encoder.query(encode_texts(task.texts, encoder, progress))
    similarities = queries.vectors @ images.vectors.T
    found: dict[str, list[Ids]] = {"retrieval": [], "reranked": []}
    for row, scores in enumerate(similarities):
        top = np.argsort(-scores, kind="stable")[: max(TOP, task.depth)]
        depth = top[: task.depth]
        order = np.argsort(-encoder.match_images(queries.take([row]), images.take(depth)).scores, kind="stable")
        found["retrieval"].append(top[:TOP])
        found["reranked"].append(np.concatenate([depth[order], top[task.depth :]])[:TOP])
        progress("reranking images", row + 1, len(similarities))
    return {stage: np.stack(rows) for stage, rows in found.items()}


def _shared(one: Ids, other: Ids) -> float:
    """How many percent of each row's members are the same."""
    return round(100 * float(np.mean([len(np.intersect1d(a, b)) / len(a) for a, b in zip(one, other, strict=True)])), 1)


def _speed(seen: Catalog, encoder: Encoder, task: _Task) -> tuple[float, float | None, int]:
    """Milliseconds a query (median), images a second with decoding, bytes an image in the catalog."""
    engine = SearchEngine(ModelIndex(seen, lambda: encoder))
    times = []
    for text in caption_bank()[: TIMED_QUERIES + 1]:
        began = time.perf_counter()
        engine.search_images(text, depth=task.depth)
        times.append(1000 * (time.perf_counter() - began))
    del times[0]  # it loaded what the others needed
    rate = _images_per_second(seen, encoder, task.ids[: TIMED_IMAGES + WARM_UP].tolist())
    return round(statistics.median(times), 1), rate, round(bytes_per_item(seen, Kind.IMAGE))


def _images_per_second(seen: Catalog, encoder: Encoder, ids: list[int]) -> float | None:
    """How fast pictures are read and encoded, in batches of 32; None where no file can be read."""
    paths = [record.path for record in images_by_id(seen, ids).values() if record.path is not None]

    def read(path: Path) -> Pixels | None:
        try:
            return encoder.prepare(open_image(path, at_least=reading_size(encoder.input_size)))
        except DecodeError:
            return None

    def encode(part: Sequence[Path]) -> int:
        pictures = [found for found in pool.map(read, part) if found is not None]
        if pictures:
            encoder.encode_images(np.stack(pictures))
        return len(pictures)

    with ThreadPoolExecutor(4) as pool:
        encode(paths[:WARM_UP])
        timed = paths[WARM_UP:] or paths
        began = time.perf_counter()
        count = sum(encode(timed[start : start + 32]) for start in range(0, len(timed), 32))
        seconds = time.perf_counter() - began
    return round(count / seconds, 1) if count else None
