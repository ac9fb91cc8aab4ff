"""The answers of a search. `as_dict` is the JSON that the command line and the HTTP API print."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Hit:
    """An image of an answer.

    - `score` orders the hits: the rerank score, or the retrieval score beyond the reranked depth.
    - `retrieval_score` is the cosine between the image and the query, in [-1, 1]. `retrieval_rank` is the rank before
      reranking, from 1.
    - `rerank_score` is comparable within one answer. It takes everything in the query into account: the sentence, the
      query's picture, keywords and excluded words.
    - `match_probability` is the calibrated probability, in [0, 1], that the sentence alone describes the image. A
      picture in the query changes the order but not the probability; keywords that the image's names and captions
      contain raise it; excluded words can only lower it. So with a picture or excluded words, probabilities need not
      fall from hit to hit. Like the rerank score it is None beyond the reranked depth.
    - `sources` says how the image was found: `vector` if it is among the nearest, `name` and `caption` if a file or
      folder name or a caption contains words of the query, which are `matched`.
    - `path` is None for an image whose files are all gone. `width` and `height` are pixels of the upright picture.
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

    `shown` are the ids of the hits so far: the next page is the best of the others, whatever was deleted meanwhile.
    `top` is the highest id when the first page was made, so that images added since change nothing. `model` is the
    fingerprint of the model that answers all pages.
    """

    shown: tuple[int, ...]
    top: int
    model: str


@dataclass(frozen=True)
class Answer:
    """Images for a query, best first, milliseconds by stage, and the words that were excluded.

    `following` is where the next page begins, None on the last page.
    """

    query: str
    hits: tuple[Hit, ...]
    timings_ms: dict[str, float]
    without: tuple[str, ...] = ()
    following: PageStart | None = None

    def as_dict(self) -> dict[str, Any]:
        """The answer as JSON types."""
        hits = [hit.as_dict() for hit in self.hits]
        document: dict[str, Any] = {"query": self.query, "hits": hits, "timings_ms": self.timings_ms}
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
