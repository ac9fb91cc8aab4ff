"""Find duplicates: copies of a file, and resized, recompressed, brightened or cropped versions of a picture.

Candidate pairs pass three stages, each stricter and slower than the one before: vectors find pictures with the same
content, region grids those with the same composition, and thumbnails tell versions of one picture from two photographs
of one scene.
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
"""Minimum cosine of vectors, and mean cosine of regions, of the pairs that reach the next stage."""

LIKENESS = 0.97
"""Minimum correlation of thumbnails of a duplicate. All three were measured, see docs/LOG.md."""

NEIGHBOURS = 16
"""Nearest images compared with each image; larger groups are joined through their members."""

QUERIES, PAIRS = 1024, 512  # processed at a time, so that memory stays bounded
CACHED = 4 * PAIRS
"""Images whose thumbnails stay in memory, 21.5 kB each; `PAIRS` pairs need at most half as many."""

SIDE = 16  # pixels of a thumbnail

MARGINS = ((0, 0, 0, 0), (0.025,) * 4, (0.05,) * 4, (0.05, 0, 0, 0), (0, 0.05, 0, 0), (0, 0, 0.05, 0), (0, 0, 0, 0.05))
"""Crops of each thumbnail: the shares of width and height cut off at the left, top, right and bottom."""


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
    """Files that show one picture, the largest first; `likeness` is the lowest one that joined two of them."""

    copies: tuple[Copy, ...]
    likeness: float


def find_duplicates(
    catalog: Catalog, *, threshold: float = LIKENESS, progress: Progress = no_progress
) -> list[DuplicateGroup]:
    """Find all groups of files that show one picture. Missing files and symbolic links are left out.

    Args:
        catalog: an open index.
        threshold: minimum likeness of duplicates; at 1 they must be identical files, and no file is opened.
        progress: called with the phases `images` and `pairs`.
    """
    locations: dict[int, list[LocationRecord]] = {}
    for record in known_locations(catalog).values():
        if not record.missing and not Path(record.path).is_symlink():
            locations.setdefault(record.image_id, []).append(record)
    groups = _Groups(locations)
    if threshold < 1:
        pairs = _with_agreeing_regions(catalog, _neighbours(catalog, locations, progress))
        for (one, two), value in _likenesses(pairs, locations, progress):
            if value >= threshold:
                groups.unite(one, two, value)
    return _duplicate_groups(catalog, groups, locations)


def agreement(ones: Floats, twos: Floats) -> Floats:
    """The mean cosine of the regions at the same positions of two pictures.

    Shape:
        - ones, twos: (K, P, C).

    Returns:
        The agreement of K pairs (K,), in [-1, 1].
    """
    lengths = np.linalg.norm(ones, axis=2) * np.linalg.norm(twos, axis=2)
    return ((ones * twos).sum(axis=2) / np.maximum(lengths, 1e-8)).mean(axis=1)


def thumbnails(image: Image.Image) -> Floats:
    """Thumbnails of a picture, uncropped and with each of `MARGINS` cut off.

    They have mean 0 and length 1, so that brightness and contrast do not matter. Without contrast they are zero, which
    has a likeness of 0 to everything.

    Returns:
        One row of values for each crop (M, V); the first is uncropped.
    """
    rows = []
    width, height = image.size
    for left, top, right, bottom in MARGINS:
        box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
        small = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
        values = np.asarray(small, np.float32).ravel()
        rows.append(values - values.mean())
    centred = np.stack(rows)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.where(lengths > SIDE, centred / np.maximum(lengths, 1e-8), 0).astype(np.float32)


def likeness(one: Floats, two: Floats) -> float:
    """The highest correlation of two pictures' thumbnails of which at least one is uncropped, in [-1, 1].

    Shape:
        - one, two: (M, V), from `thumbnails`.
    """
    return float(max((one[:1] @ two.T).max(), (one @ two[:1].T).max()))


def _neighbours(catalog: Catalog, among: Collection[int], progress: Progress) -> list[tuple[int, int]]:
    """Return each pair of images whose vectors are near each other once."""
    ids, vectors = read_vectors(catalog, Kind.IMAGE)
    index = VectorIndex.open(catalog, Kind.IMAGE)
    pairs: set[tuple[int, int]] = set()
    for start in range(0, len(ids), QUERIES):
        cosines, neighbours = index.search(vectors[start : start + QUERIES], NEIGHBOURS + 1)
        for row, column in np.argwhere(cosines >= COSINE):
            one, two = int(ids[start + row]), int(neighbours[row, column])
            if one != two and one in among and two in among:
                pairs.add((min(one, two), max(one, two)))
        progress("images", min(start + QUERIES, len(ids)), len(ids))
    return sorted(pairs)


def _with_agreeing_regions(catalog: Catalog, pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the pairs whose stored regions agree."""
    agreeing: list[tuple[int, int]] = []
    for start in range(0, len(pairs), PAIRS):
        batch = pairs[start : start + PAIRS]
        ids, _, regions = stored_features(catalog, Kind.IMAGE, sorted({image for pair in batch for image in pair}))
        stored, grids = set(ids), np.asarray(regions)
        batch = [pair for pair in batch if stored.issuperset(pair)]  # images may have been deleted meanwhile
        if not batch:
            continue
        ones, twos = (np.searchsorted(ids, side) for side in zip(*batch, strict=True))
        agree = agreement(grids[ones], grids[twos]) >= AGREEMENT
        agreeing += [pair for pair, agrees in zip(batch, agree, strict=True) if agrees]
    return agreeing


def _likenesses(
    pairs: Sequence[tuple[int, int]],
    locations: dict[int, list[LocationRecord]],
    progress: Progress,
) -> Iterator[tuple[tuple[int, int], float]]:
    """Yield the likeness of each pair whose files can be read.

    Pairs are sorted by connected component, so that each image is read once, unless a component is so large that its
    thumbnails do not stay in memory.
    """
    components = _Groups({image for pair in pairs for image in pair})
    for one, two in pairs:
        components.unite(one, two, 1.0)
    pairs = sorted(pairs, key=lambda pair: (components.root(pair[0]), pair))
    cached: dict[int, Floats | None] = {}  # the least recently used first
    for start in range(0, len(pairs), PAIRS):
        batch = pairs[start : start + PAIRS]
        ids = {image for pair in batch for image in pair}
        cached |= {image: cached.pop(image) for image in ids & cached.keys()}
        missing = sorted(ids - cached.keys())
        results = read_ahead(partial(_read_thumbnails, locations), missing, 2 * DECODE_THREADS)
        cached.update(zip(missing, results, strict=True))
        for image in list(cached)[:-CACHED]:
            del cached[image]
        for one, two in batch:
            first, second = cached[one], cached[two]
            if first is not None and second is not None:
                yield (one, two), likeness(first, second)
        progress("pairs", min(start + PAIRS, len(pairs)), len(pairs))


def _read_thumbnails(locations: dict[int, list[LocationRecord]], image: int) -> Floats | None:
    """Return the thumbnails of an image; None if none of its files can be read."""
    for location in locations[image]:
        try:
            return thumbnails(open_image(Path(location.path), at_least=4 * SIDE))
        except DecodeError:
            continue
    return None


class _Groups:
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

    def all(self) -> Iterator[tuple[list[int], float]]:
        """Each group's images, and the lowest likeness that joined them."""
        members: dict[int, list[int]] = {}
        for image in self._parent:
            members.setdefault(self.root(image), []).append(image)
        return ((images, self._lowest[root]) for root, images in members.items())

    def root(self, image: int) -> int:
        """The image that represents the group of an image."""
        while self._parent[image] != image:
            self._parent[image] = image = self._parent[self._parent[image]]
        return image


def _duplicate_groups(
    catalog: Catalog, groups: _Groups, locations: dict[int, list[LocationRecord]]
) -> list[DuplicateGroup]:
    """Return the groups of more than one file, sorted by the path of the largest."""
    multiple = [(images, lowest) for images, lowest in groups.all() if sum(len(locations[i]) for i in images) > 1]
    records = images_by_id(catalog, [image for images, _ in multiple for image in images])
    result = []
    for images, lowest in multiple:
        copies = [
            Copy(location.path, image, records[image].width, records[image].height, location.size)
            for image in images
            if image in records
            for location in locations[image]
        ]
        copies.sort(key=lambda copy: (-copy.width * copy.height, -copy.bytes, copy.path))
        if len(copies) > 1:  # images may have been deleted meanwhile
            result.append(DuplicateGroup(tuple(copies), round(lowest, 4)))
    return sorted(result, key=lambda group: group.copies[0].path)
