"""For those who run the server, and the programs that watch it."""

from __future__ import annotations

from fastapi import APIRouter, Response

from ...contract.search import Status
from ..metrics import CONTENT_TYPE
from ..openapi import errors
from ..problems import problem
from ..service import Served

router = APIRouter(tags=["operations"])

TEXT = {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "In Prometheus's own format."}


@router.get("/healthz", responses=errors())
async def alive() -> Status:
    """The server runs. Looks at nothing."""
    return Status(status="ok")


@router.get("/readyz", response_model=Status, responses=errors())
def ready(service: Served) -> Status | Response:
    """Model and index are loaded, and the catalog can be read. Does not wait where searches do."""
    fault = service.readiness.fault()
    return Status(status="ready") if fault is None else problem(503, fault, name="not-ready")


@router.get("/metrics", response_class=Response, responses=errors() | {200: TEXT})
def metrics(service: Served) -> Response:
    """Counts and times for Prometheus."""
    return Response(service.metrics.text(), media_type=CONTENT_TYPE)
