"""Find duplicates: copies of a file, and versions of a picture that were resized, recompressed, cropped or turned.

Each stage is stricter and slower than the one before: vectors and region grids choose candidates from the index alone,
coarse grids find how one picture lies in another, and a comparison place by place decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from PIL import Image

from encoders.progress import Progress, no_progress

from ..catalog.catalog import Catalog
from ..catalog.images import known_locations
from ..catalog.records import LocationRecord
from ..errors import DecodeError
from ..ingest.reading import DECODE_THREADS, read_ahead
from ..pictures.decode import read_picture
from ..pictures.metadata import PictureMetadata
from .alignment import PIXELS, Coarse
from .candidates import PAIRS, candidate_pairs
from .files import unchanged_status
from .groups import DuplicateGroup, Groups, duplicate_groups
from .looks import DETAIL, LIKENESS, SIDE, Look, alignable, likeness

CACHED = 4 * PAIRS
"""Images whose looks stay in memory, 42 kB each; `PAIRS` pairs need at most half as many."""

Locations = Mapping[int, Sequence[LocationRecord]]


def find_duplicates(
    catalog: Catalog, *, threshold: float = LIKENESS, progress: Progress = no_progress
) -> list[DuplicateGroup]:
    """Find all groups of files that show one picture, and of names that lead to one file, as they are on the disk now.

    Files that are gone or have changed since they were indexed are left out, and so are symbolic links.

    Args:
        catalog: an open index.
        threshold: minimum likeness of duplicates; at 1 they must be identical files, and no file is opened.
        progress: called with the phases `images`, `files`, `layouts` and `pairs`.
    """
    locations: dict[int, list[LocationRecord]] = {}
    for record in known_locations(catalog).values():
        if not record.missing:
            locations.setdefault(record.image_id, []).append(record)
    groups = Groups(locations)
    if threshold < 1:
        pairs = _alignable(candidate_pairs(catalog, locations, progress), locations, progress)
        for (one, two), compare in _comparisons(pairs, locations, progress):
            if groups.root(one) != groups.root(two) and (value := compare()) >= threshold:
                groups.unite(one, two, value)
    return duplicate_groups(catalog, groups.several(locations), locations)


def _alignable(pairs: Sequence[tuple[int, int]], locations: Locations, progress: Progress) -> list[tuple[int, int]]:
    """Return the pairs of which one picture may lie in the other. Reads each image once, and keeps 1.5 kB of each."""
    images = sorted({image for pair in pairs for image in pair})
    coarse: dict[int, Coarse] = {}
    results = read_ahead(partial(_read_coarse, locations), images, 2 * DECODE_THREADS)
    for done, (image, result) in enumerate(zip(images, results, strict=True), 1):
        if result is not None:
            coarse[image] = result
        progress("files", done, len(images))
    alike = []
    for done, (one, two) in enumerate(pairs, 1):
        if one in coarse and two in coarse and alignable(coarse[one], coarse[two]):
            alike.append((one, two))
        if done % PAIRS == 0 or done == len(pairs):
            progress("layouts", done, len(pairs))
    return alike


def _comparisons(
    pairs: Sequence[tuple[int, int]], locations: Locations, progress: Progress
) -> Iterator[tuple[tuple[int, int], Callable[[], float]]]:
    """Yield each pair whose files can be read, and a function that computes its likeness.

    Pairs are sorted by connected component, so that each image is read once more, unless a component is so large that
    its looks do not stay in memory.
    """
    components = Groups({image for pair in pairs for image in pair})
    for one, two in pairs:
        components.unite(one, two, 1.0)
    pairs = sorted(pairs, key=lambda pair: (components.root(pair[0]), pair))
    cached: dict[int, Look | None] = {}  # the least recently used first
    for start in range(0, len(pairs), PAIRS):
        batch = pairs[start : start + PAIRS]
        ids = {image for pair in batch for image in pair}
        cached |= {image: cached.pop(image) for image in ids & cached.keys()}
        missing = sorted(ids - cached.keys())
        results = read_ahead(partial(_read_look, locations), missing, 2 * DECODE_THREADS)
        cached.update(zip(missing, results, strict=True))
        for image in list(cached)[:-CACHED]:
            del cached[image]
        for one, two in batch:
            first, second = cached[one], cached[two]
            if first is not None and second is not None:
                yield (one, two), partial(likeness, first, second)
        progress("pairs", min(start + PAIRS, len(pairs)), len(pairs))


def _read_coarse(locations: Locations, image: int) -> Coarse | None:
    picture = _read(locations[image], 2 * PIXELS)
    return None if picture is None else Coarse.of(picture[0], (picture[1].width, picture[1].height))


def _read_look(locations: Locations, image: int) -> Look | None:
    """Return what an image looks like; None if none of its files can be read as it was indexed."""
    picture = _read(locations[image], SIDE)
    if picture is None:
        return None
    pixels, metadata = picture
    detail = partial(_read_detail, locations[image])
    return Look.of(pixels, (metadata.width, metadata.height), detail, metadata.taken_at)


def _read_detail(locations: Sequence[LocationRecord]) -> Image.Image | None:
    picture = _read(locations, DETAIL)
    return None if picture is None else picture[0].convert("L")


def _read(locations: Sequence[LocationRecord], at_least: int) -> tuple[Image.Image, PictureMetadata] | None:
    """Read the first of the files of an image that can be read and has not changed since it was indexed."""
    for location in locations:
        if unchanged_status(location) is not None:
            with suppress(DecodeError):
                return read_picture(Path(location.path), at_least=at_least)
    return None
