"""Groups of files that show one picture, described so that people can decide what to keep."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ..catalog.catalog import Catalog
from ..catalog.images import images_by_id, known_locations
from ..catalog.records import ImageRecord, LocationRecord
from .files import NamedFile, files_of


class CopyKind(StrEnum):
    """What a path of a group is."""

    LARGEST = "largest"
    SAME_BYTES = "same bytes"  # as the file before it
    VERSION = "version"
    ANOTHER_NAME = "another name"  # of the file before it; deleting it frees nothing


@dataclass(frozen=True)
class Copy:
    """A path of a group. Files with one `image_id` have the same bytes.

    Attributes:
        bytes: size of the file.
        frees: bytes that deleting the file under all its names frees; 0 at another name, and if some are not indexed.
    """

    path: str
    image_id: int
    width: int
    height: int
    bytes: int
    kind: CopyKind
    frees: int


@dataclass(frozen=True)
class DuplicateGroup:
    """Files that show one picture, the largest first; `likeness` is the lowest one that joined two of them."""

    copies: tuple[Copy, ...]
    likeness: float

    @property
    def files(self) -> int:
        """The number of files, each counted once, whatever names it has."""
        return sum(copy.kind is not CopyKind.ANOTHER_NAME for copy in self.copies)


class Groups:
    """Union-find over image ids, with the lowest likeness that joined each group."""

    def __init__(self, images: Collection[int]) -> None:
        self._parent = {image: image for image in images}
        self._lowest = dict.fromkeys(images, 1.0)

    def unite(self, one: int, two: int, likeness: float) -> None:
        """Join the groups of two images."""
        first, second = self.root(one), self.root(two)
        if first != second:
            self._parent[second] = first
            self._lowest[first] = min(likeness, self._lowest[first], self._lowest[second])

    def root(self, image: int) -> int:
        """The image that represents the group of an image."""
        while self._parent[image] != image:
            self._parent[image] = image = self._parent[self._parent[image]]
        return image

    def several(self, locations: Mapping[int, Sequence[LocationRecord]]) -> Iterator[tuple[list[int], float]]:
        """The images of each group with several locations, and the lowest likeness that joined them."""
        members: dict[int, list[int]] = {}
        for image in self._parent:
            members.setdefault(self.root(image), []).append(image)
        for root, images in members.items():
            if sum(len(locations[image]) for image in images) > 1:
                yield images, self._lowest[root]


def refreshed(catalog: Catalog, groups: Sequence[DuplicateGroup]) -> list[DuplicateGroup]:
    """Describe groups that were found earlier as they are now: without files that have gone or changed since."""
    paths = [copy.path for group in groups for copy in group.copies]
    locations: dict[int, list[LocationRecord]] = {}
    for record in known_locations(catalog, paths).values():
        if not record.missing:
            locations.setdefault(record.image_id, []).append(record)
    images = [(list(dict.fromkeys(copy.image_id for copy in group.copies)), group.likeness) for group in groups]
    return duplicate_groups(catalog, images, locations)


def duplicate_groups(
    catalog: Catalog, groups: Iterable[tuple[list[int], float]], locations: Mapping[int, Sequence[LocationRecord]]
) -> list[DuplicateGroup]:
    """Describe groups of images by their files, sorted by the path of the largest; those with one name are left out.

    Args:
        catalog: an open index.
        groups: the images of each, and their likeness.
        locations: where each image is, by its id.
    """
    groups = list(groups)
    records = images_by_id(catalog, [image for images, _ in groups for image in images])
    described = []
    for images, lowest in groups:
        files = [
            (records[image], file)
            for image in images
            if image in records
            for file in files_of(locations.get(image, ()))
        ]
        if sum(len(file.names) for _, file in files) > 1:  # files may have been deleted meanwhile
            described.append(DuplicateGroup(tuple(_copies(files)), round(lowest, 4)))
    return sorted(described, key=lambda group: group.copies[0].path)


def _copies(files: list[tuple[ImageRecord, NamedFile]]) -> Iterator[Copy]:
    """The paths of a group: the largest first, names of a file and files with the same bytes one after the other."""
    first: dict[int, str] = {}
    for image, file in files:
        first[image.id] = min(file.names[0], first.get(image.id, file.names[0]))
    files.sort(key=lambda f: (-f[0].width * f[0].height, -f[1].size, first[f[0].id], f[1].names[0]))
    previous = None
    for image, file in files:
        kind = (
            CopyKind.LARGEST if previous is None else CopyKind.SAME_BYTES if previous == image.id else CopyKind.VERSION
        )
        previous = image.id
        for number, name in enumerate(file.names):
            of_file = (kind, file.frees) if number == 0 else (CopyKind.ANOTHER_NAME, 0)
            yield Copy(name, image.id, image.width, image.height, file.size, *of_file)
