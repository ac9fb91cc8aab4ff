"""Search images by text or by example. Images are served by id, never by a path; the server fetches no URLs."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from anyio.to_thread import run_sync
from fastapi import Depends, FastAPI
from fastapi.security import HTTPBearer
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware

from search import SearchEngine

from . import problems
from .gate.guard import Guard
from .gate.head import Head
from .gate.headers import SecurityHeaders
from .gate.keys import KeyStore
from .gate.prefix import Prefix
from .gate.request_log import RequestLog
from .gate.strict_requests import content_type, parameters
from .metrics import Metrics, StateCollector
from .openapi import describe, operation_name
from .routes import explain, images, index, jobs, operations, page, search
from .service import Service
from .settings import Settings
from .work.jobs import Jobs
from .work.readiness import Readiness
from .work.worker_pool import WorkerPool

BEARER = HTTPBearer(auto_error=False, description="An API key, made with: crosslook keys add NAME")
"""Declares API keys in the OpenAPI document; the guard checks them before routing."""

EXPOSED_HEADERS = [
    "ETag",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-ID",
]
"""Response headers that pages of other origins may read."""

GZIP_MINIMUM = 1000  # bytes; smaller responses fit into one packet anyway
GZIP_LEVEL = 4  # of 9: higher levels block the event loop much longer to save another 10 %
NOT_GZIPPED = ("image/*", "multipart/byteranges", "application/octet-stream")
"""Images and byte ranges of them are compressed already."""


logger = logging.getLogger("crosslook")


def create_app(
    engine: SearchEngine,
    settings: Settings = Settings(),  # noqa: B008  frozen
    prepare: Callable[[], None] | None = None,
) -> FastAPI:
    """Create the application that serves one index.

    Args:
        engine: an open engine; the application does not close it.
        settings: keys and limits.
        prepare: loads what the first request needs; called in a thread at startup. The application is ready once it has
            returned.
    """
    dependencies = [Depends(content_type), Depends(parameters), *([Depends(BEARER)] if settings.needs_keys else [])]
    app = FastAPI(
        title="crosslook",
        description=__doc__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # no route ends with one, and the redirect would lose the prefix
        dependencies=dependencies,
        generate_unique_id_function=operation_name,
        lifespan=_lifespan,
    )
    app.state.service = service = _service(engine, settings, prepare)
    app.add_middleware(
        GZipMiddleware, minimum_size=GZIP_MINIMUM, compresslevel=GZIP_LEVEL, exclude_content_types=NOT_GZIPPED
    )
    app.add_middleware(Head)
    _protect(app, service, KeyStore(engine.catalog.directory))
    problems.install(app)
    for module in (search, images, explain, index, jobs, operations, page):
        app.include_router(module.router)
    describe(app)
    return app


def _protect(app: FastAPI, service: Service, keys: KeyStore) -> None:
    """Add the middleware before the routes; the last added is outermost."""
    settings = service.settings
    app.add_middleware(Guard, settings=settings, keys=keys)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "HEAD", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "If-None-Match", "Range", "X-Request-ID"],
            expose_headers=EXPOSED_HEADERS,
        )
    app.add_middleware(RequestLog, metrics=service.metrics)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(Prefix, root_path=settings.root_path)


def _service(engine: SearchEngine, settings: Settings, prepare: Callable[[], None] | None) -> Service:
    metrics = Metrics()

    def observe(outcome: object) -> None:
        timings = getattr(outcome, "timings_ms", None)
        if timings is not None:
            metrics.stages(timings)
            logger.debug("answered", extra={"query": getattr(outcome, "query", None)})

    work = WorkerPool(settings.threads, settings.waiting, observe)
    jobs, readiness = Jobs(engine, settings.roots), Readiness(engine.catalog, prepare)
    metrics.watch(StateCollector(engine, work, jobs, readiness))
    return Service(engine, settings, work, jobs, metrics, readiness)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Load in the background; at shutdown, wait until the running job has committed its batch."""
    service: Service = app.state.service
    service.readiness.start()
    try:
        yield
    finally:
        service.readiness.close()
        await run_sync(service.jobs.close)
