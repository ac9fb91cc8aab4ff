"""The folders that an index is of, and what it means when files below them are not there.

Nothing is lost because a drive was unplugged. So every folder that was given to `crosslook index`, and every mount
point below one, is a root, and a root is judged as a whole: where no picture is found below it any more, it is *away*,
and its pictures are hidden until it is back, whatever `--prune` says. Only what is missing below a root that still
holds pictures is gone for good, and so is a single file that was given by name, if its folder still holds something.
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
from .scan import DANGLING, Scan, is_image_name


class Survey:
    """What one look at some paths says about files that it did not find."""

    def __init__(self, found: Scan, bases: Collection[str], roots: Collection[str]) -> None:
        """Args: what was found below `bases`, and all roots of the index."""
        self._found, self._bases = found, set(bases)
        self._present = {item.path for item in found.files}
        self._owner, self._root = Nearest({*bases, *roots}), Nearest(roots)
        self._dangling = {item.path for item in found.unreadable if item.reason == DANGLING}
        self._unreadable = Nearest({item.path for item in found.unreadable} - self._dangling - found.irregular)
        self._was_looked_at = cache(self._looked_at)
        self._is_alive = cache(self._alive)

    def is_missing(self, path: str) -> bool:
        """Whether a file should have been found, and was not."""
        if path in self._present or self._unreadable(path) is not None:
            return False
        owner = self._owner(path)
        return owner is not None and self._was_looked_at(owner)

    def is_lost(self, path: str) -> bool:
        """Whether a missing file is gone for good; what a link led to may be on a drive that comes back."""
        if path in self._dangling:
            return False
        owner = self._owner(path)
        return owner is not None and self._is_alive(os.path.dirname(path) if owner == path else owner)

    def saw_all_around(self, path: str) -> bool:
        """Whether the whole root that a file lies below was looked at, and was there."""
        root = self._root(path)
        if root is None:
            return True
        return self._was_looked_at(root) and self._is_alive(os.path.dirname(path) if root == path else root)

    def owner(self, path: str) -> str | None:
        """The root, or path looked at, that a file lies below most nearly."""
        return self._owner(path)

    def _looked_at(self, owner: str) -> bool:
        return owner in self._bases or covering(owner, self._bases) is not None

    def _alive(self, folder: str) -> bool:
        """Looked at again now, and not only in what was found: the drive may have gone in the middle of the scan."""
        if folder not in self._found.alive and self._owner(folder) is not None:
            return False
        try:
            with os.scandir(folder) as entries:
                return any(True for _ in entries)
        except OSError:
            return False


class Nearest:
    """Of some paths the one at or nearest above another."""

    def __init__(self, marks: Collection[str]) -> None:
        self._marks = marks
        self._folders: dict[str, str | None] = {}

    def __call__(self, path: str) -> str | None:
        """That one, None if there is none."""
        if path in self._marks:
            return path
        folder = os.path.dirname(path)
        if folder == path:
            return None
        if folder not in self._folders:
            self._folders[folder] = self(folder)
        return self._folders[folder]


def covering(path: str, folders: Collection[str]) -> str | None:
    """The folder whose walk comes by a path: not into hidden folders, not through links, not to files of any name."""
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
    """The paths without those that a walk of another comes by."""
    marks = set(paths)
    return [path for path in marks if covering(path, marks) is None]


def check(catalog: Catalog, given: Collection[str], found: Scan) -> None:
    """Refuse paths that lead nowhere, unless they led somewhere once: then they are away.

    Raises:
        SourceError: a path is not there and not known, or there is no image at all.
    """
    for path in given:
        if os.path.exists(path) and not (os.path.isdir(path) or os.path.isfile(path)):
            raise SourceError(f"{path} is neither a folder nor a regular file")
    roots = set(indexed_roots(catalog))
    for path in found.absent:
        if path not in roots and not known_locations(catalog, [path]):
            raise SourceError(f"no such file or folder: {path}")
    if not (found.files or found.unreadable or roots.intersection(given) or known_locations(catalog, given)):
        names = ", ".join(given)
        raise SourceError(f"no image files in {names}; crosslook reads {', '.join(sorted(IMAGE_SUFFIXES))}")


def known_roots(catalog: Catalog) -> list[str]:
    """Every root of an index.

    Raises:
        SourceError: there is none.
    """
    roots = indexed_roots(catalog)
    if not roots:
        raise SourceError(f"the index in {catalog.directory} knows no folders yet; name one: crosslook index FOLDER")
    return roots


def add_roots(catalog: Catalog, given: Collection[str], found: Scan) -> None:
    """Remember what was given and is not covered by a root, and the mount points; drop roots that are covered now."""
    before = set(indexed_roots(catalog))
    after = set(before)
    bases, mounts = set(given), {folder for folder in found.mounts if folder in found.alive}
    for path in sorted(filter(is_storable, given), key=len):
        root = path if path in after else covering(path, after)
        if root is None:
            after.add(path)
        else:
            mounts |= _mounts_between(path, root)
    passed_by = {root for root in after - mounts if root in found.alive and covering(root, bases) is not None}
    after = (after - passed_by) | set(filter(is_storable, mounts))
    if after != before:
        with catalog.transaction() as connection:
            for path in sorted(before - after):
                connection.execute(delete(schema.root).where(schema.root.c.path == path))
            for path in sorted(after - before):
                connection.execute(insert(schema.root).prefix_with("OR IGNORE").values(path=path))


def _mounts_between(path: str, root: str) -> set[str]:
    """Folders at or above a path and below its root where another file system begins."""
    mounts = set()
    while path != root:
        if os.path.ismount(path):
            mounts.add(path)
        path = os.path.dirname(path)
    return mounts


@dataclass(frozen=True)
class Forgotten:
    """How much was removed from an index; the files themselves stay as they are.

    `below` is the root whose next run will find them again; None where none will.
    """

    files: int
    images: int
    below: str | None = None


@locked
def forget(catalog: Catalog, path: Path) -> Forgotten:
    """Remove from the index a file or folder with all below it, whether it is there or not.

    Raises:
        SourceError: the index knows nothing there.
    """
    place = os.path.abspath(path)
    if not is_storable(place):
        raise SourceError(f"{path!r} is not in the index: its name is not UTF-8")
    with catalog.transaction() as connection:
        counts = {
            table.name: connection.execute(delete(table).where(at_or_below(table.c.path, place))).rowcount
            for table in (schema.location, schema.failure, schema.root)
        }
        if not any(counts.values()):
            raise SourceError(f"the index in {catalog.directory} knows nothing at or below {place}")
        images = forget_images(connection, orphaned_images(connection))
    below = covering(place, indexed_roots(catalog)) if os.path.exists(place) else None
    return Forgotten(files=counts["location"], images=len(images), below=below)
