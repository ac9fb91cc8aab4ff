"""Which files and folders the walks of an index reach: below its roots, through links, without what is left out."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ..catalog.catalog import Catalog
from ..catalog.contents import indexed_roots
from ..catalog.exclusions import found_roots, stored_exclusions
from ..errors import DecodeError, PatternError
from ..pictures.formats import SUFFIXES
from ..pictures.safe_read import read_file
from .rules import IGNORE_FILE, MAX_PATTERNS, NO_MEDIA, FolderRules, Patterns

LARGEST_IGNORE_FILE = 1_000_000
"""Maximum bytes of a `.crosslookignore` file."""


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


class Reach:
    """What the walks of some roots list. One for each run: ignore files are read once."""

    def __init__(
        self, given: Collection[str], found: Collection[str] = (), exclusions: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """Make one for some roots.

        Args:
            given: the folders and files that people named. These are walked whatever their names.
            found: the drives and linked folders that walks found below those.
            exclusions: patterns by folder, from `crosslook index --exclude`.
        """
        self.given, self.roots = frozenset(given), frozenset({*given, *found})
        self.faults: list[tuple[str, str]] = []
        """Ignore files of which a line cannot be used, with the reason."""

        self._exclusions = exclusions or {}
        self._root = Nearest(self.roots)
        self._inside: dict[str, FolderRules] = {}
        self._has_no_media: dict[str, bool] = {}
        preferred_last = sorted(self.roots, key=lambda root: (root not in self.given, root), reverse=True)
        self._real_roots = {os.path.realpath(root): root for root in preferred_last}
        self._real_root = Nearest(self._real_roots)

    @classmethod
    def of(
        cls, catalog: Catalog, bases: Collection[str] = (), exclusions: Mapping[str, Sequence[str]] | None = None
    ) -> Reach:
        """The reach of the roots of an index, and of other paths that people give."""
        found = found_roots(catalog)
        given = {*bases, *(root for root in indexed_roots(catalog) if root not in found)}
        return cls(given, found, stored_exclusions(catalog) if exclusions is None else exclusions)

    def inside(self, folder: str) -> FolderRules:
        """The rules that hold in a folder."""
        if folder not in self._inside:
            above = self._from_above(folder)
            patterns, fault = (above.patterns, above.fault) if above else ((), None)
            ignore_file = os.path.join(folder, IGNORE_FILE)
            try:
                own = [self._exclusions.get(folder, ()), self._read_ignore_file(ignore_file)]
            except (DecodeError, PatternError) as exc:
                own, fault = [], f"nothing below it is indexed until {ignore_file} can be used: {exc}"
            added = [Patterns(folder, texts) for texts in own if texts]
            self._inside[folder] = FolderRules(folder, (*patterns, *added), fault)
        return self._inside[folder]

    def covering(self, path: str, folders: Collection[str]) -> str | None:
        """Return which of some folders lists a path when it is walked; None if none does."""
        between, folder = [path], os.path.dirname(path)
        while folder not in folders:
            if folder == os.path.dirname(folder):
                return None
            between.append(folder)
            folder = os.path.dirname(folder)
        if folder == path or (os.path.isfile(path) and not is_image_name(path)):
            return None
        return None if any(self._leaves_out(part, folder=part != path) for part in reversed(between)) else folder

    def outermost(self, paths: Collection[str]) -> list[str]:
        """The paths without those that the walk of another one reaches."""
        distinct = set(paths)
        return [path for path in distinct if self.covering(path, distinct) is None]

    def is_listed_elsewhere(self, link: str) -> bool:
        """Whether the target of a link is listed under another path."""
        target = os.path.realpath(link)
        real_root = self._real_root(target)
        if real_root is None or not os.path.exists(target):
            return False
        root = self._real_roots[real_root]
        path = os.path.normpath(os.path.join(root, os.path.relpath(target, real_root)))
        return path != link and (path == root or self.covering(path, self.roots) is not None)

    def other_root(self, folder: str, real: str) -> bool:
        """Whether a folder, whose real path this is, is a root under another path."""
        return self._real_roots.get(real, folder) != folder

    def has_no_media(self, folder: str) -> bool:
        """Whether a folder holds a `.nomedia` file."""
        if folder not in self._has_no_media:
            self._has_no_media[folder] = os.path.exists(os.path.join(folder, NO_MEDIA))
        return self._has_no_media[folder]

    def _leaves_out(self, path: str, *, folder: bool) -> bool:
        above, name = os.path.split(path)
        is_folder = folder or os.path.isdir(path) or not is_image_name(name)  # a deleted file has an image's name
        return (
            self.has_no_media(above)
            or self.inside(above).reason(path, name, folder=is_folder) is not None
            or (os.path.islink(path) and self.is_listed_elsewhere(path))
        )

    def _from_above(self, folder: str) -> FolderRules | None:
        """The rules that a folder inherits; a root that the one above it does not reach inherits none."""
        above, name = os.path.split(folder)
        if above == folder or self._root(above) is None:
            return None
        rules = self.inside(above)
        reached = folder not in self.given or rules.reason(folder, name, folder=True) is None
        return rules if reached else None

    def _read_ignore_file(self, path: str) -> list[str]:
        """Read the usable lines of an ignore file, and note the others.

        Raises:
            DecodeError: it cannot be read.
            PatternError: it has too many lines.
        """
        if _says_nothing(path):
            return []
        try:
            with read_file(Path(path), limit=LARGEST_IGNORE_FILE) as data:
                lines = data.decode("utf-8-sig", errors="replace").splitlines()
        except DecodeError:
            if _says_nothing(path):  # it was deleted or emptied meanwhile
                return []
            raise
        numbered = {n: line for n, line in enumerate(lines, start=1) if line.strip() and not line.startswith("#")}
        if len(numbered) > MAX_PATTERNS:
            raise PatternError(f"it has {len(numbered):,} patterns; the limit is {MAX_PATTERNS:,}")
        usable = []
        for number, line in numbered.items():
            try:
                Patterns(os.path.dirname(path), [line])
            except PatternError as exc:
                self.faults.append((path, f"line {number}: {exc}"))
            else:
                usable.append(line)
        return usable


def _says_nothing(path: str) -> bool:
    """Whether an ignore file is empty, or there is none. A link that leads nowhere may lead to an unplugged drive."""
    try:
        status = os.stat(path)
    except OSError:
        return not os.path.lexists(path)
    return stat.S_ISREG(status.st_mode) and status.st_size == 0


def is_image_name(name: str) -> bool:
    """Whether a file of this name is read as an image."""
    return name[name.rfind(".") :].lower() in SUFFIXES
