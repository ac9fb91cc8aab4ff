"""The index as a whole: facets, duplicates, models, statistics."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request

from indexer import find_duplicates
from indexer.catalog.contents import catalog_state, catalog_stats
from indexer.catalog.facets import Counts, facets, facets_state
from indexer.catalog.records import Kind
from indexer.duplicates import DuplicateGroup, refreshed
from indexer.models import model_states
from indexer.vectors.files import stored_structure

from ...contract.index import (
    CopyOfImage,
    Count,
    Duplicates,
    DuplicatesResponse,
    FacetsResponse,
    ModelOfIndex,
    ModelsResponse,
    StatsResponse,
)
from ...contract.search import Where
from ..openapi import errors
from ..service import Served

router = APIRouter(prefix="/v1", tags=["index"])


@router.get("/facets", name="facets", responses=errors(422))
async def counts(
    request: Request,
    service: Served,
    where: Annotated[Where, Query()] = [],  # noqa: B006  FastAPI copies it
) -> FacetsResponse:
    """Count images by folder, camera, format, shape, time, and by what they say themselves, for use in filters."""

    def find() -> FacetsResponse:
        catalog = service.engine.catalog
        totals = service.facets.get(tuple(where), facets_state(catalog), lambda: facets(catalog, where))
        document = {name: _counts(value) for name, value in vars(totals).items() if name != "images"}
        return FacetsResponse(images=totals.images, **document)

    return await service.work.run(request, find)


@router.get("/duplicates", responses=errors(422))
async def duplicates(
    request: Request,
    service: Served,
    k: Annotated[int, Query(ge=1, le=1000, description="Maximum number of groups.", examples=[20])] = 100,
) -> DuplicatesResponse:
    """List groups of files that show the same picture.

    Takes minutes for very large collections. The result is cached until the index changes, except that files which
    have gone or changed since are left out; requests during the computation get status 503 with `Retry-After`.
    """

    def find() -> DuplicatesResponse:
        catalog = service.engine.catalog
        groups = service.duplicates.get(None, catalog_state(catalog), lambda: find_duplicates(catalog))
        first = refreshed(catalog, groups[:k])
        gone = len(groups[:k]) - len(first)
        return DuplicatesResponse(groups=[_group(group) for group in first], total=len(groups) - gone)

    return await service.work.run(request, find)


@router.get("/models", responses=errors(422))
async def models(request: Request, service: Served) -> ModelsResponse:
    """List the models of the index, how much each has embedded, and which one is active."""
    states = await service.work.run(request, lambda: model_states(service.engine.catalog))
    names = ModelOfIndex.model_fields
    return ModelsResponse(models=[ModelOfIndex(**{name: getattr(state, name) for name in names}) for state in states])


@router.get("/stats", responses=errors(422))
async def stats(request: Request, service: Served) -> StatsResponse:
    """Return statistics of the index."""

    def find() -> StatsResponse:
        catalog = service.engine.catalog
        totals = catalog_stats(catalog)
        structures = {kind.value: stored_structure(catalog, kind) for kind in Kind}
        vectors = {kind: None if structure is None else asdict(structure) for kind, structure in structures.items()}
        per_image = round(totals.bytes_on_disk / totals.images) if totals.images else 0
        return StatsResponse.model_validate(asdict(totals) | {"vectors": vectors, "bytes_an_image": per_image})

    return await service.work.run(request, find)


def _counts(counts: Counts) -> list[Count]:
    return [Count(value=value, count=count) for value, count in counts.items()]


def _group(group: DuplicateGroup) -> Duplicates:
    return Duplicates(
        likeness=group.likeness,
        image_ids=list(dict.fromkeys(copy.image_id for copy in group.copies)),
        files=[CopyOfImage(**asdict(copy)) for copy in group.copies],
    )
