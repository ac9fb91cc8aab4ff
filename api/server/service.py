"""What every request may use, and the shorthands by which routes ask for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated

from fastapi import Depends, Path, Request

from indexer import DuplicateGroup, Facets, Thumbnails
from search import SearchEngine

from .cursors import Cursors
from .jobs import Jobs
from .kept import Kept
from .metrics import Metrics
from .readiness import Readiness
from .schemas import LARGEST_ID
from .settings import Settings
from .work import Work

KEPT_FACETS = 32  # filters whose counts are kept


@dataclass(frozen=True)
class Service:
    """One for an application."""

    engine: SearchEngine
    settings: Settings
    work: Work
    jobs: Jobs
    metrics: Metrics
    readiness: Readiness
    cursors: Cursors = field(default_factory=Cursors)
    facets: Kept[Facets] = field(default_factory=lambda: Kept(KEPT_FACETS))
    duplicates: Kept[list[DuplicateGroup]] = field(default_factory=lambda: Kept(1, alone=True))

    @cached_property
    def thumbnails(self) -> Thumbnails:
        """Thumbnails, kept in the user's cache."""
        return Thumbnails.of_user(self.settings.thumbnail_bytes)


async def _service(request: Request) -> Service:  # else FastAPI would take a thread for it
    service: Service = request.app.state.service
    return service


Served = Annotated[Service, Depends(_service)]
ImageId = Annotated[int, Path(ge=1, le=LARGEST_ID, description="The id of an indexed image.", examples=[1])]
