"""One query from start to end: encode, retrieve, rerank from stored states."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

import numpy as np
from PIL import Image

from encoders import Attention, Encoder, Floats, ImageFeatures, TextFeatures, caption_bank, load_encoder
from indexer import Catalog, VectorIndex, open_image
from indexer.catalog.captions import add_bank, bank_ids, captions_by_id, has_captions
from indexer.catalog.embeddings import features_of, stored_features, vector_ids
from indexer.catalog.images import hidden_image_ids, image_id_at, image_ids_where, images_by_id
from indexer.catalog.records import EncoderRow, Ids, Kind
from indexer.errors import CatalogError, DecodeError, EncoderMismatchError, ModelError, ReadError
from indexer.models import find_model, model_directory

from .answers import Answer, CaptionAnswer, CaptionHit, Hit, Place
from .errors import ImageNotFoundError, QueryError, UnknownModelError
from .explain import Explanation
from .stages.keywords import Keywords, look_up
from .stages.negate import away_from, evidence_against
from .stages.query import Query, check_text, is_unicode, parse
from .stages.rerank import Candidate, reorder, retrieved
from .stages.retrieve import Choose, retrieve
from .timing import Stopwatch

PAGED = 1024
"""Nearest images that pages beyond the reranked depth are cut from, as long as they do not reach further."""

FEW = 200
"""Captions of its own, below which an index is helped out with the bank: a few say nothing of most pictures."""

ImageQuery = Path | int | Image.Image
"""A file, the id of an indexed image, or a picture in memory."""


P = ParamSpec("P")
R = TypeVar("R")


def _by_one_model(
    method: Callable[Concatenate[SearchEngine, P], R],
) -> Callable[Concatenate[SearchEngine, P], R]:
    """Answer a query with one model from start to end, whichever becomes active meanwhile."""

    @wraps(method)
    def answer(self: SearchEngine, /, *args: P.args, **options: P.kwargs) -> R:
        engine = self.now()
        try:
            return method(engine, *args, **options)
        except EncoderMismatchError:
            following = self.now()
            if following is engine:
                raise
            return method(following, *args, **options)  # its model was removed in the middle

    return answer


class SearchEngine:
    """Searches one index with one model. Safe to share between threads; open once, ask often.

    The model loads with the first query that needs it: images like an indexed image need none.
    """

    def __init__(self, catalog: Catalog, load: Callable[[], Encoder]) -> None:
        """Use `open`, which follows the index's active model.

        Args:
            catalog: an open index, as the model sees it if that is known (`Catalog.for_model`).
            load: gives the model.
        """
        self.catalog = catalog
        self._load = load
        self._encoder: Encoder | None = None
        self._lock = threading.RLock()
        self._vectors: dict[Kind, VectorIndex] = {}
        self._unstored: dict[str, tuple[Floats, Floats]] = {}

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        encoder: Encoder | None = None,
        model: Path | None = None,
        device: str = "auto",
        workers: int = 1,
    ) -> SearchEngine:
        """Open the index in a directory.

        Without a model, queries are answered by the one that is active when they come. A model that is given must have
        embeddings in the index, active or not, and answers all queries.

        Args:
            path: the index directory.
            encoder: a model that is loaded already.
            model: directory of the model to load.
            device: where to load it, `auto`, `cpu`, `cuda`, …
            workers: queries that the model computes side by side, see `load_encoder`.

        Raises:
            IndexNotFoundError, CatalogVersionError, CatalogError: the index cannot be used.
            CheckpointError: `model` cannot be loaded.
        """
        from .active_model import FollowingEngine  # noqa: PLC0415  it is a SearchEngine itself

        given = encoder
        if given is None and model is not None:
            given = load_encoder(model, device=device, workers=workers)
        catalog = Catalog.open(path)
        if given is None:
            return FollowingEngine(catalog, device, workers)
        return cls(catalog.for_model(given.name, given.fingerprint), lambda: given)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the catalog."""
        self.catalog.close()

    def now(self) -> SearchEngine:
        """The engine of the model that answers a query which comes now."""
        return self

    def by_model(self, given: str) -> SearchEngine:
        """The engine of one of the index's models, by its name or the first digits of its fingerprint.

        Raises:
            UnknownModelError: there is none, more than one, or this engine was opened with another.
        """
        found = self._row_of(given)
        if found.fingerprint != self.encoder.fingerprint:
            raise UnknownModelError(f"this server answers with model {self.encoder.name} alone, not with {given!r}")
        return self

    def _row_of(self, given: str) -> EncoderRow:
        try:
            return find_model(self.catalog, given)
        except ModelError as exc:
            names = ", ".join(f"{row.name} ({row.fingerprint[:12]})" for row in self.catalog.encoders()) or "none"
            raise UnknownModelError(f"no one model of the index is called {given!r}; it has: {names}") from exc

    @property
    def loaded(self) -> Encoder | None:
        """The model if a query needed it already."""
        return self._encoder

    @property
    def encoder(self) -> Encoder:
        """The model, loaded by the first thread that needs it, and checked against the index.

        Raises:
            EncoderMismatchError: another model made the index.
            CheckpointError: the model cannot be loaded.
        """
        with self._lock:
            if self._encoder is None:
                encoder = self._load()
                seen = self.catalog.for_model(encoder.name, encoder.fingerprint)
                seen.active_encoder()  # raises where the index does not hold it
                self.catalog, self._encoder = seen, encoder
            return self._encoder

    @_by_one_model
    def search_images(
        self,
        text: str,
        *,
        image: ImageQuery | None = None,
        without: Sequence[str] = (),
        k: int = 10,
        depth: int = 100,
        rerank: bool = True,
        keywords: bool = True,
        where: Sequence[str] = (),
        min_probability: float | None = None,
        after: Place | None = None,
    ) -> Answer:
        """Find images for a sentence.

        Pages that follow one another hold what one long answer would: the same `depth` is looked at each time.

        Args:
            text: what to look for; `-word` and `-"two words"` are taken away.
            image: a picture to look for as well; its embedding and the sentence's are added.
            without: further words to take away.
            k: how many hits at most.
            depth: how many candidates are reranked, of the nearest and of those that carry keywords.
            rerank: whether the cross-attention model orders them.
            keywords: whether words of captions and of file and folder names count.
            where: filters, all of which must hold.
            min_probability: leave out hits whose match probability is below this.
            after: where the page begins, as the answer before it told; to be asked of the same model.

        Raises:
            QueryError: an empty or too long sentence, or a number out of its range.
            FilterError: a filter does not parse.
        """
        watch = Stopwatch()
        query = parse(text, without)
        _check_numbers(k, depth, min_probability, rerank=rerank)
        with watch.stage("load"):
            encoder, index = self.encoder, self._index(Kind.IMAGE)
        with watch.stage("encode"):
            features, unwanted = self._encoded(query, image)
        begin = after or Place(0, index.stamp.top, encoder.fingerprint)
        with watch.stage("retrieve"):
            found = look_up(self.catalog, query, encoder.strangeness, len(index)) if keywords else Keywords()
            vector = away_from(features.vectors, unwanted.vectors)
            count = depth if min_probability else _count(begin.offset + k, depth)
            choose = self._choose(where, None if after is None else after.top)
            candidates, first = retrieve(index, vector, found, choose, depth=depth, count=count)
        ranks = _ranks(candidates)
        if rerank:
            with watch.stage("rerank"):
                candidates = self._rerank_images(candidates, features, first, unwanted)
        if min_probability is not None:
            candidates = [c for c in candidates if (c.match_probability or 0.0) >= min_probability]
        hits = self._hits(candidates[begin.offset :], k, ranks, found, begin.offset)
        end = begin.offset + len(hits)
        following = replace(begin, offset=end) if len(hits) == k and end < len(candidates) else None
        return Answer(query.text, hits, watch.milliseconds(), query.without, following)

    @_by_one_model
    def similar_images(
        self, image: ImageQuery, *, without: Sequence[str] = (), k: int = 10, where: Sequence[str] = ()
    ) -> Answer:
        """Find images like an image, itself left out.

        Args:
            image: which image.
            without: words to take away.
            k: how many hits at most.
            where: filters, all of which must hold.

        Raises:
            QueryError: no such image, or not an image.
        """
        watch = Stopwatch()
        _check_numbers(k, 1, None, rerank=False)
        away = tuple(dict.fromkeys(check_text(words, "what is taken away") for words in without))
        with watch.stage("encode"):
            vector, _, own = self._features(image)
            if away:
                vector = away_from(vector[None], self.encoder.query(self.encoder.encode_texts(away)).vectors)[0]
        with watch.stage("load"):
            index = self._index(Kind.IMAGE)
        with watch.stage("retrieve"):
            choose = self._choose(where)
            scores, ids = index.search(vector[None], k + 1, allowed=choose.allowed, hidden=choose.hidden)
            candidates = [c for c in retrieved(ids[0], scores[0]) if c.key != own]
        return Answer(_name(image), self._hits(candidates, k, _ranks(candidates)), watch.milliseconds(), away)

    @_by_one_model
    def find_captions(
        self,
        image: ImageQuery,
        *,
        k: int = 5,
        depth: int = 100,
        rerank: bool = True,
        bank: Sequence[str] | None = None,
    ) -> CaptionAnswer:
        """Find captions for an image.

        They come from the index's own captions; where it has fewer than `FEW`, also from the bank that ships with the
        base model, which is embedded once and kept.

        Args:
            image: which image.
            k: how many hits at most.
            depth: how many candidates are reranked.
            rerank: whether the cross-attention model orders the top `depth`.
            bank: further captions to choose from, for this query alone.

        Raises:
            QueryError: no such image, not an image, or a number out of its range.
        """
        watch = Stopwatch()
        _check_numbers(k, depth, None, rerank=rerank)
        with watch.stage("load"):
            _ = self.encoder
        with watch.stage("encode"):
            vector, regions, _ = self._features(image)
        with watch.stage("bank"):
            hidden = self._hidden_captions()
            extra = self._unstored | self._given(bank or ())
        with watch.stage("retrieve"):
            wanted = max(k, depth)  # photographs share captions, and each text is told once
            scores, ids = self._index(Kind.CAPTION).search(vector[None], wanted, hidden=hidden)
            stored: list[Candidate[int | str]] = [
                Candidate(c.key, c.retrieval_score) for c in retrieved(ids[0], scores[0])
            ]
            given: list[Candidate[int | str]] = [Candidate(t, float(v @ vector)) for t, (v, _) in extra.items()]
            candidates = sorted(stored + given, key=lambda c: -c.retrieval_score)[:wanted]
        if rerank and candidates:
            with watch.stage("rerank"):
                candidates = self._rerank_captions(candidates, ImageFeatures(vector[None], regions[None]), depth, extra)
        return CaptionAnswer(_name(image), self._caption_hits(candidates, k), watch.milliseconds())

    @_by_one_model
    def explain(self, image: ImageQuery, text: str) -> Explanation:
        """Show where in an image each word of a sentence is seen.

        Raises:
            QueryError: no such image, not an image, or an unusable sentence.
        """
        attention = self._attention(image, text)
        return Explanation(attention.words, attention.weights, self._picture(image))

    @_by_one_model
    def attention(self, image: ImageQuery, text: str) -> Attention:
        """Where each word of a sentence is seen; of an indexed image no file is opened.

        Raises:
            QueryError: no such image, not an image, or an unusable sentence.
        """
        return self._attention(image, text)

    def _attention(self, image: ImageQuery, text: str) -> Attention:
        query = check_text(text)
        _, regions, _ = self._features(image)
        return self.encoder.attend(query, regions)

    def image_path(self, image_id: int) -> Path:
        """Where an indexed image lies.

        Raises:
            QueryError: no such image, or all its files are gone.
        """
        record = images_by_id(self.catalog, [image_id]).get(image_id)
        if record is None:
            raise ImageNotFoundError(f"no image has the id {image_id}")
        if record.path is None:
            raise ImageNotFoundError(
                f"the files of image {image_id} are missing; index their folder again when they are back"
            )
        return record.path

    def _index(self, kind: Kind) -> VectorIndex:
        """The vectors of a kind, in step with the catalog."""
        with self._lock:
            there = self._vectors.get(kind)
            found = VectorIndex.open(self.catalog, kind) if there is None else there.refreshed()
            self._vectors[kind] = found
            return found

    def _choose(self, where: Sequence[str], top: int | None = None) -> Choose:
        """What filters let through, and nothing whose files are gone, or whose id is above `top`."""
        hidden = hidden_image_ids(self.catalog)
        if top is not None:
            hidden = np.union1d(hidden, vector_ids(self.catalog, Kind.IMAGE, above=top))
        return Choose(image_ids_where(self.catalog, where) if where else None, hidden)

    def _encoded(self, query: Query, image: ImageQuery | None) -> tuple[TextFeatures, TextFeatures]:
        """The sentence, a picture's vector added to its own, and the words that are taken away, one row each."""
        features = self.encoder.query(self.encoder.encode_texts([query.text, *query.without]))
        sentence, unwanted = features.take([0]), features.take(list(range(1, len(features.tokens))))
        if image is not None:
            sentence = replace(sentence, vectors=_unit(sentence.vectors[0] + self._features(image)[0])[None])
        return sentence, unwanted

    def _features(self, image: ImageQuery) -> tuple[Floats, Floats, int | None]:
        """Vector (D,), regions (P, C) and id of an image: stored ones where it is indexed and unchanged."""
        image_id = image if isinstance(image, int) else None
        if isinstance(image, Path):
            image_id = self._indexed(image)
        if image_id is not None:
            try:
                vectors, regions = features_of(self.catalog, Kind.IMAGE, [image_id])
            except EncoderMismatchError:
                raise
            except CatalogError:  # gone, or not embedded by this model: its file is looked at, if there is one
                pass
            else:
                return vectors[0], regions[0], image_id
        features = self.encoder.encode_images(self.encoder.prepare(self._picture(image))[None])
        return features.vectors[0], features.regions[0], None

    def _indexed(self, path: Path) -> int | None:
        try:
            status = path.stat()
        except OSError as exc:
            raise ImageNotFoundError(f"no such image: {path}") from exc
        return image_id_at(self.catalog, Path(os.path.abspath(path)), size=status.st_size, mtime_ns=status.st_mtime_ns)

    def _picture(self, image: ImageQuery) -> Image.Image:
        if isinstance(image, Image.Image):
            return image if image.mode == "RGB" else image.convert("RGB")
        path = self.image_path(image) if isinstance(image, int) else image
        try:
            return open_image(path, at_least=1024)
        except DecodeError as exc:
            if isinstance(image, int) and isinstance(exc, ReadError):
                raise ImageNotFoundError(f"the file of image {image} is gone; index its folder again") from exc
            raise QueryError(f"image {image}: {exc}" if isinstance(image, int) else f"{path}: {exc}") from exc

    def _rerank_images(
        self, candidates: list[Candidate[int]], text: TextFeatures, depth: int, unwanted: TextFeatures
    ) -> list[Candidate[int]]:
        """Reorder the first `depth`; those that an indexer has removed since they were found are left out."""
        ids, vectors, regions = stored_features(self.catalog, Kind.IMAGE, [c.key for c in candidates[:depth]])
        if not ids:
            return candidates[depth:]
        there = set(ids)
        first = [c for c in candidates[:depth] if c.key in there]
        pictures = ImageFeatures(vectors, np.asarray(regions))
        evidence = np.array([c.evidence for c in first], np.float32)
        evidence += evidence_against(self.encoder, unwanted, pictures)
        matches = self.encoder.match_images(text, pictures).with_evidence(evidence)
        return reorder(first + candidates[depth:], matches)

    def _rerank_captions(
        self,
        candidates: list[Candidate[int | str]],
        picture: ImageFeatures,
        depth: int,
        extra: dict[str, tuple[Floats, Floats]],
    ) -> list[Candidate[int | str]]:
        """As `_rerank_images`, of stored captions by their ids and of lines that came with the query by their text."""
        ids = [c.key for c in candidates[:depth] if isinstance(c.key, int)]
        there: dict[int | str, tuple[Floats, Floats]] = dict(extra.items())
        stored, vectors, tokens = stored_features(self.catalog, Kind.CAPTION, ids)
        there |= dict(zip(stored, zip(vectors, tokens, strict=True), strict=True))
        first = [c for c in candidates[:depth] if c.key in there]
        if not first:
            return candidates[depth:]
        texts = TextFeatures(np.stack([there[c.key][0] for c in first]), tuple(there[c.key][1] for c in first))
        return reorder(first + candidates[depth:], self.encoder.match_captions(picture, texts))

    def _hidden_captions(self) -> Ids:
        """Ids of the captions not to choose from: the bank, unless the index has few of its own.

        Then the bank is embedded on first use.
        """
        if has_captions(self.catalog, FEW):
            return bank_ids(self.catalog)
        bank = set(caption_bank())
        with self._lock:
            ids = bank_ids(self.catalog)
            if len(ids) < len(bank):  # none yet, or cut short by an earlier version
                there = captions_by_id(self.catalog, ids.tolist())
                missing = sorted(bank - {record.text for record in there.values()}, key=len)
                encoder = self.encoder
                found = self._unstored or self._given(missing)
                vectors, tokens = zip(*found.values(), strict=True)
                try:
                    self.catalog.use_encoder(encoder.name, encoder.fingerprint, encoder.dimension, encoder.directory)
                    add_bank(self.catalog, list(found), TextFeatures(np.stack(vectors), tokens))  # whole, or not at all
                    self._unstored = {}
                except EncoderMismatchError:
                    raise
                except CatalogError:  # read-only, locked or full: that keeps the bank from the catalog, not from us
                    self._unstored = found
        return np.empty(0, np.int64)

    def _given(self, bank: Sequence[str]) -> dict[str, tuple[Floats, Floats]]:
        """Vector and token states of each line of a bank that came with the query."""
        lines = list(dict.fromkeys(line.strip() for line in bank if line.strip() and is_unicode(line)))
        found: dict[str, tuple[Floats, Floats]] = {}
        for start in range(0, len(lines), 256):
            part = lines[start : start + 256]
            features = self.encoder.encode_texts(part)
            found |= dict(zip(part, zip(features.vectors, features.tokens, strict=True), strict=True))
        return found

    def _hits(
        self,
        candidates: Sequence[Candidate[int]],
        k: int,
        ranks: dict[int, int],
        keywords: Keywords | None = None,
        before: int = 0,
    ) -> tuple[Hit, ...]:
        """The first k that are still there; the next ones take the places of those that are gone by now.

        Ranks count on from those `before`; `ranks` are those that they had as retrieved.
        """
        hits: list[Hit] = []
        said = keywords or Keywords()
        for start in range(0, len(candidates), k):
            part = candidates[start : start + k]
            records = images_by_id(self.catalog, [c.key for c in part])
            for c in part:
                record = records.get(c.key)
                if record is not None and record.path is not None and len(hits) < k:
                    scores = (c.score, c.retrieval_score, c.rerank_score, c.match_probability)
                    sources = ("vector",) * c.nearest + said.sources(c.key)
                    found = (sources, said.matched(c.key), ranks[c.key])
                    rank = before + len(hits) + 1
                    hits.append(Hit(rank, c.key, record.path, *scores, *found, record.width, record.height))
            if len(hits) == k:
                break
        return tuple(hits)

    def _caption_hits(self, candidates: Sequence[Candidate[int | str]], k: int) -> tuple[CaptionHit, ...]:
        """The first k captions with different words; photographs often share theirs."""
        records = captions_by_id(self.catalog, [c.key for c in candidates if isinstance(c.key, int)])
        hits: dict[str, CaptionHit] = {}
        for c in candidates:
            if isinstance(c.key, int):
                if c.key not in records:
                    continue
                caption_id, text, source = c.key, records[c.key].text, records[c.key].source
            else:
                caption_id, text, source = None, c.key, "bank"
            if text not in hits and len(hits) < k:
                hits[text] = CaptionHit(
                    len(hits) + 1,
                    caption_id,
                    text,
                    source,
                    c.score,
                    c.retrieval_score,
                    c.rerank_score,
                    c.match_probability,
                )
        return tuple(hits.values())


def load_model(catalog: Catalog, model: EncoderRow | None, *, device: str = "auto", workers: int = 1) -> Encoder:
    """Load a model of an index from where it lies; the base model for an index that has none yet.

    Raises:
        ModelError: its directory is not there any more.
        EncoderMismatchError: another model is there now.
        CheckpointError: no usable model is there.
    """
    encoder = load_encoder(model_directory(catalog, model), device=device, workers=workers)
    if model is not None and encoder.fingerprint != model.fingerprint:
        raise catalog.mismatch(model, encoder.name, encoder.fingerprint)
    return encoder


def _ranks(candidates: Sequence[Candidate[int]]) -> dict[int, int]:
    """The places of candidates as they were retrieved, from 1."""
    return {c.key: place for place, c in enumerate(candidates, 1)}


def _count(reach: int, depth: int) -> int:
    """How many nearest images to ask for to show `reach`, and to know whether there are more.

    Beyond `depth` it is the same number for all pages, for an approximate index may find others with each number.
    """
    return depth if reach < depth else max(reach + 1, PAGED)


def _check_numbers(k: int, depth: int, min_probability: float | None, *, rerank: bool) -> None:
    for name, value in (("k", k), ("depth", depth)):
        if not 1 <= value <= 10_000:
            raise QueryError(f"{name} must lie between 1 and 10000, not {value}")
    if min_probability is not None:
        if not 0 <= min_probability <= 1:
            raise QueryError(f"the least probability must lie between 0 and 1, not {min_probability}")
        if not rerank:
            raise QueryError("a least probability needs reranking, which gives the probabilities")


def _unit(vector: Floats) -> Floats:
    return (vector / max(float(np.linalg.norm(vector)), 1e-8)).astype(np.float32)


def _name(image: ImageQuery) -> str:
    return "picture" if isinstance(image, Image.Image) else str(image)
