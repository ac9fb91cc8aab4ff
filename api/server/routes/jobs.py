"""Roots and indexing jobs."""

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

JobId = Annotated[str, Path(pattern="^[0-9a-f]{16}$", description="Id of a job.", examples=["9f86d081884c7d65"])]

STARTED = {"description": "The job.", "headers": {"Location": header("URL of the job.")}}


@router.get("/roots", responses=errors(422))
async def roots(request: Request, service: Served) -> list[RootDocument]:
    """List the folders that may be indexed, with the number of their indexed images."""

    def count() -> list[RootDocument]:
        catalog = service.engine.catalog
        return [
            RootDocument(id=root.id, name=root.name, images=count_images_below(catalog, root.path))
            for root in service.jobs.roots.values()
        ]

    return await service.work.run(request, count)


@router.post("/index", status_code=202, responses=errors(409, 422) | {202: STARTED})
async def index(
    request: Request, service: Served, response: Response, body: Annotated[IndexRequest, Body()]
) -> JobDocument:
    """Start indexing some roots, or all; unchanged files are not opened again."""
    job = service.jobs.start(body.roots, prune=body.prune)
    response.headers["Location"] = f"{request.scope['root_path']}/v1/jobs/{job.id}"
    return _job_document(JobDocument, job)


@router.get("/jobs", responses=errors(422))
async def jobs(service: Served) -> list[JobSummary]:
    """List the last hundred jobs since the server started, latest first."""
    return [_job_document(JobSummary, job) for job in service.jobs.all()]


@router.get("/jobs/{job_id}", responses=errors(404, 422))
async def job(service: Served, job_id: JobId) -> JobDocument:
    """Return the state, progress and report of a job."""
    return _job_document(JobDocument, service.jobs.get(job_id))


@router.delete("/jobs/{job_id}", status_code=202, responses=errors(404, 422))
async def cancel(service: Served, job_id: JobId) -> JobDocument:
    """Cancel a job once the current batch is committed; no effect on a job that has ended."""
    job = service.jobs.get(job_id)
    job.stop.set()
    return _job_document(JobDocument, job)


def _job_document(document: type[Document], job: Job) -> Document:
    """The response document of a job."""
    values = {name: getattr(job, name) for name in ("id", "prune", "started", "ended", "reason", "failures")}
    progress = job.progress
    report = None if job.report is None else asdict(job.report) | {"failed": len(job.report.failed)}
    values |= asdict(progress) | {"report": report, "roots": [root.id for root in job.roots]}
    values |= {"state": job.state.value, "cancelling": job.active and job.stop.is_set()}
    return document.model_validate(values | {"seconds_left": progress.seconds_left if job.active else None})
