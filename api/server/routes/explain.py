"""Word-to-region attention of a sentence over an image, as numbers or as heat maps."""

from __future__ import annotations

import io
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Body, Request
from fastapi.responses import Response

from indexer.catalog.images import images_by_id
from search.errors import ImageNotFoundError
from search.verdicts import is_absent

from ...contract.search import ExplainRequest, ExplainResponse
from ..openapi import errors
from ..service import Served

router = APIRouter(prefix="/v1/explain", tags=["explain"])

DRAWN = {"description": "The image, followed by one heat map per word.", "content": {"image/png": {}}}


@router.post("", responses=errors(404, 422))
async def explain(request: Request, service: Served, body: Annotated[ExplainRequest, Body()]) -> ExplainResponse:
    """Return the attention of each word over the image."""

    def find() -> ExplainResponse:
        record = images_by_id(service.engine.catalog, [body.image_id]).get(body.image_id)
        if record is None:
            raise ImageNotFoundError(f"no image has the id {body.image_id}")
        attention = service.engine.attention(body.image_id, body.text)
        return ExplainResponse(
            words=list(attention.words),
            weights=attention.weights.tolist(),
            probabilities=[None if np.isnan(p) else float(p) for p in attention.probabilities],
            absent=[is_absent(float(p)) for p in attention.probabilities],
            width=record.width,
            height=record.height,
        )

    return await service.work.run(request, find)


@router.post("/png", response_class=Response, responses=errors(404, 422) | {200: DRAWN})
async def explain_png(request: Request, service: Served, body: Annotated[ExplainRequest, Body()]) -> Response:
    """Return the attention of each word as heat maps over the image."""

    def draw() -> bytes:
        buffer = io.BytesIO()
        service.engine.explain(body.image_id, body.text).sheet().save(buffer, "PNG")
        return buffer.getvalue()

    return Response(await service.work.run(request, draw), media_type="image/png")
