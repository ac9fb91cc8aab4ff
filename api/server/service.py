"""The objects shared by all requests, and the dependency aliases for routes."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated

from fastapi import Depends, Path, Request

from indexer.catalog.facets import Facets
from indexer.duplicates import DuplicateGroup
from indexer.pictures.thumbnails import Thumbnails
from search import SearchEngine

from ..contract.search import LARGEST_ID
from .metrics import Metrics
from .settings import Settings
from .work.answer_cache import AnswerCache
from .work.cursors import Cursors
from .work.jobs import Jobs
from .work.readiness import Readiness
from .work.worker_pool import WorkerPool

CACHED_FACETS = 32  # filters


@dataclass(frozen=True)
class Service:
    """The shared objects of one application."""

    engine: SearchEngine
    settings: Settings
    work: WorkerPool
    jobs: Jobs
    metrics: Metrics
    readiness: Readiness
    cursors: Cursors = field(default_factory=Cursors)
    facets: AnswerCache[Facets] = field(default_factory=lambda: AnswerCache(CACHED_FACETS))
    duplicates: AnswerCache[list[DuplicateGroup]] = field(default_factory=lambda: AnswerCache(1, exclusive=True))

    @cached_property
    def thumbnails(self) -> Thumbnails:
        """The thumbnail cache, in the user's cache folder."""
        return Thumbnails.of_user(self.settings.thumbnail_bytes)


async def _service(request: Request) -> Service:  # async, so that FastAPI does not run it in a thread
    service: Service = request.app.state.service
    return service


Served = Annotated[Service, Depends(_service)]
ImageId = Annotated[int, Path(ge=1, le=LARGEST_ID, description="The id of an indexed image.", examples=[1])]
