"""Search images by text, by example image or both; find captions for an image."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, File, Form, Query, Request, UploadFile
from PIL import Image

from indexer import open_image
from indexer.errors import DecodeError
from search import Answer
from search.answers import PageStart
from search.errors import QueryError, UnknownModelError

from ...contract.search import (
    LARGEST_ID,
    MAX_HITS,
    CaptionsResponse,
    Expression,
    NextPageRequest,
    SearchBody,
    SearchRequest,
    SearchResponse,
    SimilarResponse,
    Where,
    Words,
)
from ..openapi import errors
from ..service import ImageId, Served, Service
from ..work.cursors import REFUSAL, CursorError

UPLOAD_PIXELS = 1024  # shorter side of a decoded upload; larger uploads are reduced while decoding

router = APIRouter(prefix="/v1", tags=["search"])

Picture = Annotated[UploadFile, File(description="An image file.")]


def _form(**rules: object) -> dict[str, Any]:
    """The OpenAPI description of an image upload form: the file's media type, and rules between fields."""
    form = {"schema": rules, "encoding": {"image": {"contentType": "image/*"}}}
    return {"requestBody": {"content": {"multipart/form-data": form}}}


PROBABILITY_RULES = _form(
    dependentRequired={"min_probability": ["text"]},
    **{"not": {"required": ["min_probability", "rerank"], "properties": {"rerank": {"const": False}}}},
)
ONE_IMAGE_RULE = _form(oneOf=[{"required": ["image"]}, {"required": ["image_id"]}])


@router.post("/search", response_model_exclude_unset=True, responses=errors(404, 422))
async def search(request: Request, service: Served, query: Annotated[SearchBody, Body()]) -> SearchResponse:
    """Search images by text, a page at a time.

    Request the next page with the cursor of the previous one. Pages together equal one long answer without repeats;
    images added in between are left out.
    """
    return await service.work.run(request, lambda: _page(service, *_page_request(service, query)))


@router.post("/search/image", response_model_exclude_unset=True, responses=errors(422), openapi_extra=PROBABILITY_RULES)
async def search_by_image(
    request: Request,
    service: Served,
    image: Picture,
    text: Annotated[Words | None, Form(description="Text to search for as well.", examples=["at night"])] = None,
    without: Annotated[list[Words] | None, Form(max_length=20, description="Texts to exclude; repeatable.")] = None,
    k: Annotated[int, Form(ge=1, le=MAX_HITS, description="Maximum number of hits; there are no further pages.")] = 10,
    depth: Annotated[int, Form(ge=1, le=1000, description="As in a text search; used only with `text`.")] = 100,
    rerank: Annotated[bool, Form(description="As in a text search; used only with `text`.")] = True,
    keywords: Annotated[bool, Form(description="As in a text search; used only with `text`.")] = True,
    where: Annotated[
        list[Expression] | None,
        Form(max_length=20, description="Filter expressions, all of which must match; repeatable."),
    ] = None,
    min_probability: Annotated[
        float | None,
        Form(ge=0, le=1, description="Drop hits with a lower match probability; needs `text` and `rerank`."),
    ] = None,
) -> SimilarResponse:
    """Search images similar to an uploaded image, optionally combined with text.

    The upload is not stored, so there is no cursor; request up to 1,000 hits at once.
    """

    def find() -> SimilarResponse:
        picture, filters, exclusions = upload(image), where or (), without or ()
        if text:
            options: dict[str, Any] = {"depth": depth, "rerank": rerank, "keywords": keywords}
            options |= {"min_probability": min_probability, "without": exclusions, "where": filters}
            answer = service.engine.search_images(text, image=picture, k=k, **options)
        elif min_probability is not None:
            raise QueryError("min_probability needs 'text': it is the probability that an image matches it")
        else:
            answer = service.engine.similar_images(picture, without=exclusions, k=k, where=filters)
        return SimilarResponse.model_validate(answer.as_dict())

    return await service.work.run(request, find)


@router.get("/images/{image_id}/similar", response_model_exclude_unset=True, responses=errors(404, 422))
async def similar(
    request: Request,
    service: Served,
    image_id: ImageId,
    k: Annotated[int, Query(ge=1, le=MAX_HITS, description="Maximum number of hits.")] = 10,
    where: Annotated[Where, Query()] = [],  # noqa: B006  FastAPI copies it
) -> SimilarResponse:
    """Find images similar to an indexed image, which is left out itself."""
    answer = await service.work.run(request, lambda: service.engine.similar_images(image_id, k=k, where=where))
    return SimilarResponse.model_validate(answer.as_dict())


@router.post("/captions", responses=errors(404, 422), openapi_extra=ONE_IMAGE_RULE)
async def captions(
    request: Request,
    service: Served,
    image: Annotated[UploadFile | None, File(description="An image file.")] = None,
    image_id: Annotated[
        int | None, Form(ge=1, le=LARGEST_ID, description="Id of an indexed image, instead of `image`.", examples=[1])
    ] = None,
    k: Annotated[int, Form(ge=1, le=1000, description="Maximum number of captions.")] = 5,
    depth: Annotated[int, Form(ge=1, le=1000, description="Number of candidates to rerank.")] = 100,
    rerank: Annotated[bool, Form(description="Whether to rerank with the cross-attention model.")] = True,
) -> CaptionsResponse:
    """Find captions for an uploaded or an indexed image."""
    if (image is None) == (image_id is None):
        raise QueryError("send either an image file as 'image' or the id of an indexed image as 'image_id'")

    def find() -> CaptionsResponse:
        source = image_id if image is None else upload(image)
        answer = service.engine.find_captions(source, k=k, depth=depth, rerank=rerank)  # type: ignore[arg-type]  # one of them is given
        return CaptionsResponse.model_validate(answer.as_dict())

    return await service.work.run(request, find)


def upload(file: UploadFile) -> Image.Image:
    """Decode an uploaded image. Call it in a worker thread: large uploads are spooled to disk.

    Raises:
        DecodeError: the file is not an image, or cannot be decoded.
    """
    try:
        return open_image(file.file.read(), at_least=UPLOAD_PIXELS)
    except DecodeError as exc:
        raise DecodeError(f"the upload: {exc}") from exc


def _page_request(service: Service, body: SearchRequest | NextPageRequest) -> tuple[SearchRequest, PageStart | None]:
    """A search and the start of the requested page.

    Raises:
        CursorError: the cursor was not issued by this server.
    """
    if isinstance(body, SearchRequest):
        return body, None
    document = service.cursors.read("search", body.cursor)
    after = document["after"]
    start = PageStart(tuple(after["shown"]), after["top"], after["model"])
    return SearchRequest.model_validate(document["query"]), start


def _page(service: Service, query: SearchRequest, after: PageStart | None) -> SearchResponse:
    model = query.model if after is None else after.model
    try:
        engine = service.engine if model is None else service.engine.by_model(model)
    except UnknownModelError as exc:
        raise exc if after is None else CursorError(REFUSAL) from exc
    answer: Answer = engine.search_images(
        query.text,
        image=query.image_id,
        without=query.without,
        k=min(query.k, MAX_HITS - (0 if after is None else len(after.shown))),
        depth=query.depth,
        rerank=query.rerank,
        keywords=query.keywords,
        where=query.where,
        min_probability=query.min_probability,
        after=after,
    )
    return SearchResponse.model_validate(answer.as_dict() | {"next_cursor": _cursor(service, query, answer.following)})


def _cursor(service: Service, query: SearchRequest, following: PageStart | None) -> str | None:
    if following is None or len(following.shown) >= MAX_HITS:
        return None
    start = {"shown": following.shown, "top": following.top, "model": following.model}
    return service.cursors.make("search", {"query": query.model_dump(exclude_defaults=True), "after": start})
