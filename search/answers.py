"""What a search gives back. `as_dict` is the JSON that the command line and the HTTP API print."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Hit:
    """An image that was found.

    `retrieval_score` is a cosine in [-1, 1]; `rerank_score` is comparable within one answer; `match_probability` is
    calibrated, in [0, 1]. The last two are None for hits beyond the reranked depth; both hold what keywords and words
    taken away add. `score` is what orders the hits: the rerank score where there is one. `path` is None for an image
    whose files are all gone. `sources` says where the hit comes from: `vector` where it is among the nearest, `name`
    and `caption` where words of the query, `matched`, lie in a file or folder name or a caption. `retrieval_rank` is
    the place that it had before reranking, from 1. `width` and `height` are pixels of the upright picture.
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
    """A caption that was found; scores as in `Hit`. `caption_id` is None for a line of a bank given with the query."""

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
class Place:
    """Where the next page of an answer begins: behind so many hits, among the images that were there at first.

    `top` is the highest id of those, so that pictures which are added meanwhile move nothing; `model`, the fingerprint
    of the model that answers all pages.
    """

    offset: int
    top: int
    model: str


@dataclass(frozen=True)
class Answer:
    """Images for a query, best first, the time of each stage in milliseconds, and what was taken away.

    `following` is where the next page begins, None where there is none.
    """

    query: str
    hits: tuple[Hit, ...]
    timings_ms: dict[str, float]
    without: tuple[str, ...] = ()
    following: Place | None = None

    def as_dict(self) -> dict[str, Any]:
        """The answer as JSON types."""
        hits = [hit.as_dict() for hit in self.hits]
        document: dict[str, Any] = {"query": self.query, "hits": hits, "timings_ms": self.timings_ms}
        return document | {"without": list(self.without)} if self.without else document


@dataclass(frozen=True)
class CaptionAnswer:
    """Captions for an image, best first, and the time of each stage in milliseconds."""

    query: str
    hits: tuple[CaptionHit, ...]
    timings_ms: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """The answer as JSON types."""
        return {"query": self.query, "hits": [hit.as_dict() for hit in self.hits], "timings_ms": self.timings_ms}
