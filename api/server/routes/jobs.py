"""Folders that may be indexed, and the jobs that do it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, TypeVar

from fastapi import APIRouter, Body, Path, Request, Response

from indexer.catalog.images import count_images_below

from ...contract.jobs import IndexRequest, JobDocument, JobSummary, RootDocument
from ..openapi import errors, header
from ..service import Served
from ..work.jobs import Job

router = APIRouter(prefix="/v1", tags=["indexing"])

Document = TypeVar("Document", JobSummary, JobDocument)

JobId = Annotated[str, Path(pattern="^[0-9a-f]{16}$", description="The id of a job.", examples=["9f86d081884c7d65"])]

BEGUN = {"description": "The job.", "headers": {"Location": header("Where to ask how far it is.")}}


@router.get("/roots", responses=errors(422))
async def roots(request: Request, service: Served) -> list[RootDocument]:
    """The folders that may be indexed, and how many images of each the index shows."""

    def count() -> list[RootDocument]:
        catalog = service.engine.catalog
        known = service.jobs.roots.values()
        return [
            RootDocument(id=root.id, name=root.name, images=count_images_below(catalog, root.path)) for root in known
        ]

    return await service.work.run(request, count)


@router.post("/index", status_code=202, responses=errors(409, 422) | {202: BEGUN})
async def index(service: Served, response: Response, wish: Annotated[IndexRequest, Body()]) -> JobDocument:
    """Begin to index some folders, or all that are configured; unchanged files are not opened again."""
    job = service.jobs.start(wish.roots, prune=wish.prune)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return _described(JobDocument, job)


@router.get("/jobs", responses=errors(422))
async def jobs(service: Served) -> list[JobSummary]:
    """The last hundred jobs since the server started, the latest first."""
    return [_described(JobSummary, job) for job in service.jobs.all()]


@router.get("/jobs/{job_id}", responses=errors(404, 422))
async def job(service: Served, job_id: JobId) -> JobDocument:
    """How far a job is, and what it did."""
    return _described(JobDocument, service.jobs.get(job_id))


@router.delete("/jobs/{job_id}", status_code=202, responses=errors(404, 422))
async def cancel(service: Served, job_id: JobId) -> JobDocument:
    """Cancel a job: it ends when the batch in flight is committed. One that has ended stays as it is."""
    found = service.jobs.get(job_id)
    found.stop.set()
    return _described(JobDocument, found)


def _described(document: type[Document], job: Job) -> Document:
    """A job as a client sees it."""
    values = {name: getattr(job, name) for name in ("id", "prune", "started", "ended", "reason", "failures")}
    progress = job.progress
    report = None if job.report is None else asdict(job.report) | {"failed": len(job.report.failed)}
    values |= asdict(progress) | {"report": report, "roots": [root.id for root in job.roots]}
    values |= {"state": job.state.value, "cancelling": job.active and job.stop.is_set()}
    return document.model_validate(values | {"seconds_left": progress.seconds_left if job.active else None})
