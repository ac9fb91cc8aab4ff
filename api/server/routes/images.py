"""Indexed images by id: what is known about them, and their files."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse

from search import ImageNotFoundError

from ..pictures import media_type
from ..schemas import ImageResponse, OwnCaption
from ..service import ImageId, Served

router = APIRouter(prefix="/v1/images", tags=["images"])


@router.get("/{image_id}")
async def image(request: Request, service: Served, image_id: ImageId) -> ImageResponse:
    """What the index knows about an image."""
    catalog = service.engine.catalog

    def find() -> ImageResponse:
        record = catalog.images([image_id]).get(image_id)
        if record is None:
            raise ImageNotFoundError(f"no image has the id {image_id}")
        return ImageResponse(
            id=record.id,
            path=None if record.path is None else str(record.path),
            width=record.width,
            height=record.height,
            format=record.format,
            taken_at=record.taken_at,
            captions=[OwnCaption(id=c.id, text=c.text, source=c.source) for c in catalog.captions_of(image_id)],
        )

    return await service.work.run(request, find)


@router.get("/{image_id}/file", response_class=FileResponse)
async def image_file(request: Request, service: Served, image_id: ImageId) -> FileResponse:
    """An indexed image's file, as it lies on disk."""

    def find() -> tuple[Path, str]:
        path = service.engine.image_path(image_id)
        return path, media_type(path, service.engine.catalog.images([image_id])[image_id].format, image_id)

    path, kind = await service.work.run(request, find)
    return FileResponse(
        path,
        media_type=kind,
        filename=path.name,
        content_disposition_type="inline",
        headers={"Cache-Control": "private, max-age=3600"},
    )
