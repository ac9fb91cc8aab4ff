"""What requests and responses look like; OpenAPI is made from these."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

LARGEST_ID = 2**63 - 1


class SearchRequest(BaseModel):
    """Images for a sentence."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(
        description='What to look for; `-word` and `-"two words"` are taken away.',
        examples=["two dogs running through snow", "a beach -people", "IMG_2034.jpg"],
    )
    image_id: int | None = Field(None, ge=1, le=LARGEST_ID, description="An image of the index to look for as well.")
    without: list[str] = Field(
        [], max_length=20, description="Words to take away, as they stand.", examples=[["people", "a red umbrella"]]
    )
    k: int = Field(10, ge=1, le=1000, description="How many hits at most.")
    depth: int = Field(100, ge=1, le=1000, description="How many candidates the reranker looks at.")
    rerank: bool = True
    keywords: bool = Field(default=True, description="Whether words of file names, folder names and captions count.")
    where: list[str] = Field(
        [],
        max_length=20,
        description="Filters, all of which must hold.",
        examples=[["taken_at >= 2024-01-01 and size > 2MB", "within = 48.1,11.4,48.3,11.8"]],
    )
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
    sources: list[Literal["vector", "name", "caption"]] = Field(
        description="Where the hit comes from: the nearest vectors, a file or folder name, a caption.",
        examples=[["vector", "name"]],
    )
    matched: list[str] = Field(
        description="Words of the query that its names or captions hold.", examples=[["IMG_2034"]]
    )


class SearchResponse(BaseModel):
    """Images, best first, the milliseconds of each stage, and what was taken away."""

    query: str
    hits: list[ImageHit]
    timings_ms: dict[str, float]
    without: list[str] = Field(default_factory=list, description="What the query takes away.")


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
