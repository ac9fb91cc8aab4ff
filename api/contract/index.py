"""What is answered about images and about the whole index; OpenAPI is made from these."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from .search import OwnCaption

Path = Annotated[str, Field(description="A file on the server.", examples=["/srv/pictures/2024/IMG_2034.jpg"])]
Size = Annotated[int, Field(description="Bytes, as they were when the file was indexed.", examples=[2_345_678])]
Id = Annotated[int, Field(description="The image's id.", examples=[1])]
Width = Annotated[int, Field(description="Pixels of the upright picture.", examples=[4000])]
Height = Annotated[int, Field(description="Pixels of the upright picture.", examples=[3000])]
TakenAt = Annotated[
    str | None,
    Field(description="By the camera's clock, without a zone; null if not known.", examples=["2024-07-14T16:03:22"]),
]


class PlaceOfImage(BaseModel):
    """A file of an image."""

    path: Path
    size: Size
    present: bool = Field(description="Whether the file is there now.", examples=[True])


class ImageResponse(BaseModel):
    """All that the index knows about an image. `path`, `folder`, `name` and `size` are of its first file there is."""

    id: Id
    path: str | None = Field(
        description="Null while its files are missing.", examples=["/srv/pictures/2024/IMG_2034.jpg"]
    )
    folder: str | None = Field(description="The folder of `path`.", examples=["/srv/pictures/2024"])
    name: str | None = Field(description="The file name of `path`.", examples=["IMG_2034.jpg"])
    size: int | None = Field(description="Bytes of `path` when it was indexed.", examples=[2_345_678])
    width: Width
    height: Height
    format: str = Field(description="What the file holds, whatever it is called.", examples=["JPEG"])
    taken_at: TakenAt
    camera: str | None = Field(description="Its maker and model; null if not known.", examples=["Canon EOS 5D"])
    latitude: float | None = Field(description="Degrees, north is positive; null if not known.", examples=[48.137])
    longitude: float | None = Field(description="Degrees, east is positive; null if not known.", examples=[11.575])
    places: list[PlaceOfImage] = Field(description="Every file with just these bytes.")
    captions: list[OwnCaption] = Field(description="Captions that came with it.")


class BrowsedImage(BaseModel):
    """An image in a listing."""

    id: Id
    path: str = Field(description="Its first file.", examples=["/srv/pictures/2024/IMG_2034.jpg"])
    width: Width
    height: Height
    format: str = Field(description="What the file holds, whatever it is called.", examples=["JPEG"])
    taken_at: TakenAt


class ImagesResponse(BaseModel):
    """A page of images, the newest first."""

    images: list[BrowsedImage] = Field(description="The newest first; last those whose date is not known.")
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null at the end.")


class Count(BaseModel):
    """How many have one value."""

    value: str | None = Field(description="The value; null where it is not known.", examples=["Canon EOS 5D"])
    count: int = Field(description="How many have it.", examples=[120])


Counts = Annotated[list[Count], Field(description="Counts of images by value.")]


class FacetsResponse(BaseModel):
    """How many images of each kind there are among those that fulfil the filters. Missing files count nowhere."""

    images: int = Field(description="All of them.", examples=[480])
    folders: list[Count] = Field(
        description="Counts of files by folder, at the deepest level with at most 50 folders; a picture may lie in "
        "several. `value` serves in a filter `folder = …`."
    )
    cameras: Counts
    formats: Counts
    orientations: Counts
    years: Counts
    months: Counts


class CopyOfImage(BaseModel):
    """A file of a group. Files with one `image_id` have the same bytes."""

    path: Path
    image_id: Id
    width: Width
    height: Height
    bytes: int = Field(description="Size of the file.", examples=[2_345_678])


class Duplicates(BaseModel):
    """Files that show one picture."""

    likeness: float = Field(description="The least by which they were joined, [-1, 1].", examples=[0.993])
    image_ids: list[int] = Field(description="Its images, the largest first.", examples=[[1, 4]])
    files: list[CopyOfImage] = Field(description="All their files, the largest first.")


class DuplicatesResponse(BaseModel):
    """Groups of files that show one picture: copies, and versions resized, recompressed, brightened, cropped."""

    groups: list[Duplicates] = Field(description="The first k groups, by the path of their largest file.")
    total: int = Field(description="How many groups there are.", examples=[12])


class ModelOfIndex(BaseModel):
    """A model, and how much of the index it has embedded."""

    name: str = Field(description="Serves as `model` of a search.", examples=["crosslook-base"])
    fingerprint: str = Field(description="SHA-256 of the model.", examples=["9f2c41d0" * 8])
    dimension: int = Field(description="Of its vectors.", examples=[256])
    active: bool = Field(description="Whether it answers searches that name no model.", examples=[True])
    images: int = Field(description="Images that it has embedded.", examples=[480])
    images_of: int = Field(description="Images that there are.", examples=[480])
    captions: int = Field(description="Captions that it has embedded.", examples=[0])
    captions_of: int = Field(description="Captions that there are.", examples=[0])
    bytes: int = Field(description="About what its embeddings take.", examples=[3_600_000])


class ModelsResponse(BaseModel):
    """The models of the index."""

    models: list[ModelOfIndex] = Field(description="The active one first.")


class ActiveModel(BaseModel):
    """The model that answers searches."""

    name: str = Field(description="What it is called.", examples=["crosslook-base"])
    fingerprint: str = Field(description="SHA-256 of the model.", examples=["9f2c41d0" * 8])
    dimension: int = Field(description="Of its vectors.", examples=[256])


class VectorsBuilt(BaseModel):
    """How vectors are searched."""

    structure: Literal["exact", "HNSW", "IVF-SQ", "IVF-PQ"] = Field(description="Of FAISS.", examples=["HNSW"])
    breadth: int = Field(description="Its search parameter; 0 for `exact`.", examples=[64])
    recall: float | None = Field(description="Measured share of the ten nearest that is found.", examples=[0.985])


class StatsResponse(BaseModel):
    """What the index holds."""

    images: int = Field(description="Different images.", examples=[480])
    locations: int = Field(description="Files.", examples=[492])
    missing: int = Field(description="Files that were gone when their folder was last indexed.", examples=[0])
    captions: dict[str, int] = Field(description="Captions by where they came from.", examples=[{"sidecar": 12}])
    failures: int = Field(description="Files that could not be indexed.", examples=[1])
    encoder: ActiveModel | None = Field(description="The active model; null for an empty index.")
    bytes_on_disk: int = Field(description="Bytes of the index.", examples=[5_200_000])
    bytes_an_image: int = Field(description="The same, shared out among the images.", examples=[10_833])
    roots: list[str] = Field(description="Folders and files that were indexed.", examples=[["/srv/pictures"]])
    vectors: dict[str, VectorsBuilt | None] = Field(
        description="How `image` and `caption` vectors are searched; null where no file is written yet.",
        examples=[{"image": {"structure": "exact", "breadth": 0, "recall": 1.0}, "caption": None}],
    )
