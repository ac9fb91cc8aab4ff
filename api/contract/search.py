"""What searches ask for and answer; OpenAPI is made from these. Every example of a request is one that runs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

LARGEST_ID = 2**53 - 1
"""Beyond that, programs that read JSON do not agree on which number it is."""
DEEPEST = 1000
"""Hits that pages reach at most."""
MOST_FIELDS = 100
"""Of a body; no kind of request has so many."""

Expression = Annotated[str, Field(max_length=4000, json_schema_extra={"format": "filter"})]
Words = Annotated[str, Field(max_length=2000, json_schema_extra={"format": "words"})]
"""One to 60 words of at most 200 characters; 60 long ones are no sentence, and would not fit into a cursor."""


def _whole(value: object) -> object:
    """JSON knows one kind of number, so 10.0 is a whole one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Id = Annotated[int, Field(ge=1, le=LARGEST_ID), BeforeValidator(_whole)]
Upto1000 = Annotated[int, Field(ge=1, le=1000), BeforeValidator(_whole)]
ModelName = Annotated[str, Field(min_length=1, max_length=200, json_schema_extra={"format": "model"})]
Where = Annotated[
    list[Expression],
    Field(
        max_length=20,
        description="Filters, all of which must hold, in the grammar of `crosslook search --where`.",
        examples=[["taken_at >= 2024-01-01 and size > 2MB"], ["within = 48.1,11.4,48.3,11.8", "format = jpeg"]],
    ),
]


class Body(BaseModel):
    """What a request's JSON holds: these fields and no others, each of its own type."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _few(cls, value: object) -> object:
        """Each unknown field is a fault to be told; those of a body with thousands would keep the server busy."""
        if isinstance(value, dict) and len(value) > MOST_FIELDS:
            raise PydanticCustomError("fields", "there are more than {most} fields", {"most": MOST_FIELDS})
        return value


class SearchRequest(Body):
    """Images for a sentence."""

    model_config = ConfigDict(
        json_schema_extra={
            "not": {  # a least probability without reranking, which gives the probabilities
                "required": ["min_probability", "rerank"],
                "properties": {"min_probability": {"type": "number"}, "rerank": {"const": False}},
            },
            "examples": [
                {"text": "two dogs running through snow"},
                {"text": "a beach -people", "k": 50, "where": ["orientation = landscape"]},
                {"text": "at sunset", "image_id": 1, "min_probability": 0.1},
            ],
        },
    )

    text: Words = Field(
        description='What to look for; `-word` and `-"two words"` are taken away.',
        examples=["two dogs running through snow", "a beach -people", "IMG_2034.jpg"],
    )
    image_id: Id | None = Field(None, description="An image of the index to look for as well.", examples=[1])
    without: list[Words] = Field(
        [], max_length=20, description="Words to take away, as they stand.", examples=[["people", "a red umbrella"]]
    )
    k: Upto1000 = Field(10, description="How many hits a page has at most.", examples=[10, 100])
    depth: Upto1000 = Field(100, description="How many candidates the reranker looks at.", examples=[100])
    rerank: bool = Field(
        default=True, description="Whether the cross-attention model puts the candidates in order.", examples=[True]
    )
    keywords: bool = Field(
        default=True, description="Whether words of file names, folder names and captions count.", examples=[True]
    )
    where: Where = []
    min_probability: float | None = Field(
        None, ge=0, le=1, description="Leave out hits less likely than this; needs `rerank`.", examples=[0.2]
    )
    model: ModelName | None = Field(
        None,
        description="A model of the index, by its name or at least six digits of its fingerprint, as `/v1/models` "
        "lists them; else the active one.",
    )


class NextPageRequest(Body):
    """The next page of a search: its cursor, and nothing else, for the cursor holds all the rest."""

    cursor: str = Field(
        max_length=900_000,
        json_schema_extra={"format": "search-cursor"},
        description="`next_cursor` of the page before.",
    )


def _which(value: object) -> str:
    return NEXT if isinstance(value, NextPageRequest) or (isinstance(value, dict) and "cursor" in value) else FIRST


FIRST, NEXT = "(search)", "(next page)"

SearchBody = Annotated[
    Annotated[SearchRequest, Tag(FIRST)] | Annotated[NextPageRequest, Tag(NEXT)], Discriminator(_which)
]


class ImageHit(BaseModel):
    """An image that was found; its picture is at `/v1/images/{image_id}/file`."""

    rank: int = Field(description="From 1, counted on over pages.", examples=[1])
    image_id: int = Field(description="What to ask `/v1/images/{image_id}` for.", examples=[1])
    path: str | None = Field(description="Where its file lies on the server.", examples=["/srv/pictures/IMG_2034.jpg"])
    score: float = Field(description="Orders the hits: the rerank score where there is one.", examples=[4.31])
    retrieval_score: float = Field(description="Cosine, [-1, 1].", examples=[0.412])
    rerank_score: float | None = Field(
        description="Comparable within one answer; null beyond the reranked depth.", examples=[4.31]
    )
    match_probability: float | None = Field(
        description="Calibrated, [0, 1]; null where there is no rerank score.", examples=[0.87]
    )
    sources: list[Literal["vector", "name", "caption"]] = Field(
        description="Where the hit comes from: the nearest vectors, a file or folder name, a caption.",
        examples=[["vector", "name"]],
    )
    matched: list[str] = Field(
        description="Words of the query that its names or captions hold.", examples=[["IMG_2034"]]
    )
    retrieval_rank: int = Field(description="The rank that it had before reranking, from 1.", examples=[14])
    width: int = Field(description="Pixels of the upright picture.", examples=[4000])
    height: int = Field(description="Pixels of the upright picture.", examples=[3000])


Timings = Annotated[
    dict[str, float],
    Field(
        description="Milliseconds of each stage, and in `total`.",
        examples=[{"load": 0.1, "encode": 9.7, "retrieve": 3.2, "rerank": 21.4, "total": 35.0}],
    ),
]


class SimilarResponse(BaseModel):
    """Images, best first."""

    query: str = Field(description="What was looked for, without what was taken away.", examples=["a beach"])
    hits: list[ImageHit] = Field(description="Best first.")
    timings_ms: Timings
    without: list[str] = Field(
        default_factory=list, description="What the query takes away; left out where nothing is.", examples=[["people"]]
    )


class SearchResponse(SimilarResponse):
    """A page of images, best first."""

    next_cursor: str | None = Field(
        description="Send it as `cursor` for the next page; null at the end, which is after at most 1,000 hits."
    )


class CaptionFound(BaseModel):
    """A caption that was found; scores as in `ImageHit`."""

    rank: int = Field(description="From 1.", examples=[1])
    caption_id: int | None = Field(description="Null for a line that is not in the index.", examples=[17])
    text: str = Field(description="The caption.", examples=["two dogs run through deep snow"])
    source: str = Field(description="Where it came from: a data set, a text file, the bank.", examples=["bank"])
    score: float = Field(description="Orders the hits: the rerank score where there is one.", examples=[5.02])
    retrieval_score: float = Field(description="Cosine, [-1, 1].", examples=[0.455])
    rerank_score: float | None = Field(
        description="Comparable within one answer; null beyond the reranked depth.", examples=[5.02]
    )
    match_probability: float | None = Field(
        description="Calibrated, [0, 1]; null where there is no rerank score.", examples=[0.91]
    )


class CaptionsResponse(BaseModel):
    """Captions, best first."""

    query: str = Field(description="`picture` for an upload, else the image's id.", examples=["picture", "1"])
    hits: list[CaptionFound] = Field(description="Best first, each text once.")
    timings_ms: Timings


class ExplainRequest(Body):
    """A sentence about an image."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"image_id": 1, "text": "a dog in the snow"}]})

    image_id: Id = Field(description="An image of the index.", examples=[1])
    text: Words = Field(description="Words to look for in it.", examples=["a dog in the snow"])


class ExplainResponse(BaseModel):
    """Where in an image each word is seen."""

    words: list[str] = Field(description="W words, as the model reads them.", examples=[["a", "dog"]])
    weights: list[list[list[float]]] = Field(
        description="W grids of rows by columns over the whole picture, from its top left; each grid sums to 1.",
        examples=[[[[0.25, 0.25], [0.25, 0.25]], [[0.1, 0.1], [0.1, 0.7]]]],
    )
    width: int = Field(description="Pixels of the upright picture.", examples=[4000])
    height: int = Field(description="Pixels of the upright picture.", examples=[3000])


class OwnCaption(BaseModel):
    """A caption that came with an image."""

    id: int = Field(description="The caption's id.", examples=[17])
    text: str = Field(description="The caption.", examples=["our dogs in the snow"])
    source: str = Field(description="Where it came from.", examples=["sidecar"])


class Status(BaseModel):
    """How the server is; where it is not well, a problem says why."""

    status: Literal["ok", "ready"] = Field(description="Whether it is alive, or ready to search.", examples=["ok"])


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(description="Stable; for programs.", examples=["urn:crosslook:problem:image-not-found"])
    title: str = Field(description="The status in words.", examples=["Not Found"])
    status: int = Field(description="The HTTP status.", examples=[404])
    detail: str = Field(description="What was wrong and what to do; for people.", examples=["no image has the id 999"])
