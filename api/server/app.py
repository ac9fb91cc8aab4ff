"""The application. Images are served by id, never by a path from a request; no URL is ever fetched."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware

from search import SearchEngine

from . import problems
from .guard import Guard
from .openapi import describe, operation_name
from .routes import explain, images, index, operations, search
from .service import Service
from .settings import Settings
from .work import Work

ZIPPED_FROM = 1000  # bytes; what is less fits into one packet anyway
UNZIPPED = ("image/*", "multipart/byteranges", "application/octet-stream")
"""Pictures, and parts of them, are compressed as they are."""


def create_app(engine: SearchEngine, settings: Settings = Settings()) -> FastAPI:  # noqa: B008  frozen
    """Make the application that answers for one index.

    Args:
        engine: an open index; the application does not close it.
        settings: keys and limits.
    """
    app = FastAPI(
        title="crosslook",
        description=__doc__,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=operation_name,
    )
    app.state.service = Service(engine, settings, Work(settings.threads, settings.waiting))
    app.add_middleware(GZipMiddleware, minimum_size=ZIPPED_FROM, exclude_content_types=UNZIPPED)
    app.add_middleware(Guard, settings=settings)
    problems.install(app)
    for module in (search, images, explain, index, operations):
        app.include_router(module.router)
    describe(app)
    return app
