"""Indexed images by id and one after the other: what is known about them, their files, and thumbnails."""

from __future__ import annotations

import os
from enum import IntEnum
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, Response

from indexer.catalog.browse import Browsed, FileLocation, ImageDetails, browse, image_details
from indexer.catalog.captions import captions_of_image
from indexer.catalog.images import images_by_id
from search.errors import ImageNotFoundError, QueryError

from ...contract.index import BrowsedImage, ImageResponse, ImagesResponse, PlaceOfImage
from ...contract.search import OwnCaption, Where
from ..openapi import Responses, errors, header
from ..service import ImageId, Served, Service
from .picture_response import KEPT, PictureFile, known, media_type, not_modified

router = APIRouter(prefix="/v1/images", tags=["images"])

PAGE = 50

PICTURE = {"schema": {"type": "string", "format": "binary"}}
ETAG = header("For `If-None-Match`.", always=False)
TAGGED = {"ETag": ETAG, "Cache-Control": header("How long it may be kept.")}
SAME: Responses = {304: {"description": "What the client has, by `If-None-Match`, is still so.", "headers": TAGGED}}
RANGE = {"Accept-Ranges": header("`bytes`.")}
PART = {"Content-Range": header("Which bytes; in the parts where there are several.", always=False)}


class Side(IntEnum):
    """Pixels of the longer side."""

    TINY = 128
    SMALL = 256
    MEDIUM = 512
    LARGE = 1024


@router.get("", responses=errors(422))
async def images(
    request: Request,
    service: Served,
    cursor: Annotated[
        str | None,
        Query(
            max_length=50_000,
            json_schema_extra={"format": "images-cursor"},
            description="`next_cursor` of the page before; then nothing else.",
        ),
    ] = None,
    k: Annotated[
        int | None, Query(ge=1, le=1000, description=f"How many a page has at most; {PAGE} if not said.", examples=[20])
    ] = None,
    where: Annotated[Where, Query()] = [],  # noqa: B006  FastAPI copies it
) -> ImagesResponse:
    """Browse: newest first by when they were taken, then by id; those whose files are missing are left out."""
    if cursor is not None and (k is not None or where):
        raise QueryError("send the cursor alone: it holds k and where")
    return await service.work.run(request, lambda: _page(service, cursor, k or PAGE, where))


@router.get("/{image_id}", responses=errors(404, 422))
async def image(request: Request, service: Served, image_id: ImageId) -> ImageResponse:
    """All that the index knows about an image, and whether its files are there now."""
    return await service.work.run(request, lambda: _described(service, image_id))


@router.get(
    "/{image_id}/file",
    response_class=FileResponse,
    responses=errors(404, 416, 422)
    | SAME
    | {
        200: {"description": "The file.", "content": {"image/*": PICTURE}, "headers": TAGGED | RANGE},
        206: {
            "description": "A range of it.",
            "content": {"image/*": PICTURE, "multipart/byteranges": PICTURE},
            "headers": TAGGED | RANGE | PART,
        },
    },
)
async def image_file(request: Request, service: Served, image_id: ImageId) -> Response:
    """An indexed image's file, as it lies on disk."""

    def find() -> tuple[ImageDetails, FileLocation, os.stat_result, str]:
        details, place, status = _opened(service, image_id)
        return details, place, status, media_type(place.path, details.format, image_id)

    details, place, status, kind = await service.work.run(request, find)
    headers = {"Cache-Control": KEPT}
    if place.unchanged(status):
        headers |= {"ETag": f'"{details.content_hash}"'}
        if known(request, headers["ETag"]):
            return not_modified(headers)
    return PictureFile(
        place.path,
        media_type=kind,
        filename=place.path.name,
        content_disposition_type="inline",
        headers=headers,
        stat_result=status,
    )


@router.get(
    "/{image_id}/thumbnail",
    response_class=Response,
    responses=errors(404, 422)
    | SAME
    | {200: {"description": "The picture, upright.", "content": {"image/webp": PICTURE}, "headers": TAGGED}},
)
async def thumbnail(
    request: Request,
    service: Served,
    image_id: ImageId,
    size: Annotated[
        Side, Query(description="Pixels of the longer side; a smaller picture keeps its size.")
    ] = Side.SMALL,
) -> Response:
    """A small version of an image, upright, its proportions kept."""

    def make() -> Response:
        details = _details(service, image_id)
        etag = f'"{details.content_hash}-{int(size)}"'
        headers = {"Cache-Control": KEPT, "ETag": etag}
        if known(request, etag) and details.unchanged():
            return not_modified(headers)
        picture, same = service.thumbnails.get(details, int(size))
        if not same:
            del headers["ETag"]
        return Response(picture, media_type="image/webp", headers=headers)

    return await service.work.run(request, make)


def _details(service: Service, image_id: int) -> ImageDetails:
    found = image_details(service.engine.catalog, image_id)
    if found is None:
        raise ImageNotFoundError(f"no image has the id {image_id}")
    return found


def _opened(service: Service, image_id: int) -> tuple[ImageDetails, FileLocation, os.stat_result]:
    """The first file of an image that can be read, rather one that is as it was when it was indexed."""
    details = _details(service, image_id)
    there = [(place, status) for place in details.places if (status := place.status()) is not None]
    for place, status in sorted(there, key=lambda found: not found[0].unchanged(found[1])):
        if os.access(place.path, os.R_OK):
            return details, place, status
    raise ImageNotFoundError(f"the file of image {image_id} is gone; index its folder again")


def _described(service: Service, image_id: int) -> ImageResponse:
    details = _details(service, image_id)
    present = [place for place in details.places if place.status() is not None]
    first = present[0] if present else None
    names = ("id", "width", "height", "format", "taken_at", "camera", "latitude", "longitude")
    return ImageResponse(
        **{name: getattr(details, name) for name in names},
        path=None if first is None else str(first.path),
        folder=None if first is None else str(first.path.parent),
        name=None if first is None else first.path.name,
        size=None if first is None else first.size,
        places=[PlaceOfImage(path=str(p.path), size=p.size, present=p in present) for p in details.places],
        captions=[
            OwnCaption(id=c.id, text=c.text, source=c.source)
            for c in captions_of_image(service.engine.catalog, image_id)
        ],
    )


def _page(service: Service, cursor: str | None, k: int, where: list[str]) -> ImagesResponse:
    catalog, after = service.engine.catalog, None
    if cursor is not None:
        document = service.cursors.read("images", cursor)
        k, where, after = document["k"], document["where"], Browsed(**document["after"])
    found = browse(catalog, k=k + 1, where=where, after=after)
    following = None
    if len(found) > k:
        last = {"id": found[k - 1].id, "taken_at": found[k - 1].taken_at}
        following = service.cursors.make("images", {"k": k, "where": where, "after": last})
    records = images_by_id(catalog, [browsed.id for browsed in found[:k]])
    shown = [records[browsed.id] for browsed in found[:k] if browsed.id in records]
    return ImagesResponse(
        images=[
            BrowsedImage(
                id=r.id, path=str(r.path), width=r.width, height=r.height, format=r.format, taken_at=r.taken_at
            )
            for r in shown
            if r.path is not None
        ],
        next_cursor=following,
    )
