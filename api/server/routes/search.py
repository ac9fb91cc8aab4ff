"""Images for a sentence, a picture or both, and images like an indexed one; captions for an image."""

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
    DEEPEST,
    LARGEST_ID,
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

UPRIGHT_PIXELS = 1024  # the longest side that is needed of an upload

router = APIRouter(prefix="/v1", tags=["search"])

Picture = Annotated[UploadFile, File(description="An image file.")]


def _form(**rules: object) -> dict[str, Any]:
    """What OpenAPI says of a form with a picture: the type of that part, and what holds between parts."""
    form = {"schema": rules, "encoding": {"image": {"contentType": "image/*"}}}
    return {"requestBody": {"content": {"multipart/form-data": form}}}


PROBABLE = _form(
    dependentRequired={"min_probability": ["text"]},
    **{"not": {"required": ["min_probability", "rerank"], "properties": {"rerank": {"const": False}}}},
)
ONE_IMAGE = _form(oneOf=[{"required": ["image"]}, {"required": ["image_id"]}])


@router.post("/search", response_model_exclude_unset=True, responses=errors(404, 422))
async def search(request: Request, service: Served, query: Annotated[SearchBody, Body()]) -> SearchResponse:
    """Find images for a sentence, a page at a time.

    The next page is asked for with the cursor of the one before. Pages hold what one long answer would, no image twice;
    pictures that are added meanwhile are left out.
    """
    return await service.work.run(request, lambda: _page(service, *_begun(service, query)))


@router.post("/search/image", response_model_exclude_unset=True, responses=errors(422), openapi_extra=PROBABLE)
async def search_by_image(
    request: Request,
    service: Served,
    image: Picture,
    text: Annotated[Words | None, Form(description="Words to look for as well.", examples=["at night"])] = None,
    without: Annotated[
        list[Words] | None, Form(max_length=20, description="Words to take away; may be given again.")
    ] = None,
    k: Annotated[int, Form(ge=1, le=DEEPEST, description="How many hits at most; there are no further pages.")] = 10,
    depth: Annotated[int, Form(ge=1, le=1000, description="As in a search; counts with `text` alone.")] = 100,
    rerank: Annotated[bool, Form(description="As in a search; counts with `text` alone.")] = True,
    keywords: Annotated[bool, Form(description="As in a search; counts with `text` alone.")] = True,
    where: Annotated[
        list[Expression] | None,
        Form(max_length=20, description="Filters, all of which must hold; may be given again."),
    ] = None,
    min_probability: Annotated[
        float | None, Form(ge=0, le=1, description="Leave out less likely hits; needs `text` and `rerank`.")
    ] = None,
) -> SimilarResponse:
    """Find images like a picture that is sent, or for it and words together.

    Nothing of the picture is stored, so there is no cursor: ask for up to 1,000 hits at once.
    """

    def find() -> SimilarResponse:
        picture, filters, away = upload(service, image), where or (), without or ()
        if text:
            how: dict[str, Any] = {"depth": depth, "rerank": rerank, "keywords": keywords}
            how |= {"min_probability": min_probability, "without": away, "where": filters}
            answer = service.engine.search_images(text, image=picture, k=k, **how)
        elif min_probability is not None:
            raise QueryError("a least probability needs 'text', for it says how well a picture fits a sentence")
        else:
            answer = service.engine.similar_images(picture, without=away, k=k, where=filters)
        return SimilarResponse.model_validate(answer.as_dict())

    return await service.work.run(request, find)


@router.get("/images/{image_id}/similar", response_model_exclude_unset=True, responses=errors(404, 422))
async def similar(
    request: Request,
    service: Served,
    image_id: ImageId,
    k: Annotated[int, Query(ge=1, le=DEEPEST, description="How many hits at most.")] = 10,
    where: Annotated[Where, Query()] = [],  # noqa: B006  FastAPI copies it
) -> SimilarResponse:
    """Find images like an image of the index, itself left out."""
    answer = await service.work.run(request, lambda: service.engine.similar_images(image_id, k=k, where=where))
    return SimilarResponse.model_validate(answer.as_dict())


@router.post("/captions", responses=errors(404, 422), openapi_extra=ONE_IMAGE)
async def captions(
    request: Request,
    service: Served,
    image: Annotated[UploadFile | None, File(description="An image file.")] = None,
    image_id: Annotated[
        int | None, Form(ge=1, le=LARGEST_ID, description="Or the id of an indexed image.", examples=[1])
    ] = None,
    k: Annotated[int, Form(ge=1, le=1000, description="How many captions at most.")] = 5,
    depth: Annotated[int, Form(ge=1, le=1000, description="How many candidates the reranker looks at.")] = 100,
    rerank: Annotated[bool, Form(description="Whether the cross-attention model orders them.")] = True,
) -> CaptionsResponse:
    """Find captions for an image: an upload, or one of the index."""
    if (image is None) == (image_id is None):
        raise QueryError("send either an image file as 'image' or the id of an indexed image as 'image_id'")

    def find() -> CaptionsResponse:
        source = image_id if image is None else upload(service, image)
        answer = service.engine.find_captions(source, k=k, depth=depth, rerank=rerank)  # type: ignore[arg-type]  # one is there
        return CaptionsResponse.model_validate(answer.as_dict())

    return await service.work.run(request, find)


def upload(service: Service, sent: UploadFile) -> Image.Image:
    """The picture that was sent, read in the thread that works on it: until then it lies on disk, unless it is small.

    Raises:
        DecodeError: it is none, or has more pixels than the settings allow.
    """
    try:
        return open_image(sent.file.read(), at_least=UPRIGHT_PIXELS, at_most=service.settings.upload_pixels)
    except DecodeError as exc:
        raise DecodeError(f"the upload: {exc}") from exc


def _begun(service: Service, body: SearchRequest | NextPageRequest) -> tuple[SearchRequest, PageStart | None]:
    """A search, and where its page begins.

    Raises:
        CursorError: the cursor is none of this server's.
    """
    if isinstance(body, SearchRequest):
        return body, None
    document = service.cursors.read("search", body.cursor)
    after = document["after"]
    start = PageStart(tuple(after["shown"]), after["top"], after["model"])
    return SearchRequest.model_validate(document["query"]), start


def _page(service: Service, query: SearchRequest, after: PageStart | None) -> SearchResponse:
    asked = query.model if after is None else after.model
    try:
        engine = service.engine if asked is None else service.engine.by_model(asked)
    except UnknownModelError as exc:
        raise exc if after is None else CursorError(REFUSAL) from exc
    answer: Answer = engine.search_images(
        query.text,
        image=query.image_id,
        without=query.without,
        k=min(query.k, DEEPEST - (0 if after is None else len(after.shown))),
        depth=query.depth,
        rerank=query.rerank,
        keywords=query.keywords,
        where=query.where,
        min_probability=query.min_probability,
        after=after,
    )
    return SearchResponse.model_validate(answer.as_dict() | {"next_cursor": _cursor(service, query, answer.following)})


def _cursor(service: Service, query: SearchRequest, following: PageStart | None) -> str | None:
    if following is None or len(following.shown) >= DEEPEST:
        return None
    place = {"shown": following.shown, "top": following.top, "model": following.model}
    return service.cursors.make("search", {"query": query.model_dump(exclude_defaults=True), "after": place})
