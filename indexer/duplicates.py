"""Copies of one picture: the same file at several places, and versions resized, recompressed, brightened, cropped.

Candidates are neighbours by the vectors' cosine, which two photographs of one scene are as well. Their region grids
tell them apart: in copies the same thing is seen at the same place everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from encoders import Floats

from .catalog import Catalog
from .records import Kind, LocationRecord
from .vectors import VectorIndex

COSINE = 0.8
"""Of vectors, from which on a pair is looked at more closely."""

AGREEMENT = 0.9
"""Of regions place by place, from which on a pair is one picture. Both as measured in docs/LOG.md."""

NEIGHBOURS = 16
"""How many are compared with each image; larger groups hang together through their members."""

QUERIES, PAIRS = 1024, 512  # in one search, and in one reading of grids: memory stays bounded


@dataclass(frozen=True)
class Copy:
    """A file of a group. Files with one `image_id` have the same bytes."""

    path: str
    image_id: int
    width: int
    height: int
    bytes: int


@dataclass(frozen=True)
class DuplicateGroup:
    """Files that show one picture, the largest first; `agreement` is the least by which they were joined."""

    copies: tuple[Copy, ...]
    agreement: float


def find_duplicates(
    catalog: Catalog, *, threshold: float = AGREEMENT, progress: Callable[[str, int, int], None] = lambda *_: None
) -> list[DuplicateGroup]:
    """Find all groups of files that show one picture. Missing files are left out, and no file is opened.

    Args:
        catalog: an open index.
        threshold: least `agreement` of two images that count as one picture; at 1 only the same bytes do.
        progress: called with `images`, how many are done, and out of how many.
    """
    places: dict[int, list[LocationRecord]] = {}
    for record in catalog.locations().values():
        if not record.missing:
            places.setdefault(record.image_id, []).append(record)
    groups = _Groups(places)
    if threshold < 1:
        pairs = _candidates(catalog, places, progress)
        for start in range(0, len(pairs), PAIRS):
            part = pairs[start : start + PAIRS]
            for (one, two), alike in zip(part, _agreements(catalog, part), strict=True):
                if alike >= threshold:
                    groups.unite(one, two, alike)
    return _described(catalog, groups, places)


def agreement(one: Floats, two: Floats) -> float:
    """How alike two pictures are place by place: the mean cosine of regions at the same place, in [-1, 1].

    Shape:
        - one, two: (P, C).
    """
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
    return float(((one * two).sum(axis=1) / np.maximum(lengths, 1e-8)).mean())


def _candidates(
    catalog: Catalog, among: Collection[int], progress: Callable[[str, int, int], None]
) -> list[tuple[int, int]]:
    """Pairs of neighbours by their vectors, each once."""
    ids, vectors = catalog.vectors(Kind.IMAGE)
    index = VectorIndex.open(catalog, Kind.IMAGE)
    pairs: set[tuple[int, int]] = set()
    for start in range(0, len(ids), QUERIES):
        cosines, found = index.search(vectors[start : start + QUERIES], NEIGHBOURS + 1)
        for row, column in np.argwhere(cosines >= COSINE):
            one, two = int(ids[start + row]), int(found[row, column])
            if one != two and one in among and two in among:
                pairs.add((min(one, two), max(one, two)))
        progress("images", min(start + QUERIES, len(ids)), len(ids))
    return sorted(pairs)


def _agreements(catalog: Catalog, pairs: Sequence[tuple[int, int]]) -> Iterator[float]:
    """How alike the two of each pair are, by their stored regions."""
    ids = sorted({image for pair in pairs for image in pair})
    grids = dict(zip(ids, catalog.features(Kind.IMAGE, ids)[1], strict=True))
    return (agreement(grids[one], grids[two]) for one, two in pairs)


class _Groups:
    """Union-find over image ids."""

    def __init__(self, images: Collection[int]) -> None:
        self._parent = {image: image for image in images}
        self._least = dict.fromkeys(images, 1.0)

    def unite(self, one: int, two: int, alike: float) -> None:
        """Put the groups of two images together."""
        first, second = self._find(one), self._find(two)
        if first != second:
            self._parent[second] = first
            self._least[first] = min(alike, self._least[first], self._least[second])

    def all(self) -> Iterator[tuple[list[int], float]]:
        """Each group's images, and the least agreement that joined them."""
        members: dict[int, list[int]] = {}
        for image in self._parent:
            members.setdefault(self._find(image), []).append(image)
        return ((images, self._least[root]) for root, images in members.items())

    def _find(self, image: int) -> int:
        while self._parent[image] != image:
            self._parent[image] = image = self._parent[self._parent[image]]
        return image


def _described(catalog: Catalog, groups: _Groups, places: dict[int, list[LocationRecord]]) -> list[DuplicateGroup]:
    """The groups of more than one file, by the path of the largest."""
    several = [(images, least) for images, least in groups.all() if sum(len(places[i]) for i in images) > 1]
    records = catalog.images([image for images, _ in several for image in images])
    described = []
    for images, least in several:
        copies = [
            Copy(place.path, image, records[image].width, records[image].height, place.size)
            for image in images
            if image in records
            for place in places[image]
        ]
        copies.sort(key=lambda copy: (-copy.width * copy.height, -copy.bytes, copy.path))
        described.append(DuplicateGroup(tuple(copies), round(least, 4)))
    return sorted(described, key=lambda group: group.copies[0].path if group.copies else "")
