"""For those who run the server, and the programs that watch it."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from ..metrics import CONTENT_TYPE
from ..problems import problem
from ..schemas import Problem, Status
from ..service import Served

router = APIRouter(tags=["operations"])

NOT_READY = {"model": Problem, "content": {"application/problem+json": {}}, "description": "Not ready; says why."}


@router.get("/healthz")
async def alive() -> Status:
    """The server runs. Looks at nothing."""
    return Status(status="ok")


@router.get("/readyz", response_model=Status, responses={503: NOT_READY})
def ready(service: Served) -> Status | Response:
    """Model and index are loaded, and the catalog can be read. Does not wait where searches do."""
    fault = service.readiness.fault()
    return Status(status="ready") if fault is None else problem(503, fault, name="not-ready")


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(service: Served) -> Response:
    """Counts and times for Prometheus."""
    return Response(service.metrics.text(), media_type=CONTENT_TYPE)
