"""Requests and responses of searches; the OpenAPI document is generated from these. Every request example runs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

LARGEST_ID = 2**53 - 1
"""Largest integer that all JSON parsers read exactly."""
MAX_HITS = 1000
"""Maximum number of hits over all pages."""
MAX_FIELDS = 100
"""Maximum number of fields in a request body; more than any request defines."""

Expression = Annotated[str, Field(max_length=4000, json_schema_extra={"format": "filter"})]
Words = Annotated[str, Field(max_length=2000, json_schema_extra={"format": "words"})]
"""1 to 60 words of at most 200 characters each; the total is limited so that a query fits into a cursor."""


def _integral_to_int(value: object) -> object:
    """Accept 10.0 as an integer: JSON has one number type."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Id = Annotated[int, Field(ge=1, le=LARGEST_ID), BeforeValidator(_integral_to_int)]
HitCount = Annotated[int, Field(ge=1, le=MAX_HITS), BeforeValidator(_integral_to_int)]
ModelName = Annotated[str, Field(min_length=1, max_length=200, json_schema_extra={"format": "model"})]
Where = Annotated[
    list[Expression],
    Field(
        max_length=20,
        description="Filter expressions, all of which must match; same grammar as `crosslook search --where`.",
        examples=[["taken_at >= 2024-01-01 and size > 2MB"], ["within = 48.1,11.4,48.3,11.8", "format = jpeg"]],
    ),
]


class Body(BaseModel):
    """A JSON request body: no unknown fields, no type coercion."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _limit_fields(cls, value: object) -> object:
        """Reject a body with very many fields before an error is built for each unknown one."""
        if isinstance(value, dict) and len(value) > MAX_FIELDS:
            raise PydanticCustomError("fields", "there are more than {most} fields", {"most": MAX_FIELDS})
        return value


class SearchRequest(Body):
    """A search for images by text."""

    model_config = ConfigDict(
        json_schema_extra={
            "not": {  # min_probability without reranking, which computes the probabilities
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
        description='Query text; `-word` and `-"two words"` exclude.',
        examples=["two dogs running through snow", "a beach -people", "IMG_2034.jpg"],
    )
    image_id: Id | None = Field(None, description="Also search for images similar to this one.", examples=[1])
    without: list[Words] = Field(
        [], max_length=20, description="Texts to exclude, taken literally.", examples=[["people", "a red umbrella"]]
    )
    k: HitCount = Field(10, description="Maximum number of hits per page.", examples=[10, 100])
    depth: HitCount = Field(100, description="Number of candidates to rerank.", examples=[100])
    rerank: bool = Field(
        default=True, description="Whether to rerank candidates with the cross-attention model.", examples=[True]
    )
    keywords: bool = Field(
        default=True,
        description="Whether to match words in file names, folder names, captions and annotations.",
        examples=[True],
    )
    where: Where = []
    min_probability: float | None = Field(
        None, ge=0, le=1, description="Drop hits with a lower match probability; needs `rerank`.", examples=[0.2]
    )
    model: ModelName | None = Field(
        None,
        description="A model from `/v1/models`, by name or by at least six digits of its fingerprint; "
        "null for the active one.",
    )


class NextPageRequest(Body):
    """The next page of a search. The cursor holds the whole search, so no other field is allowed."""

    cursor: str = Field(
        max_length=900_000,
        json_schema_extra={"format": "search-cursor"},
        description="`next_cursor` of the previous page.",
    )


def _request_tag(value: object) -> str:
    is_next = isinstance(value, NextPageRequest) or (isinstance(value, dict) and "cursor" in value)
    return NEXT_TAG if is_next else FIRST_TAG


FIRST_TAG, NEXT_TAG = "(search)", "(next page)"

SearchBody = Annotated[
    Annotated[SearchRequest, Tag(FIRST_TAG)] | Annotated[NextPageRequest, Tag(NEXT_TAG)], Discriminator(_request_tag)
]


class ImageHit(BaseModel):
    """An image hit; its picture is at `/v1/images/{image_id}/file`."""

    rank: int = Field(description="Rank from 1, continued across pages.", examples=[1])
    image_id: int = Field(description="Id of the image, for `/v1/images/{image_id}`.", examples=[1])
    path: str | None = Field(description="Path of its file on the server.", examples=["/srv/pictures/IMG_2034.jpg"])
    score: float = Field(description="Score that orders the hits: the rerank score if there is one.", examples=[4.31])
    retrieval_score: float = Field(description="Cosine similarity, [-1, 1].", examples=[0.412])
    rerank_score: float | None = Field(
        description="Comparable within one response only; null beyond the reranked depth.", examples=[4.31]
    )
    match_probability: float | None = Field(
        description="Calibrated, [0, 1]; null without a rerank score.", examples=[0.87]
    )
    sources: list[Literal["vector", "name", "caption", "annotation"]] = Field(
        description="How the hit was retrieved: by vector, by file or folder name, by caption, or by what the picture "
        "says about itself (title, keyword, person, place, …).",
        examples=[["vector", "name"]],
    )
    matched: list[str] = Field(
        description="Query words that its names, captions or annotations contain.", examples=[["IMG_2034"]]
    )
    retrieval_rank: int = Field(description="Rank before reranking, from 1.", examples=[14])
    width: int = Field(description="Width in pixels after EXIF rotation.", examples=[4000])
    height: int = Field(description="Height in pixels after EXIF rotation.", examples=[3000])


Timings = Annotated[
    dict[str, float],
    Field(
        description="Milliseconds per stage, and their `total`.",
        examples=[{"load": 0.1, "encode": 9.7, "retrieve": 3.2, "rerank": 21.4, "total": 35.0}],
    ),
]


class SimilarResponse(BaseModel):
    """Image hits, best first."""

    query: str = Field(description="The query without its exclusions.", examples=["a beach"])
    hits: list[ImageHit] = Field(description="Image hits, best first.")
    describes: bool = Field(
        description="Whether match probabilities say how likely the words describe the image. Those of some models say "
        "how likely they were written for just this image, and are lower.",
        examples=[True],
    )
    no_match: bool = Field(
        description="Whether all reranked images are too unlikely for a match, those on other pages too. False where "
        "that is not known: without reranking, without a text, and for models without such probabilities.",
        examples=[False],
    )
    timings_ms: Timings
    without: list[str] = Field(
        default_factory=list, description="Texts the query excludes; omitted if none.", examples=[["people"]]
    )


class SearchResponse(SimilarResponse):
    """A page of image hits, best first."""

    next_cursor: str | None = Field(
        description="Pass as `cursor` to get the next page; null on the last page, after at most 1,000 hits."
    )


class CaptionFound(BaseModel):
    """A caption hit; scores as in `ImageHit`."""

    rank: int = Field(description="Rank, from 1.", examples=[1])
    caption_id: int | None = Field(
        description="Id of the caption; null for a caption outside the index.", examples=[17]
    )
    text: str = Field(description="The caption.", examples=["two dogs run through deep snow"])
    source: str = Field(
        description="Origin of the caption: a dataset, a text file, the caption bank.", examples=["bank"]
    )
    score: float = Field(description="Score that orders the hits: the rerank score if there is one.", examples=[5.02])
    retrieval_score: float = Field(description="Cosine similarity, [-1, 1].", examples=[0.455])
    rerank_score: float | None = Field(
        description="Comparable within one response only; null beyond the reranked depth.", examples=[5.02]
    )
    match_probability: float | None = Field(
        description="Calibrated, [0, 1]; null without a rerank score.", examples=[0.91]
    )


class CaptionsResponse(BaseModel):
    """Caption hits, best first."""

    query: str = Field(description="`picture` for an upload, else the image id.", examples=["picture", "1"])
    hits: list[CaptionFound] = Field(description="Caption hits, best first, each text once.")
    timings_ms: Timings


class ExplainRequest(Body):
    """An image and a sentence to explain."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"image_id": 1, "text": "a dog in the snow"}]})

    image_id: Id = Field(description="An image of the index.", examples=[1])
    text: Words = Field(description="Sentence to locate in the image.", examples=["a dog in the snow"])


class ExplainResponse(BaseModel):
    """Attention of each word over the image."""

    words: list[str] = Field(description="W words, as the model reads them.", examples=[["a", "dog"]])
    weights: list[list[list[float]]] = Field(
        description="W grids (rows by columns) over the whole image from its top left; each grid sums to 1.",
        examples=[[[[0.25, 0.25], [0.25, 0.25]], [[0.1, 0.1], [0.1, 0.7]]]],
    )
    probabilities: list[float | None] = Field(
        description="For each word, the probability that the image shows what it says by itself; null for words such "
        "as 'the', which no image shows, for some colours and numbers, and for models that judge no single words.",
        examples=[[None, 0.93]],
    )
    absent: list[bool] = Field(
        description="For each word, whether the image probably does not show it; false where the probability is null.",
        examples=[[False, False]],
    )
    width: int = Field(description="Width in pixels after EXIF rotation.", examples=[4000])
    height: int = Field(description="Height in pixels after EXIF rotation.", examples=[3000])


class OwnCaption(BaseModel):
    """A caption indexed with an image."""

    id: int = Field(description="The caption's id.", examples=[17])
    text: str = Field(description="The caption.", examples=["our dogs in the snow"])
    source: str = Field(description="Origin of the caption.", examples=["sidecar"])


class Status(BaseModel):
    """The server's status; when it is not healthy, a problem document says why."""

    status: Literal["ok", "ready"] = Field(
        description="`ok`: the process runs. `ready`: searches are answered.", examples=["ok"]
    )


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(description="Stable identifier for programs.", examples=["urn:crosslook:problem:image-not-found"])
    title: str = Field(description="Reason phrase of the status.", examples=["Not Found"])
    status: int = Field(description="HTTP status code.", examples=[404])
    detail: str = Field(description="What went wrong and what to do, for people.", examples=["no image has the id 999"])
