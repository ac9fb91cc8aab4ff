"""The application. Images are served by id, never by a path from a request; no URL is ever fetched."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from search import SearchEngine

from . import problems
from .guard import Guard
from .routes import images, operations, search
from .schemas import Problem
from .service import Service
from .settings import Settings
from .work import Work

ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "content": {"application/problem+json": {}}} for status in (401, 404, 413, 422, 503)
}


def create_app(engine: SearchEngine, settings: Settings = Settings()) -> FastAPI:  # noqa: B008  frozen
    """Make the application that answers for one index.

    Args:
        engine: an open index; the application does not close it.
        settings: keys and limits.
    """
    app = FastAPI(title="crosslook", description=__doc__, docs_url=None, redoc_url=None, responses=ERRORS)
    app.state.service = Service(engine, settings, Work(settings.threads, settings.waiting))
    app.add_middleware(Guard, settings=settings)
    problems.install(app)
    for module in (search, images, operations):
        app.include_router(module.router)
    return app
