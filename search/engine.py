"""One query from start to end: encode, retrieve, rerank from stored states."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from PIL import Image

from encoders import Encoder, Floats, ImageFeatures, TextFeatures, caption_bank, load_encoder
from indexer import Catalog, CatalogError, DecodeError, Ids, Kind, VectorIndex, open_image

from .answers import Answer, CaptionAnswer, CaptionHit, Hit
from .errors import ImageNotFoundError, QueryError
from .explain import Explanation
from .keywords import Keywords, look_up
from .merge import retrieve
from .query import Query, check_text, is_unicode, parse
from .rerank import Candidate, reorder, retrieved
from .timing import Stopwatch
from .unwanted import away_from, evidence_against

ImageQuery = Path | int | Image.Image
"""A file, the id of an indexed image, or a picture in memory."""


class SearchEngine:
    """Searches one index. Safe to share between threads; open once, ask often.

    The model loads with the first query that needs it: images like an indexed image need none.
    """

    def __init__(self, catalog: Catalog, load: Callable[[], Encoder]) -> None:
        self.catalog = catalog
        self._load = load
        self._encoder: Encoder | None = None
        self._lock = threading.RLock()
        self._vectors: dict[Kind, VectorIndex] = {}

    @classmethod
    def open(
        cls, path: Path, *, encoder: Encoder | None = None, model: Path | None = None, device: str = "auto"
    ) -> SearchEngine:
        """Open the index in a directory.

        Args:
            path: the index directory.
            encoder: a model that is loaded already.
            model: directory of the model to load; None for the base model.
            device: where to load it, `auto`, `cpu`, `cuda`, …

        Raises:
            IndexNotFoundError, CatalogVersionError, CatalogError: the index cannot be used.
        """
        catalog = Catalog.open(path)
        return cls(catalog, (lambda: load_encoder(model, device=device)) if encoder is None else lambda: encoder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the catalog."""
        self.catalog.close()

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
                self.catalog.check_encoder(encoder.name, encoder.fingerprint)
                self._encoder = encoder
            return self._encoder

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
    ) -> Answer:
        """Find images for a sentence.

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
        with watch.stage("keywords"):
            found = look_up(self.catalog, query, encoder.strangeness, len(index)) if keywords else Keywords()
        with watch.stage("retrieve"):
            allowed = self._allowed(where)
            close = depth if rerank else k
            vector = away_from(features.vectors, unwanted.vectors)
            candidates, first = retrieve(index, vector, found, depth=close, count=max(k, close), allowed=allowed)
        if rerank:
            with watch.stage("rerank"):
                candidates = self._rerank_images(candidates, features, first, unwanted)
        if min_probability is not None:
            candidates = [c for c in candidates if (c.match_probability or 0.0) >= min_probability]
        return Answer(query.text, self._hits(candidates[:k], found), watch.milliseconds(), query.without)

    def similar_images(self, image: ImageQuery, *, k: int = 10, where: Sequence[str] = ()) -> Answer:
        """Find images like an image, itself left out.

        Raises:
            QueryError: no such image, or not an image.
        """
        watch = Stopwatch()
        _check_numbers(k, 1, None, rerank=False)
        with watch.stage("encode"):
            vector, _, own = self._features(image)
        with watch.stage("load"):
            index = self._index(Kind.IMAGE)
        with watch.stage("retrieve"):
            scores, ids = index.search(vector[None], k + 1, allowed=self._allowed(where))
            candidates = [c for c in retrieved(ids[0], scores[0]) if c.key != own][:k]
        return Answer(_name(image), self._hits(candidates), watch.milliseconds())

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

        They come from the index's own captions; where it has none, from the bank that ships with the base model,
        which is embedded once and kept.

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
            encoder = self.encoder
        with watch.stage("encode"):
            vector, regions, _ = self._features(image)
        with watch.stage("bank"):
            allowed = self._candidate_captions()
            extra = self._given(bank or ())
        with watch.stage("retrieve"):
            wanted = max(k, depth if rerank else 0)
            scores, ids = self._index(Kind.CAPTION).search(vector[None], wanted, allowed=allowed)
            stored: list[Candidate[int | str]] = [
                Candidate(c.key, c.retrieval_score) for c in retrieved(ids[0], scores[0])
            ]
            given: list[Candidate[int | str]] = [Candidate(t, float(v @ vector)) for t, (v, _) in extra.items()]
            candidates = sorted(stored + given, key=lambda c: -c.retrieval_score)[:wanted]
        if rerank and candidates:
            with watch.stage("rerank"):
                texts = self._caption_features([c.key for c in candidates[:depth]], extra)
                picture = ImageFeatures(vector[None], regions[None])
                candidates = reorder(candidates, encoder.match_captions(picture, texts))
        return CaptionAnswer(_name(image), self._caption_hits(candidates, k), watch.milliseconds())

    def explain(self, image: ImageQuery, text: str) -> Explanation:
        """Show where in an image each word of a sentence is seen.

        Raises:
            QueryError: no such image, not an image, or an unusable sentence.
        """
        query = check_text(text)
        _, regions, _ = self._features(image)
        attention = self.encoder.attend(query, regions)
        return Explanation(attention.words, attention.weights, self._picture(image))

    def image_path(self, image_id: int) -> Path:
        """Where an indexed image lies.

        Raises:
            QueryError: no such image, or all its files are gone.
        """
        record = self.catalog.images([image_id]).get(image_id)
        if record is None:
            raise ImageNotFoundError(f"no image has the id {image_id}")
        if record.path is None:
            raise ImageNotFoundError(
                f"the files of image {image_id} are missing; index their folder again when they are back"
            )
        return record.path

    def _index(self, kind: Kind) -> VectorIndex:
        """The vectors of a kind, loaded anew when the catalog has changed since."""
        stamp = self.catalog.vector_stamp(kind)
        with self._lock:
            if kind not in self._vectors or self._vectors[kind].stamp != stamp:
                self._vectors[kind] = VectorIndex.open(self.catalog, kind)
            return self._vectors[kind]

    def _allowed(self, where: Sequence[str]) -> Ids | None:
        """Ids to choose among: what the filters let through, and nothing whose files are gone."""
        allowed = self.catalog.image_ids_where(where) if where else None
        if self.catalog.missing_count():
            present = self.catalog.present_image_ids()
            allowed = present if allowed is None else np.intersect1d(allowed, present)
        return allowed

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
                vectors, regions = self.catalog.features(Kind.IMAGE, [image_id])
            except CatalogError as exc:
                raise ImageNotFoundError(f"no image has the id {image_id}") from exc
            return vectors[0], regions[0], image_id
        features = self.encoder.encode_images(self.encoder.prepare(self._picture(image))[None])
        return features.vectors[0], features.regions[0], None

    def _indexed(self, path: Path) -> int | None:
        try:
            status = path.stat()
        except OSError as exc:
            raise ImageNotFoundError(f"no such image: {path}") from exc
        return self.catalog.image_id_for(Path(os.path.abspath(path)), size=status.st_size, mtime_ns=status.st_mtime_ns)

    def _picture(self, image: ImageQuery) -> Image.Image:
        if isinstance(image, Image.Image):
            return image if image.mode == "RGB" else image.convert("RGB")
        path = self.image_path(image) if isinstance(image, int) else image
        try:
            return open_image(path, at_least=1024)
        except DecodeError as exc:
            raise QueryError(f"{path}: {exc}") from exc

    def _rerank_images(
        self, candidates: list[Candidate[int]], text: TextFeatures, depth: int, unwanted: TextFeatures
    ) -> list[Candidate[int]]:
        if not candidates:
            return candidates
        vectors, regions = self.catalog.features(Kind.IMAGE, [c.key for c in candidates[:depth]])
        pictures = ImageFeatures(vectors, np.stack(regions))
        matches = self.encoder.match_images(text, pictures)
        evidence = np.array([c.evidence for c in candidates[:depth]], np.float32)
        evidence += evidence_against(self.encoder, unwanted, pictures)
        return reorder(candidates, matches.with_evidence(evidence))

    def _caption_features(self, keys: Sequence[int | str], extra: dict[str, tuple[Floats, Floats]]) -> TextFeatures:
        """Of stored captions by their ids, and of lines that came with the query by their text."""
        ids = [key for key in keys if isinstance(key, int)]
        stored = dict(zip(ids, zip(*self.catalog.features(Kind.CAPTION, ids), strict=True), strict=True))
        both = [stored[key] if isinstance(key, int) else extra[key] for key in keys]
        return TextFeatures(np.stack([vector for vector, _ in both]), tuple(states for _, states in both))

    def _candidate_captions(self) -> Ids | None:
        """The index's own captions, or where it has none the bank, embedded on first use; None for all there are."""
        if self.catalog.caption_count(bank=False):
            return self.catalog.caption_ids(bank=False) if self.catalog.caption_count(bank=True) else None
        bank = set(caption_bank())
        with self._lock:
            if self.catalog.caption_count(bank=True) < len(bank):  # none yet, or cut short by an earlier version
                there = self.catalog.captions(self.catalog.caption_ids(bank=True).tolist())
                missing = sorted(bank - {record.text for record in there.values()}, key=len)
                self.catalog.use_encoder(self.encoder.name, self.encoder.fingerprint, self.encoder.dimension)
                found = self._given(missing)
                vectors, tokens = zip(*found.values(), strict=True)
                self.catalog.add_bank(list(found), TextFeatures(np.stack(vectors), tokens))  # whole, or not at all
        return None

    def _given(self, bank: Sequence[str]) -> dict[str, tuple[Floats, Floats]]:
        """Vector and token states of each line of a bank that came with the query."""
        lines = list(dict.fromkeys(line.strip() for line in bank if line.strip() and is_unicode(line)))
        found: dict[str, tuple[Floats, Floats]] = {}
        for start in range(0, len(lines), 256):
            part = lines[start : start + 256]
            features = self.encoder.encode_texts(part)
            found |= dict(zip(part, zip(features.vectors, features.tokens, strict=True), strict=True))
        return found

    def _hits(self, candidates: Sequence[Candidate[int]], keywords: Keywords = Keywords()) -> tuple[Hit, ...]:  # noqa: B008  frozen
        records = self.catalog.images([c.key for c in candidates])
        return tuple(
            Hit(
                rank,
                c.key,
                records[c.key].path,
                c.score,
                c.retrieval_score,
                c.rerank_score,
                c.match_probability,
                ("vector",) * c.nearest + keywords.sources(c.key),
                keywords.matched(c.key),
            )
            for rank, c in enumerate(candidates, start=1)
            if c.key in records
        )

    def _caption_hits(self, candidates: Sequence[Candidate[int | str]], k: int) -> tuple[CaptionHit, ...]:
        """The first k captions with different words; photographs often share theirs."""
        records = self.catalog.captions([c.key for c in candidates if isinstance(c.key, int)])
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
