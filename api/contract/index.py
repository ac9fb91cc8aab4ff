"""Responses about images and about the index as a whole; the OpenAPI document is generated from these."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from .search import OwnCaption

Path = Annotated[str, Field(description="Path of a file on the server.", examples=["/srv/pictures/2024/IMG_2034.jpg"])]
Size = Annotated[int, Field(description="File size in bytes at indexing time.", examples=[2_345_678])]
Id = Annotated[int, Field(description="The image's id.", examples=[1])]
Width = Annotated[int, Field(description="Width in pixels after EXIF rotation.", examples=[4000])]
Height = Annotated[int, Field(description="Height in pixels after EXIF rotation.", examples=[3000])]
TakenAt = Annotated[
    str | None,
    Field(
        description="Capture time by the camera's clock, without a time zone, or a date alone; null if unknown.",
        examples=["2024-07-14T16:03:22", "2024-07-14"],
    ),
]


class PlaceOfImage(BaseModel):
    """A file that holds an image."""

    path: Path
    size: Size
    present: bool = Field(description="Whether the file exists now.", examples=[True])


class ImageResponse(BaseModel):
    """Everything the index knows about an image. `path`, `folder`, `name`, `size` describe its first existing file."""

    id: Id
    path: str | None = Field(
        description="Path on the server; null while all its files are missing.",
        examples=["/srv/pictures/2024/IMG_2034.jpg"],
    )
    folder: str | None = Field(description="The folder of `path`.", examples=["/srv/pictures/2024"])
    name: str | None = Field(description="The file name of `path`.", examples=["IMG_2034.jpg"])
    size: int | None = Field(description="Size of `path` in bytes at indexing time.", examples=[2_345_678])
    width: Width
    height: Height
    format: str = Field(description="Format detected from the content, whatever the file name says.", examples=["JPEG"])
    taken_at: TakenAt
    date_source: Literal["picture", "sidecar", "name"] | None = Field(
        description="Where `taken_at` is from: the picture itself, its sidecar, or its file name; null without one.",
        examples=["picture"],
    )
    camera: str | None = Field(description="Camera make and model; null if unknown.", examples=["Canon EOS 5D"])
    lens: str | None = Field(description="The lens; null if unknown.", examples=["EF50mm f/1.8 STM"])
    latitude: float | None = Field(description="Degrees, north positive; null if unknown.", examples=[48.137])
    longitude: float | None = Field(description="Degrees, east positive; null if unknown.", examples=[11.575])
    place_names: list[str] = Field(
        description="Names of the place, the nearest first: from the picture itself, or of its position.",
        examples=[["Munich", "Bavaria", "Germany"]],
    )
    title: str | None = Field(description="Title that the picture carries.", examples=["Our new garden"])
    description: str | None = Field(description="Description that the picture carries.", examples=["Before the rain"])
    keywords: list[str] = Field(description="Keywords that the picture carries.", examples=[["garden", "tulips"]])
    persons: list[str] = Field(description="Names of the people shown, as somebody wrote them.", examples=[["Anna"]])
    rating: int | None = Field(description="Stars from 1 to 5; -1 for a rejected picture; null without.", examples=[4])
    creator: str | None = Field(description="Who made the picture.", examples=["Anna Example"])
    copyright: str | None = Field(description="Its copyright notice.", examples=["© 2024 Anna Example"])
    places: list[PlaceOfImage] = Field(description="All files with exactly this content.")
    captions: list[OwnCaption] = Field(description="Captions indexed with the image.")


class BrowsedImage(BaseModel):
    """An image in a listing."""

    id: Id
    path: str = Field(description="Path of its first file on the server.", examples=["/srv/pictures/2024/IMG_2034.jpg"])
    width: Width
    height: Height
    format: str = Field(description="Format detected from the content, whatever the file name says.", examples=["JPEG"])
    taken_at: TakenAt


class ImagesResponse(BaseModel):
    """A page of images, newest first."""

    images: list[BrowsedImage] = Field(description="Newest first; images without a date last.")
    next_cursor: str | None = Field(description="Pass as `cursor` to get the next page; null on the last page.")


class Count(BaseModel):
    """The number of items with one value."""

    value: str | None = Field(description="The value; null for unknown.", examples=["Canon EOS 5D"])
    count: int = Field(description="Number of items with this value.", examples=[120])


Counts = Annotated[list[Count], Field(description="Image counts by value.")]


class FacetsResponse(BaseModel):
    """Image counts by folder, camera, format, … among the images that match the filters. Missing files do not count.

    Of keywords, persons, places and lenses, the 100 most frequent are listed.
    """

    images: int = Field(description="Number of matching images.", examples=[480])
    folders: list[Count] = Field(
        description="File counts by folder, at the deepest level that has at most 50 folders; an image can be in "
        "several. Use `value` in a filter `folder = …`."
    )
    cameras: Counts
    formats: Counts
    orientations: Counts
    years: Counts
    months: Counts
    keywords: Counts
    persons: Counts
    places: Counts
    lenses: Counts
    ratings: Counts


class CopyOfImage(BaseModel):
    """A file in a duplicate group. Files with the same `image_id` are identical."""

    path: Path
    image_id: Id
    width: Width
    height: Height
    bytes: int = Field(description="File size in bytes.", examples=[2_345_678])
    kind: Literal["largest", "same bytes", "version", "another name"] = Field(
        description="`largest` comes first. `same bytes`: as the file before it. `another name`: a hard link to the "
        "file before it; deleting it frees nothing.",
        examples=["version"],
    )
    frees: int = Field(
        description="Bytes that deleting the file under all its names frees; 0 at `another name`, and if the file has "
        "names that are not indexed.",
        examples=[2_345_678],
    )


class Duplicates(BaseModel):
    """A group of files that show the same picture, or of names of one file."""

    likeness: float = Field(description="Lowest similarity of files that were joined, [0, 1].", examples=[0.893])
    image_ids: list[int] = Field(description="Ids of its images, largest first.", examples=[[1, 4]])
    files: list[CopyOfImage] = Field(description="All files of these images, largest first.")


class DuplicatesResponse(BaseModel):
    """Duplicate groups: exact copies, and resized, recompressed, cropped, grey, mirrored or turned versions."""

    groups: list[Duplicates] = Field(description="The first k groups, ordered by the path of their largest file.")
    total: int = Field(description="Total number of groups.", examples=[12])


class ModelOfIndex(BaseModel):
    """A model and how much of the index it has embedded."""

    name: str = Field(description="Use as `model` in a search.", examples=["crosslook-base"])
    fingerprint: str = Field(description="SHA-256 digest of the model.", examples=["9f2c41d0" * 8])
    dimension: int = Field(description="Embedding dimension.", examples=[256])
    active: bool = Field(description="Whether searches that name no model use it.", examples=[True])
    images: int = Field(description="Images it has embedded.", examples=[480])
    images_of: int = Field(description="Images in the index.", examples=[480])
    captions: int = Field(description="Captions it has embedded.", examples=[0])
    captions_of: int = Field(description="Captions in the index.", examples=[0])
    bytes: int = Field(description="Approximate size of its embeddings in bytes.", examples=[3_600_000])


class ModelsResponse(BaseModel):
    """The models of the index."""

    models: list[ModelOfIndex] = Field(description="The models, active one first.")


class ActiveModel(BaseModel):
    """The model that answers searches."""

    name: str = Field(description="Name of the model.", examples=["crosslook-base"])
    fingerprint: str = Field(description="SHA-256 digest of the model.", examples=["9f2c41d0" * 8])
    dimension: int = Field(description="Embedding dimension.", examples=[256])


class VectorsBuilt(BaseModel):
    """The vector index in use for one kind of vector."""

    structure: Literal["exact", "HNSW", "IVF-SQ", "IVF-PQ"] = Field(description="FAISS index type.", examples=["HNSW"])
    breadth: int = Field(description="efSearch for HNSW, nprobe for IVF; 0 for `exact`.", examples=[64])
    recall: float | None = Field(description="Measured recall@10 against exact search.", examples=[0.985])


class StatsResponse(BaseModel):
    """What the index holds."""

    images: int = Field(description="Distinct images.", examples=[480])
    locations: int = Field(description="Indexed files.", examples=[492])
    missing: int = Field(description="Files missing when their folder was last indexed.", examples=[0])
    excluded: int = Field(description="Indexed files that are left out now, and hidden.", examples=[0])
    captions: dict[str, int] = Field(description="Caption counts by source.", examples=[{"sidecar": 12}])
    failures: int = Field(description="Files that could not be indexed.", examples=[1])
    encoder: ActiveModel | None = Field(description="The active model; null for an empty index.")
    bytes_on_disk: int = Field(description="Size of the index on disk.", examples=[5_200_000])
    bytes_an_image: int = Field(description="`bytes_on_disk` divided by the number of images.", examples=[10_833])
    roots: list[str] = Field(description="Indexed folders and files.", examples=[["/srv/pictures"]])
    exclusions: dict[str, list[str]] = Field(
        description="Patterns of what is left out, by folder.", examples=[{"/srv/pictures": ["private/"]}]
    )
    vectors: dict[str, VectorsBuilt | None] = Field(
        description="Vector index of `image` and of `caption` vectors; null if not built yet.",
        examples=[{"image": {"structure": "exact", "breadth": 0, "recall": 1.0}, "caption": None}],
    )
