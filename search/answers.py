"""The answers of searches. `as_dict` gives the JSON of the command line and the HTTP API."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Hit:
    """An image of an answer.

    - `score` orders the hits: the rerank score, or beyond the reranked depth the retrieval score.
    - `retrieval_score` is the cosine between the image and the query, in [-1, 1]. `retrieval_rank` is the rank before
      reranking, from 1.
    - `rerank_score` is comparable within one answer. It takes everything in the query into account: the sentence, the
      query's picture, keywords and excluded words.
    - `match_probability` is the calibrated probability, in [0, 1], that the sentence alone describes the image. A
      picture in the query changes the order but not the probability; keywords that the image's names, captions and
      annotations contain raise it; excluded words can only lower it. So with a picture or excluded words,
      probabilities need not fall from hit to hit. Like the rerank score it is None beyond the reranked depth.
    - `sources` says how the image was found: `vector` if it is among the nearest, `name` if the name of a file or
      folder contains keywords of the query, `caption` if a caption does, `annotation` if its title, keywords, persons,
      places, … do. `matched` lists these keywords.
    - `path` is None if all files of the image are gone. `width` and `height` are pixels of the upright picture.
    """

    rank: int
    image_id: int
    path: Path | None
    score: float
    retrieval_score: float
    rerank_score: float | None
    match_probability: float | None
    sources: tuple[str, ...]
    matched: tuple[str, ...]
    retrieval_rank: int
    width: int
    height: int

    def as_dict(self) -> dict[str, Any]:
        """The hit as JSON types."""
        lists = {"sources": list(self.sources), "matched": list(self.matched)}
        return asdict(self) | lists | {"path": None if self.path is None else str(self.path)}


@dataclass(frozen=True)
class CaptionHit:
    """A caption of an answer; scores as in `Hit`. `caption_id` is None for a caption that came with the query."""

    rank: int
    caption_id: int | None
    text: str
    source: str
    score: float
    retrieval_score: float
    rerank_score: float | None
    match_probability: float | None

    def as_dict(self) -> dict[str, Any]:
        """The hit as JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class PageStart:
    """Where the next page of an answer begins.

    `shown` are the ids of all hits so far; the next page has the best of the others, even if images were deleted
    meanwhile. `top` is the highest id at the time of the first page; images added later are left out. `model` is the
    fingerprint of the model that answers all pages.
    """

    shown: tuple[int, ...]
    top: int
    model: str


@dataclass(frozen=True)
class Answer:
    """Images for a query, best first, milliseconds by stage, and the excluded phrases.

    `describes` says whether match probabilities are those of the words describing the image. Those of pairs without a
    reranker, and of models that earlier versions trained, are those of their being written for it, and lower.
    `no_match` says that all reranked images are too unlikely for a match, those on other pages too; it is false where
    that is not known.
    `following` is where the next page begins; None on the last page.
    """

    query: str
    hits: tuple[Hit, ...]
    timings_ms: dict[str, float]
    without: tuple[str, ...] = ()
    describes: bool = False
    no_match: bool = False
    following: PageStart | None = None

    def as_dict(self) -> dict[str, Any]:
        """The answer as JSON types."""
        hits = [hit.as_dict() for hit in self.hits]
        said = {"describes": self.describes, "no_match": self.no_match}
        document = {"query": self.query, "hits": hits} | said | {"timings_ms": self.timings_ms}
        return document | {"without": list(self.without)} if self.without else document


@dataclass(frozen=True)
class CaptionAnswer:
    """Captions for an image, best first, and milliseconds by stage."""

    query: str
    hits: tuple[CaptionHit, ...]
    timings_ms: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """The answer as JSON types."""
        return {"query": self.query, "hits": [hit.as_dict() for hit in self.hits], "timings_ms": self.timings_ms}
