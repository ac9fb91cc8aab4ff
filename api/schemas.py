"""What requests and responses look like; OpenAPI is made from these."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

LARGEST_ID = 2**63 - 1


class SearchRequest(BaseModel):
    """Images for a sentence."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(description="What to look for.", examples=["two dogs running through snow"])
    k: int = Field(10, ge=1, le=1000, description="How many hits at most.")
    depth: int = Field(100, ge=1, le=1000, description="How many candidates the reranker looks at.")
    rerank: bool = True
    where: list[str] = Field([], max_length=20, description="Filters, all of which must hold: 'width >= 1000'.")
    min_probability: float | None = Field(None, ge=0, le=1, description="Leave out less likely hits.")


class ImageHit(BaseModel):
    """An image that was found; its picture is at `/v1/images/{image_id}/file`."""

    rank: int
    image_id: int
    path: str | None
    score: float = Field(description="Orders the hits: the rerank score where there is one.")
    retrieval_score: float = Field(description="Cosine, [-1, 1].")
    rerank_score: float | None
    match_probability: float | None = Field(description="Calibrated, [0, 1].")


class SearchResponse(BaseModel):
    """Images, best first, and the milliseconds of each stage."""

    query: str
    hits: list[ImageHit]
    timings_ms: dict[str, float]


class CaptionFound(BaseModel):
    """A caption that was found; scores as in `ImageHit`."""

    rank: int
    caption_id: int | None
    text: str
    source: str
    score: float
    retrieval_score: float
    rerank_score: float | None
    match_probability: float | None


class CaptionsResponse(BaseModel):
    """Captions, best first, and the milliseconds of each stage."""

    query: str
    hits: list[CaptionFound]
    timings_ms: dict[str, float]


class OwnCaption(BaseModel):
    """A caption that came with an image."""

    id: int
    text: str
    source: str


class ImageResponse(BaseModel):
    """What the index knows about an image. Width and height in pixels, upright."""

    id: int
    path: str | None = Field(description="None while its files are missing.")
    width: int
    height: int
    format: str
    taken_at: str | None
    captions: list[OwnCaption]


class Health(BaseModel):
    """The server answers."""

    status: str
    images: int


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
