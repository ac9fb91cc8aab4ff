"""What requests and responses look like; OpenAPI is made from these."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from .jobs import Job

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


class Status(BaseModel):
    """How the server is; where it is not well, a problem says why."""

    status: Literal["ok", "ready"]


class RootDocument(BaseModel):
    """A folder that may be indexed; where it lies is the server's own business."""

    id: str = Field(examples=["2c26b46b68ff"])
    name: str = Field(description="The last part of its path.", examples=["photos"])
    images: int = Field(description="Images of the index that lie in it, missing ones left out.")


class IndexRequest(BaseModel):
    """What to index."""

    model_config = ConfigDict(extra="forbid")

    roots: list[Annotated[str, Field(max_length=64)]] | None = Field(
        None, min_length=1, max_length=1000, description="Ids from `/v1/roots`; null for all."
    )
    prune: bool = Field(default=False, description="Forget images whose files are gone for good.")


class IndexCounts(BaseModel):
    """What a job did, in files; as `crosslook index --json` counts."""

    model_config = ConfigDict(from_attributes=True)

    seen: int
    added: int
    updated: int
    unchanged: int
    duplicates: int
    missing: int
    removed: int
    completed: int = Field(description="Images and captions known before that the model had not embedded yet.")
    captions_added: int
    seconds: float
    failed: int


class JobFailure(BaseModel):
    """A file that could not be indexed."""

    model_config = ConfigDict(from_attributes=True)

    root: str | None = Field(description="The id of its root.")
    path: str = Field(description="From its root.", examples=["2024/IMG_2034.jpg"])
    reason: str


class JobSummary(BaseModel):
    """An indexing job. Times are UTC."""

    id: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    cancelling: bool = Field(description="Whether it was told to stop, and has not yet.")
    roots: list[str] = Field(description="Ids of the folders.")
    prune: bool
    phase: str | None = Field(
        description="`scan`, `images`, `captions`, …; None before the start.", examples=["images"]
    )
    done: int = Field(description="Items of this phase.")
    total: int | None
    rate: float | None = Field(description="Items a second in this phase.")
    seconds_left: float | None = Field(description="In this phase, at this rate.")
    started: datetime | None
    ended: datetime | None
    reason: str | None = Field(description="Why it failed.")
    report: IndexCounts | None = Field(description="None until the job has ended.")

    @classmethod
    def of(cls, job: Job) -> Self:
        """As a client sees a job."""
        values = {name: getattr(job, name) for name in ("id", "prune", "started", "ended", "reason", "failures")}
        progress = job.progress
        report = None if job.report is None else asdict(job.report) | {"failed": len(job.report.failed)}
        values |= asdict(progress) | {"report": report, "roots": [root.id for root in job.roots]}
        values |= {"state": job.state.value, "cancelling": job.active and job.stop.is_set()}
        return cls.model_validate(values | {"seconds_left": progress.seconds_left if job.active else None})


class JobDocument(JobSummary):
    """An indexing job with the files that it could not read."""

    failures: list[JobFailure] = Field(description="The first thousand; `report.failed` counts all.")


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
