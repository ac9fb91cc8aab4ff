"""What every request may use, and the shorthands by which routes ask for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Request

from search import SearchEngine

from .jobs import Jobs
from .metrics import Metrics
from .readiness import Readiness
from .schemas import LARGEST_ID
from .settings import Settings
from .work import Work


@dataclass(frozen=True)
class Service:
    """One for an application."""

    engine: SearchEngine
    settings: Settings
    work: Work
    jobs: Jobs
    metrics: Metrics
    readiness: Readiness


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


Served = Annotated[Service, Depends(_service)]
ImageId = Annotated[int, Path(ge=1, le=LARGEST_ID, description="The id of an indexed image.")]
