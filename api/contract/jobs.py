"""Requests and responses of indexing jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from .search import Body


class RootDocument(BaseModel):
    """A folder that may be indexed; its path on the server is not disclosed."""

    id: str = Field(description="Id of the root, for `roots` of a job.", examples=["2c26b46b68ff"])
    name: str = Field(description="Last component of its path.", examples=["photos"])
    images: int = Field(description="Indexed images in it, without missing ones.", examples=[7000])


class IndexRequest(Body):
    """Which roots to index, and how."""

    model_config = ConfigDict(json_schema_extra={"examples": [{}, {"prune": True}]})

    roots: list[Annotated[str, Field(max_length=64, json_schema_extra={"format": "root"})]] | None = Field(
        None,
        min_length=1,
        max_length=1000,
        description="Root ids from `/v1/roots`; null for all roots.",
        examples=[None],
    )
    prune: bool = Field(
        default=False, description="Also remove images whose files no longer exist.", examples=[False, True]
    )


class LeftOutCounts(BaseModel):
    """What the walk left out. A folder is counted, not what is in it, because it is not entered."""

    model_config = ConfigDict(from_attributes=True)

    folders: dict[str, int] = Field(
        description="Folders of other programs (thumbnails, bins, caches), by name.", examples=[{"@eaDir": 12}]
    )
    patterns: dict[str, int] = Field(
        description="Folders and image files that are excluded, by pattern.", examples=[{"private/": 1}]
    )
    nomedia: int = Field(description="Folders with a `.nomedia` file.", examples=[1])
    hidden: int = Field(description="Folders and image files whose name begins with a dot.", examples=[2])
    links: int = Field(description="Other names of files and folders that are indexed already.", examples=[0])
    raw: int = Field(description="Raw files beside a JPEG or HEIC of the same name.", examples=[310])
    kinds: dict[str, int] = Field(
        description="Pictures and videos of kinds that are not read, by suffix.", examples=[{".mov": 12, ".svg": 3}]
    )


class IndexCounts(BaseModel):
    """What a job did; the same counts as `crosslook index --json`."""

    model_config = ConfigDict(from_attributes=True)

    seen: int = Field(description="Image files found.", examples=[7000])
    added: int = Field(description="New files.", examples=[12])
    updated: int = Field(description="Files whose content changed.", examples=[1])
    unchanged: int = Field(description="Unchanged files, which are not opened again.", examples=[6980])
    duplicates: int = Field(description="Files whose content was already indexed.", examples=[3])
    missing: int = Field(description="Indexed files that no longer exist.", examples=[0])
    excluded: int = Field(
        description="Indexed files that are left out now; they are hidden until they no longer are.", examples=[0]
    )
    left_out: LeftOutCounts = Field(description="What was left out of the folders, and why.")
    removed: int = Field(description="Images removed from the index.", examples=[0])
    completed: int = Field(
        description="Previously indexed images and captions that the model had not embedded yet.", examples=[0]
    )
    captions_added: int = Field(description="New captions.", examples=[0])
    seconds: float = Field(description="Duration in seconds.", examples=[3.2])
    failed: int = Field(description="Files that could not be indexed.", examples=[4])


class JobFailure(BaseModel):
    """A file that could not be indexed."""

    model_config = ConfigDict(from_attributes=True)

    root: str | None = Field(description="Id of its root.", examples=["2c26b46b68ff"])
    path: str = Field(description="Path relative to its root.", examples=["2024/IMG_2034.jpg"])
    reason: str = Field(description="Why it could not be indexed.", examples=["damaged or truncated"])


class JobSummary(BaseModel):
    """An indexing job. Times are UTC."""

    id: str = Field(description="Id of the job, for `/v1/jobs/{job_id}`.", examples=["9f86d081884c7d65"])
    state: Literal["queued", "running", "done", "failed", "cancelled"] = Field(
        description="State of the job.", examples=["running"]
    )
    cancelling: bool = Field(
        description="Whether cancellation was requested but the job has not stopped yet.", examples=[False]
    )
    roots: list[str] = Field(description="Ids of the roots being indexed.", examples=[["2c26b46b68ff"]])
    prune: bool = Field(description="Whether images whose files no longer exist are removed.", examples=[False])
    phase: str | None = Field(
        description="`scan`, `images`, `captions`, `vectors` (building the vector index), …; null before the start.",
        examples=["images"],
    )
    done: int = Field(description="Items finished in this phase.", examples=[320])
    total: int | None = Field(description="All items of this phase; null until known.", examples=[7000])
    rate: float | None = Field(description="Items per second in this phase.", examples=[81.5])
    seconds_left: float | None = Field(description="Estimated seconds left in this phase.", examples=[82.0])
    started: datetime | None = Field(description="Start time; null while queued.", examples=["2026-01-31T10:00:00Z"])
    ended: datetime | None = Field(
        description="End time; null until the job has ended.", examples=["2026-01-31T10:01:22Z"]
    )
    reason: str | None = Field(description="Why the job failed; else null.", examples=["the disk is full"])
    report: IndexCounts | None = Field(description="Counts; null until the job has ended.")


class JobDocument(JobSummary):
    """An indexing job with the files it could not index."""

    failures: list[JobFailure] = Field(description="The first 1,000 failures; `report.failed` counts all.")
