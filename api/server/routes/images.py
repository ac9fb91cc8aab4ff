"""Indexed images: listing, metadata, files and thumbnails."""

from __future__ import annotations

import os
from enum import IntEnum
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, Response

from indexer.catalog.annotations import SEVERAL, Annotation, annotations_of_image
from indexer.catalog.browse import Browsed, FileLocation, ImageDetails, browse, image_details
from indexer.catalog.captions import captions_of_image
from indexer.catalog.images import images_by_id
from search.errors import ImageNotFoundError, QueryError

from ...contract.index import BrowsedImage, ImageResponse, ImagesResponse, PlaceOfImage
from ...contract.search import OwnCaption, Where
from ..openapi import Responses, errors, header
from ..service import ImageId, Served, Service
from .picture_response import CACHE_CONTROL, PictureFile, etag_matches, media_type, not_modified

router = APIRouter(prefix="/v1/images", tags=["images"])

PAGE = 50

BINARY = {"schema": {"type": "string", "format": "binary"}}
ETAG = header("For `If-None-Match`.", always=False)
CACHE_HEADERS = {"ETag": ETAG, "Cache-Control": header("Caching directives.")}
NOT_MODIFIED: Responses = {304: {"description": "Not modified, by `If-None-Match`.", "headers": CACHE_HEADERS}}
RANGE_HEADERS = {"Accept-Ranges": header("`bytes`.")}
PARTIAL_HEADERS = {"Content-Range": header("Byte range; with several ranges, in each part.", always=False)}


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
            description="`next_cursor` of the previous page; no other parameter is allowed with it.",
        ),
    ] = None,
    k: Annotated[
        int | None,
        Query(ge=1, le=1000, description=f"Maximum number of images per page; default {PAGE}.", examples=[20]),
    ] = None,
    where: Annotated[Where, Query()] = [],  # noqa: B006  FastAPI copies it
) -> ImagesResponse:
    """List images by capture time, newest first, then by id; images whose files are missing are left out."""
    if cursor is not None and (k is not None or where):
        raise QueryError("send the cursor alone: it already holds k and where")
    return await service.work.run(request, lambda: _page(service, cursor, k or PAGE, where))


@router.get("/{image_id}", responses=errors(404, 422))
async def image(request: Request, service: Served, image_id: ImageId) -> ImageResponse:
    """Return everything the index knows about an image, and which of its files exist now."""
    return await service.work.run(request, lambda: _image_response(service, image_id))


@router.get(
    "/{image_id}/file",
    response_class=FileResponse,
    responses=errors(404, 416, 422)
    | NOT_MODIFIED
    | {
        200: {"description": "The file.", "content": {"image/*": BINARY}, "headers": CACHE_HEADERS | RANGE_HEADERS},
        206: {
            "description": "A range of the file.",
            "content": {"image/*": BINARY, "multipart/byteranges": BINARY},
            "headers": CACHE_HEADERS | RANGE_HEADERS | PARTIAL_HEADERS,
        },
    },
)
async def image_file(request: Request, service: Served, image_id: ImageId) -> Response:
    """Return the file of an indexed image, unchanged."""

    def find() -> tuple[ImageDetails, FileLocation, os.stat_result, str]:
        details, file, status = _readable_file(service, image_id)
        return details, file, status, media_type(file.path, details.format, image_id)

    details, file, status, kind = await service.work.run(request, find)
    headers = {"Cache-Control": CACHE_CONTROL}
    if file.unchanged(status):
        headers |= {"ETag": f'"{details.content_hash}"'}
        if etag_matches(request, headers["ETag"]):
            return not_modified(headers)
    return PictureFile(
        file.path,
        media_type=kind,
        filename=file.path.name,
        content_disposition_type="inline",
        headers=headers,
        stat_result=status,
    )


@router.get(
    "/{image_id}/thumbnail",
    response_class=Response,
    responses=errors(404, 422)
    | NOT_MODIFIED
    | {200: {"description": "The picture, upright.", "content": {"image/webp": BINARY}, "headers": CACHE_HEADERS}},
)
async def thumbnail(
    request: Request,
    service: Served,
    image_id: ImageId,
    size: Annotated[Side, Query(description="Longer side in pixels; smaller images are not enlarged.")] = Side.SMALL,
) -> Response:
    """Return a scaled-down version of an image, upright, with its aspect ratio."""

    def make() -> Response:
        details = _details(service, image_id)
        etag = f'"{details.content_hash}-{int(size)}"'
        headers = {"Cache-Control": CACHE_CONTROL, "ETag": etag}
        if etag_matches(request, etag) and details.unchanged():
            return not_modified(headers)
        picture, matches_index = service.thumbnails.get(details, int(size))
        if not matches_index:
            del headers["ETag"]
        return Response(picture, media_type="image/webp", headers=headers)

    return await service.work.run(request, make)


def _details(service: Service, image_id: int) -> ImageDetails:
    details = image_details(service.engine.catalog, image_id)
    if details is None:
        raise ImageNotFoundError(f"no image has the id {image_id}")
    return details


def _readable_file(service: Service, image_id: int) -> tuple[ImageDetails, FileLocation, os.stat_result]:
    """The first readable file of an image, preferably one that is unchanged since indexing."""
    details = _details(service, image_id)
    existing = [(file, status) for file in details.places if (status := file.status()) is not None]
    for file, status in sorted(existing, key=lambda pair: not pair[0].unchanged(pair[1])):
        if os.access(file.path, os.R_OK):
            return details, file, status
    raise ImageNotFoundError(f"the file of image {image_id} is gone; index its folder again")


def _image_response(service: Service, image_id: int) -> ImageResponse:
    details = _details(service, image_id)
    existing = [file for file in details.places if file.status() is not None]
    first = existing[0] if existing else None
    names = ("id", "width", "height", "format", "taken_at", "date_source", "camera", "latitude", "longitude")
    said = annotations_of_image(service.engine.catalog, image_id)
    single = {name.value: next(iter(said.get(name, [])), None) for name in Annotation if name not in SEVERAL}
    return ImageResponse(
        **{name: getattr(details, name) for name in names},
        **single,
        keywords=said.get(Annotation.KEYWORD, []),
        persons=said.get(Annotation.PERSON, []),
        place_names=said.get(Annotation.PLACE, []),
        path=None if first is None else str(first.path),
        folder=None if first is None else str(first.path.parent),
        name=None if first is None else first.path.name,
        size=None if first is None else first.size,
        places=[PlaceOfImage(path=str(p.path), size=p.size, present=p in existing) for p in details.places],
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
    rows = browse(catalog, k=k + 1, where=where, after=after)
    following = None
    if len(rows) > k:
        last = {"id": rows[k - 1].id, "taken_at": rows[k - 1].taken_at}
        following = service.cursors.make("images", {"k": k, "where": where, "after": last})
    records = images_by_id(catalog, [row.id for row in rows[:k]])
    shown = [records[row.id] for row in rows[:k] if row.id in records]
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
