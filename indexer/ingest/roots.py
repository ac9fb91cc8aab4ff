"""The roots of an index, and whether a file below them that was not found is missing or gone for good.

Every path passed to `crosslook index`, and every mount point and linked folder below one, is a root. A root below which
no image is found is *away*: its images are hidden until it is back, even with `--prune`, so an unplugged drive costs
nothing. A file is gone for good only if its root still holds other images. A root that is a single file is gone if its
folder still holds anything. A file that is left out is not gone while it exists.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sqlalchemy import delete, insert, update

from ..catalog import schema
from ..catalog.catalog import Catalog
from ..catalog.contents import indexed_roots
from ..catalog.exclusions import found_roots
from ..catalog.images import forget_images, known_locations, orphaned_images
from ..catalog.paths import at_or_below, is_storable
from ..errors import SourceError
from ..pictures.formats import SUFFIXES
from .lock import locked
from .reach import Nearest, Reach
from .rules import describe
from .scan import BROKEN_LINK, Scan


class Survey:
    """What a scan says about files that it did not list."""

    def __init__(self, result: Scan, bases: Collection[str], roots: Collection[str], reach: Reach) -> None:
        """Judge by one scan.

        Args:
            result: the scan.
            bases: the paths that were scanned.
            roots: all roots of the index.
            reach: what the scan left out.
        """
        self._populated, self._bases, self._reach = result.populated, set(bases), reach
        self._present = {file.path for file in result.files}
        self._excluded, self._alias, self._given = map(Nearest, (result.excluded, result.aliases, reach.given))
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
        return owner is not None and (self._was_scanned(owner) or self.is_excluded(path) or self.is_alias(path))

    def is_lost(self, path: str) -> bool:
        """Whether a missing file is gone for good; the target of a broken link may be on an unplugged drive."""
        if path in self._broken_links or self.is_alias(path) or (self.is_excluded(path) and os.path.lexists(path)):
            return False
        owner = self._owner(path)
        return owner is not None and self._has_content(os.path.dirname(path) if owner == path else owner)

    def is_excluded(self, path: str) -> bool:
        """Whether the scan left a file out, alone or with its folder; not what was given by itself below that."""
        excluded = self._excluded(path)
        return excluded is not None and len(self._given(path) or "") < len(excluded)

    def is_alias(self, path: str) -> bool:
        """Whether a file is listed under another path."""
        return path not in self._present and self._alias(path) is not None

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
        return owner in self._bases or self._reach.covering(owner, self._bases) is not None

    def _compute_has_content(self, folder: str) -> bool:
        """Whether a folder holds anything, checked now as well: the drive may have been unplugged during the scan."""
        if folder not in self._populated and self._owner(folder) is not None:
            return False
        try:
            with os.scandir(folder) as entries:
                return any(True for _ in entries)
        except OSError:
            return False


def covering(path: str, folders: Collection[str], reach: Reach | None = None) -> str | None:
    """Return the folder whose scan reaches a path; None if there is none.

    Scans list only files with the suffix of an image. They enter no hidden folder, none that is left out by default or
    excluded, and no link to a folder that is listed under another path.
    """
    return (reach or Reach(folders)).covering(path, folders)


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
        left_out = f" (left out: {counts})" if (counts := describe(result.left_out)) else ""
        names = ", ".join(bases)
        raise SourceError(f"no image files in {names}{left_out}; crosslook reads {', '.join(sorted(SUFFIXES))}")


def known_roots(catalog: Catalog) -> list[str]:
    """The roots of an index that were given; their scans find the others.

    Raises:
        SourceError: there is none.
    """
    roots = sorted(set(indexed_roots(catalog)) - found_roots(catalog))
    if not roots:
        raise SourceError(f"the index in {catalog.directory} has no folders yet; name one: crosslook index FOLDER")
    return roots


def add_roots(catalog: Catalog, bases: Collection[str], result: Scan, reach: Reach) -> None:
    """Add the scanned paths that no root covers, mount points and linked folders; remove roots that are covered now.

    Args:
        catalog: an open index.
        bases: the paths that people gave. Those that walks had found are given roots from now on.
        result: the scan.
        reach: what it leaves out.
    """
    previous, found = set(indexed_roots(catalog)), found_roots(catalog)
    roots = set(previous)
    mounts = {folder for folder in result.mounts if folder in result.populated}
    given: set[str] = set()
    for path in sorted(filter(is_storable, bases), key=len):
        root = path if path in roots else reach.covering(path, roots)
        if root is None:
            roots.add(path)
            given.add(path)
        else:
            mounts |= _mounts_between(path, root)
            given |= {path} & (found | mounts)
    scanned = set(bases)
    covered = {
        root for root in roots - mounts if root in result.populated and reach.covering(root, scanned) is not None
    }
    aliases = Nearest(result.aliases)
    covered |= {root for root in found - given if aliases(root) is not None}
    roots = (roots - covered) | set(filter(is_storable, mounts))
    named = roots & found & given
    if roots != previous or named:
        with catalog.transaction() as connection:
            for path in sorted(named):
                connection.execute(update(schema.root).where(schema.root.c.path == path).values(found=None))
            for path in sorted(previous - roots):
                connection.execute(delete(schema.root).where(schema.root.c.path == path))
            for path in sorted(roots - previous):
                row = insert(schema.root).prefix_with("OR IGNORE").values(path=path, found=path not in given)
                connection.execute(row)


def _mounts_between(path: str, root: str) -> set[str]:
    """The mount points and linked folders at or above a path and below its root."""
    mounts = set()
    while path != root:
        if os.path.ismount(path) or (os.path.islink(path) and os.path.isdir(path)):
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
        connection.execute(delete(schema.exclusion).where(at_or_below(schema.exclusion.c.folder, target)))
        if not any(counts.values()):
            raise SourceError(f"the index in {catalog.directory} has nothing at or below {target}")
        images = forget_images(connection, orphaned_images(connection))
    below = Reach.of(catalog).covering(target, indexed_roots(catalog)) if os.path.exists(target) else None
    return Forgotten(files=counts["location"], images=len(images), below=below)
