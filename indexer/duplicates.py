"""Copies of one picture: the same file at several places, and versions resized, recompressed, brightened, cropped.

Three looks, each at less and closer. Neighbours by their vectors mean the same; their region grids say whether the
same is seen at the same places, which two photographs of one scene may do as well; their files, at thumbnail size,
tell those apart.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from encoders import Floats
from encoders.progress import Progress, no_progress

from .catalog.catalog import Catalog
from .catalog.embeddings import read_vectors, stored_features
from .catalog.images import images_by_id, known_locations
from .catalog.records import Kind, LocationRecord
from .errors import DecodeError
from .ingest.reading import DECODE_THREADS, read_ahead
from .pictures.decode import open_image
from .vectors.index import VectorIndex

COSINE, AGREEMENT = 0.5, 0.7
"""Of vectors, and of regions place by place, from which on a pair is looked at more closely."""

LIKENESS = 0.97
"""Of thumbnails, from which on a pair is one picture. All three as measured in docs/LOG.md."""

NEIGHBOURS = 16
"""How many are compared with each image; larger groups hang together through their members."""

QUERIES, PAIRS = 1024, 512  # in one search, and in one reading of grids: memory stays bounded
HELD = 4 * PAIRS
"""Images whose thumbnails are in memory at one time, 21.5 kB each; one reading of pairs has at most half as many."""

SIDE = 16  # of a thumbnail

MARGINS = ((0, 0, 0, 0), (0.025,) * 4, (0.05,) * 4, (0.05, 0, 0, 0), (0, 0.05, 0, 0), (0, 0, 0.05, 0), (0, 0, 0, 0.05))
"""What thumbnails leave out at the left, top, right and bottom, as shares of width and height: what crops leave out."""


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
    """Files that show one picture, the largest first; `likeness` is the least by which they were joined."""

    copies: tuple[Copy, ...]
    likeness: float


def find_duplicates(
    catalog: Catalog, *, threshold: float = LIKENESS, progress: Progress = no_progress
) -> list[DuplicateGroup]:
    """Find all groups of files that show one picture. Missing files are left out, and links, which are no copies.

    Args:
        catalog: an open index.
        threshold: least `likeness` of two images that count as one picture; at 1 only the same bytes do, and no file
            is opened.
        progress: called with a phase (`images`, `pairs`), how much is done, and out of how much.
    """
    places: dict[int, list[LocationRecord]] = {}
    for record in known_locations(catalog).values():
        if not record.missing and not Path(record.path).is_symlink():
            places.setdefault(record.image_id, []).append(record)
    groups = _Groups(places)
    if threshold < 1:
        pairs = _at_the_same_places(catalog, _neighbours(catalog, places, progress))
        for (one, two), alike in _likenesses(pairs, places, progress):
            if alike >= threshold:
                groups.unite(one, two, alike)
    return _described(catalog, groups, places)


def agreement(ones: Floats, twos: Floats) -> Floats:
    """How alike pictures are place by place: the mean cosine of regions at the same place, (K,) in [-1, 1].

    Shape:
        - ones, twos: (K, P, C).
    """
    lengths = np.linalg.norm(ones, axis=2) * np.linalg.norm(twos, axis=2)
    return ((ones * twos).sum(axis=2) / np.maximum(lengths, 1e-8)).mean(axis=1)


def thumbnails(image: Image.Image) -> Floats:
    """A picture at thumbnail size, whole and without some of its margins, each with mean 0 and length 1; (M, V).

    So brightness and contrast do not count. One without contrast is all zero, and like nothing.
    """
    parts = []
    width, height = image.size
    for left, top, right, bottom in MARGINS:
        box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
        small = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
        values = np.asarray(small, np.float32).ravel()
        parts.append(values - values.mean())
    rows = np.stack(parts)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.where(lengths > SIDE, rows / np.maximum(lengths, 1e-8), 0).astype(np.float32)


def likeness(one: Floats, two: Floats) -> float:
    """How alike two pictures are: the highest correlation of thumbnails, one of them whole; in [-1, 1].

    Shape:
        - one, two: (M, V), from `thumbnails`.
    """
    return float(max((one[:1] @ two.T).max(), (one @ two[:1].T).max()))


def _neighbours(catalog: Catalog, among: Collection[int], progress: Progress) -> list[tuple[int, int]]:
    """Pairs of images near each other by their vectors, each once."""
    ids, vectors = read_vectors(catalog, Kind.IMAGE)
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


def _at_the_same_places(catalog: Catalog, pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The pairs whose stored regions agree."""
    kept: list[tuple[int, int]] = []
    for start in range(0, len(pairs), PAIRS):
        part = pairs[start : start + PAIRS]
        ids, _, regions = stored_features(catalog, Kind.IMAGE, sorted({image for pair in part for image in pair}))
        there, grids = set(ids), np.asarray(regions)
        part = [pair for pair in part if pair[0] in there and pair[1] in there]  # an indexer may be at work
        if not part:
            continue
        ones, twos = (np.searchsorted(ids, side) for side in zip(*part, strict=True))
        agreed = agreement(grids[ones], grids[twos]) >= AGREEMENT
        kept += [pair for pair, same in zip(part, agreed, strict=True) if same]
    return kept


def _likenesses(
    pairs: Sequence[tuple[int, int]],
    places: dict[int, list[LocationRecord]],
    progress: Progress,
) -> Iterator[tuple[tuple[int, int], float]]:
    """How alike the two of each pair are, where both files can be read.

    Pairs that hang together follow each other, so an image is read once; again only where so many of them do that
    their thumbnails do not fit into memory.
    """
    joined = _Groups({image for pair in pairs for image in pair})
    for one, two in pairs:
        joined.unite(one, two, 1.0)
    pairs = sorted(pairs, key=lambda pair: (joined.root(pair[0]), pair))
    held: dict[int, Floats | None] = {}
    for start in range(0, len(pairs), PAIRS):
        part = pairs[start : start + PAIRS]
        ids = {image for pair in part for image in pair}
        held |= {image: held.pop(image) for image in ids & held.keys()}  # those in use are the youngest
        missing = sorted(ids - held.keys())
        held.update(zip(missing, read_ahead(partial(_look, places), missing, 2 * DECODE_THREADS), strict=True))
        for image in list(held)[:-HELD]:
            del held[image]
        for one, two in part:
            first, second = held[one], held[two]
            if first is not None and second is not None:
                yield (one, two), likeness(first, second)
        progress("pairs", min(start + PAIRS, len(pairs)), len(pairs))


def _look(places: dict[int, list[LocationRecord]], image: int) -> Floats | None:
    """The thumbnails of an image; None where none of its files can be read any more."""
    for place in places[image]:
        try:
            return thumbnails(open_image(Path(place.path), at_least=4 * SIDE))
        except DecodeError:
            continue
    return None


class _Groups:
    """Union-find over image ids."""

    def __init__(self, images: Collection[int]) -> None:
        self._parent = {image: image for image in images}
        self._least = dict.fromkeys(images, 1.0)

    def unite(self, one: int, two: int, alike: float) -> None:
        """Put the groups of two images together."""
        first, second = self.root(one), self.root(two)
        if first != second:
            self._parent[second] = first
            self._least[first] = min(alike, self._least[first], self._least[second])

    def all(self) -> Iterator[tuple[list[int], float]]:
        """Each group's images, and the least likeness that joined them."""
        members: dict[int, list[int]] = {}
        for image in self._parent:
            members.setdefault(self.root(image), []).append(image)
        return ((images, self._least[root]) for root, images in members.items())

    def root(self, image: int) -> int:
        """The image that stands for a group."""
        while self._parent[image] != image:
            self._parent[image] = image = self._parent[self._parent[image]]
        return image


def _described(catalog: Catalog, groups: _Groups, places: dict[int, list[LocationRecord]]) -> list[DuplicateGroup]:
    """The groups of more than one file, by the path of the largest."""
    several = [(images, least) for images, least in groups.all() if sum(len(places[i]) for i in images) > 1]
    records = images_by_id(catalog, [image for images, _ in several for image in images])
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
