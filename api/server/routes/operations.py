"""Health, readiness and metrics endpoints."""

from __future__ import annotations

from fastapi import APIRouter, Response

from ...contract.search import Status
from ..metrics import CONTENT_TYPE
from ..openapi import errors
from ..problems import problem
from ..service import Served

router = APIRouter(tags=["operations"])

TEXT = {
    "content": {"text/plain": {"schema": {"type": "string"}}},
    "description": "Metrics in the Prometheus text format.",
}


@router.get("/healthz", responses=errors())
async def alive() -> Status:
    """Report that the process is alive; checks nothing else."""
    return Status(status="ok")


@router.get("/readyz", response_model=Status, responses=errors())
def ready(service: Served) -> Status | Response:
    """Report whether model and index are loaded and the catalog is readable; never waits for searches."""
    reason = service.readiness.fault()
    return Status(status="ready") if reason is None else problem(503, reason, name="not-ready")


@router.get("/metrics", response_class=Response, responses=errors() | {200: TEXT})
def metrics(service: Served) -> Response:
    """Return metrics for Prometheus."""
    return Response(service.metrics.text(), media_type=CONTENT_TYPE)
