"""Where in an image each word of a sentence is seen."""

from __future__ import annotations

import io
from typing import Annotated

from fastapi import APIRouter, Body, Request
from fastapi.responses import Response

from indexer.catalog.images import images_by_id
from search.errors import ImageNotFoundError

from ...contract.search import ExplainRequest, ExplainResponse
from ..openapi import errors
from ..service import Served

router = APIRouter(prefix="/v1/explain", tags=["explain"])

DRAWN = {"description": "The picture, then a panel a word.", "content": {"image/png": {}}}


@router.post("", responses=errors(404, 422))
async def explain(request: Request, service: Served, asked: Annotated[ExplainRequest, Body()]) -> ExplainResponse:
    """Where the model looks for each word, as numbers."""

    def find() -> ExplainResponse:
        record = images_by_id(service.engine.catalog, [asked.image_id]).get(asked.image_id)
        if record is None:
            raise ImageNotFoundError(f"no image has the id {asked.image_id}")
        found = service.engine.attention(asked.image_id, asked.text)
        return ExplainResponse(
            words=list(found.words), weights=found.weights.tolist(), width=record.width, height=record.height
        )

    return await service.work.run(request, find)


@router.post("/png", response_class=Response, responses=errors(404, 422) | {200: DRAWN})
async def explain_png(request: Request, service: Served, asked: Annotated[ExplainRequest, Body()]) -> Response:
    """Where the model looks for each word, drawn over the picture."""

    def draw() -> bytes:
        buffer = io.BytesIO()
        service.engine.explain(asked.image_id, asked.text).sheet().save(buffer, "PNG")
        return buffer.getvalue()

    return Response(await service.work.run(request, draw), media_type="image/png")
