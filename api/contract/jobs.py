"""What requests about indexing ask for and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from .search import Body


class RootDocument(BaseModel):
    """A folder that may be indexed; where it lies is the server's own business."""

    id: str = Field(description="What to name it by.", examples=["2c26b46b68ff"])
    name: str = Field(description="The last part of its path.", examples=["photos"])
    images: int = Field(description="Images of the index that lie in it, missing ones left out.", examples=[7000])


class IndexRequest(Body):
    """What to index."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}, {"prune": True}]})

    roots: list[Annotated[str, Field(max_length=64, json_schema_extra={"format": "root"})]] | None = Field(
        None, min_length=1, max_length=1000, description="Ids from `/v1/roots`; null for all.", examples=[None]
    )
    prune: bool = Field(
        default=False, description="Forget images whose files are gone for good.", examples=[False, True]
    )


class IndexCounts(BaseModel):
    """What a job did, in files; as `crosslook index --json` counts."""

    model_config = ConfigDict(from_attributes=True)

    seen: int = Field(description="Image files found.", examples=[7000])
    added: int = Field(description="New ones.", examples=[12])
    updated: int = Field(description="Those whose content changed.", examples=[1])
    unchanged: int = Field(description="Those that were not opened again.", examples=[6980])
    duplicates: int = Field(description="Those whose content was there already.", examples=[3])
    missing: int = Field(description="Those that are not there any more.", examples=[0])
    removed: int = Field(description="Images that were forgotten.", examples=[0])
    completed: int = Field(
        description="Images and captions known before that the model had not embedded yet.", examples=[0]
    )
    captions_added: int = Field(description="New captions.", examples=[0])
    seconds: float = Field(description="How long it took.", examples=[3.2])
    failed: int = Field(description="Files that could not be indexed.", examples=[4])


class JobFailure(BaseModel):
    """A file that could not be indexed."""

    model_config = ConfigDict(from_attributes=True)

    root: str | None = Field(description="The id of its root.", examples=["2c26b46b68ff"])
    path: str = Field(description="From its root.", examples=["2024/IMG_2034.jpg"])
    reason: str = Field(description="What is wrong with it.", examples=["damaged or truncated"])


class JobSummary(BaseModel):
    """An indexing job. Times are UTC."""

    id: str = Field(description="What to ask `/v1/jobs/{job_id}` for.", examples=["9f86d081884c7d65"])
    state: Literal["queued", "running", "done", "failed", "cancelled"] = Field(
        description="How it stands.", examples=["running"]
    )
    cancelling: bool = Field(description="Whether it was told to stop, and has not yet.", examples=[False])
    roots: list[str] = Field(description="Ids of the folders.", examples=[["2c26b46b68ff"]])
    prune: bool = Field(description="Whether images whose files are gone are forgotten.", examples=[False])
    phase: str | None = Field(
        description="`scan`, `images`, `captions`, `vectors` (their index is built), …; null before the start.",
        examples=["images"],
    )
    done: int = Field(description="Items of this phase.", examples=[320])
    total: int | None = Field(description="Items of this phase in all, once that is known.", examples=[7000])
    rate: float | None = Field(description="Items a second in this phase.", examples=[81.5])
    seconds_left: float | None = Field(description="In this phase, at this rate.", examples=[82.0])
    started: datetime | None = Field(description="Null while it is queued.", examples=["2026-01-31T10:00:00Z"])
    ended: datetime | None = Field(description="Null until then.", examples=["2026-01-31T10:01:22Z"])
    reason: str | None = Field(description="Why it failed.", examples=["the disk is full"])
    report: IndexCounts | None = Field(description="Null until the job has ended.")


class JobDocument(JobSummary):
    """An indexing job with the files that it could not read."""

    failures: list[JobFailure] = Field(description="The first thousand; `report.failed` counts all.")
