"""For those who run the server."""

from __future__ import annotations

from fastapi import APIRouter, Request

from ..openapi import errors
from ..schemas import Health
from ..service import Served

router = APIRouter(tags=["operations"])


@router.get("/healthz", responses=errors(503))
async def health(request: Request, service: Served) -> Health:
    """The server answers, and the index opens."""
    stats = await service.work.run(request, service.engine.catalog.stats)
    return Health(status="ok", images=stats.images)
