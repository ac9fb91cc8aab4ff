"""Images for a sentence, a picture or both; captions for an image."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, File, Form, Request, UploadFile

from indexer import DecodeError, open_image
from search import QueryError

from ..schemas import LARGEST_ID, CaptionsResponse, SearchRequest, SearchResponse
from ..service import Served

UPRIGHT_PIXELS = 1024  # the longest side that is needed of an upload

router = APIRouter(prefix="/v1", tags=["search"])


@router.post("/search", response_model_exclude_unset=True)
async def search(request: Request, service: Served, query: Annotated[SearchRequest, Body()]) -> SearchResponse:
    """Find images for a sentence."""
    answer = await service.work.run(
        request,
        lambda: service.engine.search_images(
            query.text,
            image=query.image_id,
            without=query.without,
            k=query.k,
            depth=query.depth,
            rerank=query.rerank,
            keywords=query.keywords,
            where=query.where,
            min_probability=query.min_probability,
        ),
    )
    return SearchResponse.model_validate(answer.as_dict())


@router.post("/captions")
async def captions(
    request: Request,
    service: Served,
    image: Annotated[UploadFile | None, File(description="An image file.")] = None,
    image_id: Annotated[int | None, Form(ge=1, le=LARGEST_ID, description="Or the id of an indexed image.")] = None,
    k: Annotated[int, Form(ge=1, le=1000)] = 5,
    depth: Annotated[int, Form(ge=1, le=1000)] = 100,
    rerank: Annotated[bool, Form()] = True,
) -> CaptionsResponse:
    """Find captions for an image: an upload, or one of the index."""
    if (image is None) == (image_id is None):
        raise QueryError("send either an image file as 'image' or the id of an indexed image as 'image_id'")
    data = None if image is None else await image.read()

    def find() -> CaptionsResponse:
        if image_id is not None:
            return _captions(image_id)
        try:
            source = open_image(data or b"", at_least=UPRIGHT_PIXELS, at_most=service.settings.upload_pixels)
        except DecodeError as exc:
            raise QueryError(f"the upload: {exc}") from exc
        return _captions(source)

    def _captions(source: object) -> CaptionsResponse:
        answer = service.engine.find_captions(source, k=k, depth=depth, rerank=rerank)  # type: ignore[arg-type]
        return CaptionsResponse.model_validate(answer.as_dict())

    return await service.work.run(request, find)
