"""The HTTP application. Images are served by id, never by a path from a request; no URL is ever fetched."""

from __future__ import annotations

import mimetypes
from typing import Annotated, Any

from fastapi import Body, Depends, FastAPI, File, Form, Request, UploadFile
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse

from indexer import DecodeError, open_image
from search import ImageNotFoundError, QueryError, SearchEngine

from . import problems
from .guard import Guard
from .schemas import (
    LARGEST_ID,
    CaptionsResponse,
    Health,
    ImageResponse,
    OwnCaption,
    Problem,
    SearchRequest,
    SearchResponse,
)
from .settings import Settings

ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "content": {"application/problem+json": {}}} for status in (401, 404, 413, 422, 503)
}
UPRIGHT_PIXELS = 1024  # the longest side that is needed of an upload


def create_app(engine: SearchEngine, settings: Settings = Settings()) -> FastAPI:  # noqa: B008  frozen
    """Make the application that answers for one index.

    Args:
        engine: an open index; the application does not close it.
        settings: key and limits.
    """
    app = FastAPI(title="crosslook", description=__doc__, docs_url=None, redoc_url=None, responses=ERRORS)
    app.state.engine = engine
    app.add_middleware(Guard, settings=settings)
    problems.install(app)
    app.get("/healthz")(health)
    app.post("/v1/search", response_model_exclude_unset=True)(search)
    app.post("/v1/captions")(captions)
    app.get("/v1/images/{image_id}")(image)
    app.get("/v1/images/{image_id}/file", response_class=FileResponse)(image_file)
    return app


def _engine(request: Request) -> SearchEngine:
    engine: SearchEngine = request.app.state.engine
    return engine


Engine = Annotated[SearchEngine, Depends(_engine)]
ImageId = Annotated[int, PathParameter(ge=1, le=LARGEST_ID)]


def health(engine: Engine) -> Health:
    """The server answers, and the index opens."""
    return Health(status="ok", images=engine.catalog.stats().images)


def search(engine: Engine, query: Annotated[SearchRequest, Body()]) -> SearchResponse:
    """Find images for a sentence."""
    answer = engine.search_images(
        query.text,
        image=query.image_id,
        without=query.without,
        k=query.k,
        depth=query.depth,
        rerank=query.rerank,
        keywords=query.keywords,
        where=query.where,
        min_probability=query.min_probability,
    )
    return SearchResponse.model_validate(answer.as_dict())


def captions(
    engine: Engine,
    image: Annotated[UploadFile | None, File(description="An image file.")] = None,
    image_id: Annotated[int | None, Form(ge=1, le=LARGEST_ID, description="Or the id of an indexed image.")] = None,
    k: Annotated[int, Form(ge=1, le=1000)] = 5,
    depth: Annotated[int, Form(ge=1, le=1000)] = 100,
    rerank: Annotated[bool, Form()] = True,
) -> CaptionsResponse:
    """Find captions for an image: an upload, or one of the index."""
    if (image is None) == (image_id is None):
        raise QueryError("send either an image file as 'image' or the id of an indexed image as 'image_id'")
    if image_id is not None:
        answer = engine.find_captions(image_id, k=k, depth=depth, rerank=rerank)
    elif image is not None:
        try:
            source = open_image(image.file.read(), at_least=UPRIGHT_PIXELS)
        except DecodeError as exc:
            raise QueryError(f"the upload: {exc}") from exc
        answer = engine.find_captions(source, k=k, depth=depth, rerank=rerank)
    return CaptionsResponse.model_validate(answer.as_dict())


def image(engine: Engine, image_id: ImageId) -> ImageResponse:
    """What the index knows about an image."""
    record = engine.catalog.images([image_id]).get(image_id)
    if record is None:
        raise ImageNotFoundError(f"no image has the id {image_id}")
    own = [OwnCaption(id=c.id, text=c.text, source=c.source) for c in engine.catalog.captions_of(image_id)]
    return ImageResponse(
        id=record.id,
        path=None if record.path is None else str(record.path),
        width=record.width,
        height=record.height,
        format=record.format,
        taken_at=record.taken_at,
        captions=own,
    )


def image_file(engine: Engine, image_id: ImageId) -> FileResponse:
    """An indexed image's file, as it lies on disk."""
    path = engine.image_path(image_id)
    if not path.is_file():
        raise ImageNotFoundError(f"the file of image {image_id} is gone; index its folder again")
    kind, _ = mimetypes.guess_type(path.name)
    return FileResponse(
        path,
        media_type=kind if kind and kind.startswith("image/") else "application/octet-stream",
        filename=path.name,
        content_disposition_type="inline",
        headers={"X-Content-Type-Options": "nosniff", "Cache-Control": "private, max-age=3600"},
    )
