"""The roots of an index, and whether a file below them that was not found is missing or gone for good.

Every path passed to `crosslook index`, and every mount point below one, is a root. A root below which no image is found
is *away*: its images are hidden until it is back, even with `--prune`, so an unplugged drive costs nothing. A file is
gone for good only if its root still holds other images. A root that is a single file is gone if its folder still holds
anything.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sqlalchemy import delete, insert

from encoders.datasets import IMAGE_SUFFIXES

from ..catalog import schema
from ..catalog.catalog import Catalog
from ..catalog.contents import indexed_roots
from ..catalog.images import forget_images, known_locations, orphaned_images
from ..catalog.paths import at_or_below, is_storable
from ..errors import SourceError
from .lock import locked
from .scan import BROKEN_LINK, Scan, is_image_name


class Survey:
    """What a scan says about files that it did not list."""

    def __init__(self, result: Scan, bases: Collection[str], roots: Collection[str]) -> None:
        """Judge by one scan.

        Args:
            result: the scan.
            bases: the paths that were scanned.
            roots: all roots of the index.
        """
        self._populated, self._bases = result.populated, set(bases)
        self._present = {file.path for file in result.files}
        self._owner, self._root = Nearest({*bases, *roots}), Nearest(roots)
        self._broken_links = {item.path for item in result.unreadable if item.reason == BROKEN_LINK}
        self._unreadable = Nearest({item.path for item in result.unreadable} - self._broken_links - result.irregular)
        self._was_scanned = cache(self._compute_was_scanned)
        self._has_content = cache(self._compute_has_content)

    def is_missing(self, path: str) -> bool:
        """Whether the scan should have listed a file, but did not."""
        if path in self._present or self._unreadable(path) is not None:
            return False
        owner = self._owner(path)
        return owner is not None and self._was_scanned(owner)

    def is_lost(self, path: str) -> bool:
        """Whether a missing file is gone for good; the target of a broken link may be on an unplugged drive."""
        if path in self._broken_links:
            return False
        owner = self._owner(path)
        return owner is not None and self._has_content(os.path.dirname(path) if owner == path else owner)

    def covers_root_of(self, path: str) -> bool:
        """Whether the whole root of a file was scanned and is not away."""
        root = self._root(path)
        if root is None:
            return True
        return self._was_scanned(root) and self._has_content(os.path.dirname(path) if root == path else root)

    def owner(self, path: str) -> str | None:
        """The nearest root or scanned path at or above a file."""
        return self._owner(path)

    def _compute_was_scanned(self, owner: str) -> bool:
        return owner in self._bases or covering(owner, self._bases) is not None

    def _compute_has_content(self, folder: str) -> bool:
        """Whether a folder holds anything, checked now as well: the drive may have been unplugged during the scan."""
        if folder not in self._populated and self._owner(folder) is not None:
            return False
        try:
            with os.scandir(folder) as entries:
                return any(True for _ in entries)
        except OSError:
            return False


class Nearest:
    """Finds which of some paths is the nearest at or above another path."""

    def __init__(self, paths: Collection[str]) -> None:
        self._paths = paths
        self._by_folder: dict[str, str | None] = {}

    def __call__(self, path: str) -> str | None:
        """Return the nearest path; None if none is at or above this one."""
        if path in self._paths:
            return path
        folder = os.path.dirname(path)
        if folder == path:
            return None
        if folder not in self._by_folder:
            self._by_folder[folder] = self(folder)
        return self._by_folder[folder]


def covering(path: str, folders: Collection[str]) -> str | None:
    """Return the folder whose scan reaches a path; None if there is none.

    Scans enter neither hidden folders nor links to folders, and list only files with the suffix of an image.
    """
    between, folder = [path], os.path.dirname(path)
    while folder not in folders:
        if folder == os.path.dirname(folder):
            return None
        between.append(folder)
        folder = os.path.dirname(folder)
    if folder == path or any(os.path.basename(part).startswith(".") for part in between):
        return None
    if os.path.isfile(path) and not is_image_name(os.path.basename(path)):
        return None
    links = any(os.path.islink(part) for part in between if not os.path.isfile(part))
    return None if links else folder


def outermost(paths: Collection[str]) -> list[str]:
    """The paths without those that the scan of another one reaches."""
    distinct = set(paths)
    return [path for path in distinct if covering(path, distinct) is None]


def check_paths(catalog: Catalog, bases: Collection[str], result: Scan) -> None:
    """Reject paths that do not exist, unless they are in the index: those are away.

    Raises:
        SourceError: a path does not exist and is not in the index, or there is no image file at all.
    """
    for path in bases:
        if os.path.exists(path) and not (os.path.isdir(path) or os.path.isfile(path)):
            raise SourceError(f"{path} is neither a folder nor a regular file")
    roots = set(indexed_roots(catalog))
    for path in result.absent:
        if path not in roots and not known_locations(catalog, [path]):
            raise SourceError(f"no such file or folder: {path}")
    if not (result.files or result.unreadable or roots.intersection(bases) or known_locations(catalog, bases)):
        names = ", ".join(bases)
        raise SourceError(f"no image files in {names}; crosslook reads {', '.join(sorted(IMAGE_SUFFIXES))}")


def known_roots(catalog: Catalog) -> list[str]:
    """Every root of an index.

    Raises:
        SourceError: there is none.
    """
    roots = indexed_roots(catalog)
    if not roots:
        raise SourceError(f"the index in {catalog.directory} has no folders yet; name one: crosslook index FOLDER")
    return roots


def add_roots(catalog: Catalog, bases: Collection[str], result: Scan) -> None:
    """Add the scanned paths that no root covers, and mount points; remove roots that are covered now."""
    previous = set(indexed_roots(catalog))
    roots = set(previous)
    mounts = {folder for folder in result.mounts if folder in result.populated}
    for path in sorted(filter(is_storable, bases), key=len):
        root = path if path in roots else covering(path, roots)
        if root is None:
            roots.add(path)
        else:
            mounts |= _mounts_between(path, root)
    scanned = set(bases)
    covered = {root for root in roots - mounts if root in result.populated and covering(root, scanned) is not None}
    roots = (roots - covered) | set(filter(is_storable, mounts))
    if roots != previous:
        with catalog.transaction() as connection:
            for path in sorted(previous - roots):
                connection.execute(delete(schema.root).where(schema.root.c.path == path))
            for path in sorted(roots - previous):
                connection.execute(insert(schema.root).prefix_with("OR IGNORE").values(path=path))


def _mounts_between(path: str, root: str) -> set[str]:
    """The mount points at or above a path and below its root."""
    mounts = set()
    while path != root:
        if os.path.ismount(path):
            mounts.add(path)
        path = os.path.dirname(path)
    return mounts


@dataclass(frozen=True)
class Forgotten:
    """The number of files and images removed from an index; the files themselves stay as they are.

    `below` is the root whose next run will add them again; None if none will.
    """

    files: int
    images: int
    below: str | None = None


@locked
def forget(catalog: Catalog, path: Path) -> Forgotten:
    """Remove a file or folder, and everything below it, from the index. It need not exist any more.

    Raises:
        SourceError: the index holds nothing at or below the path.
    """
    target = os.path.abspath(path)
    if not is_storable(target):
        raise SourceError(f"{path!r} is not in the index: its name is not UTF-8")
    with catalog.transaction() as connection:
        counts = {
            table.name: connection.execute(delete(table).where(at_or_below(table.c.path, target))).rowcount
            for table in (schema.location, schema.failure, schema.root)
        }
        if not any(counts.values()):
            raise SourceError(f"the index in {catalog.directory} has nothing at or below {target}")
        images = forget_images(connection, orphaned_images(connection))
    below = covering(target, indexed_roots(catalog)) if os.path.exists(target) else None
    return Forgotten(files=counts["location"], images=len(images), below=below)
