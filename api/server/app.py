"""The application. Images are served by id, never by a path from a request; no URL is ever fetched."""

from __future__ import annotations

from fastapi import Depends, FastAPI
from fastapi.security import HTTPBearer
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware

from search import SearchEngine

from . import problems
from .content import content_type
from .guard import Guard
from .headers import SecurityHeaders
from .keys import KeyStore
from .openapi import describe, operation_name
from .routes import explain, images, index, operations, search
from .service import Service
from .settings import Settings
from .work import Work

BEARER = HTTPBearer(auto_error=False, description="An API key, made with: crosslook keys add NAME")
"""Tells OpenAPI that there are keys; the guard asks for them, before any route is looked for."""

TOLD = ["Location", "RateLimit", "RateLimit-Policy", "Retry-After", "WWW-Authenticate", "X-Request-ID"]
"""Headers that pages of other origins may read."""

ZIPPED_FROM = 1000  # bytes; what is less fits into one packet anyway
UNZIPPED = ("image/*", "multipart/byteranges", "application/octet-stream")
"""Pictures, and parts of them, are compressed as they are."""


def create_app(engine: SearchEngine, settings: Settings = Settings()) -> FastAPI:  # noqa: B008  frozen
    """Make the application that answers for one index.

    Args:
        engine: an open index; the application does not close it.
        settings: keys and limits.
    """
    depends = [Depends(content_type), *([Depends(BEARER)] if settings.asks_keys else [])]
    app = FastAPI(
        title="crosslook",
        description=__doc__,
        docs_url=None,
        redoc_url=None,
        dependencies=depends,
        generate_unique_id_function=operation_name,
    )
    app.state.service = Service(engine, settings, Work(settings.threads, settings.waiting))
    app.add_middleware(GZipMiddleware, minimum_size=ZIPPED_FROM, exclude_content_types=UNZIPPED)
    _protect(app, settings, KeyStore(engine.catalog.directory))
    problems.install(app)
    for module in (search, images, explain, index, operations):
        app.include_router(module.router)
    describe(app)
    return app


def _protect(app: FastAPI, settings: Settings, keys: KeyStore) -> None:
    """Put the guard before the routes; what is added last is outermost."""
    app.add_middleware(Guard, settings=settings, keys=keys)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "HEAD", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=TOLD,
        )
    app.add_middleware(SecurityHeaders)
