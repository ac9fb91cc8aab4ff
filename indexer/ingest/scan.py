"""List image files with their size and times, and those of their sidecars.

Opens no image. Paths are plain strings and each file is stat'ed once, so a collection of 100,000 takes a second.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from ..catalog.paths import is_storable
from ..pictures.safe_read import describe_irregular, describe_read_error
from .listing import Listing
from .reach import Reach
from .rules import LeftOut, Reason


class ImageFile(NamedTuple):
    """An image file. Times are nanoseconds since 1970.

    `xmp` is the path of `NAME.jpg.xmp` or `NAME.xmp`. `sidecar_mtime_ns`, of `NAME.txt`, and `xmp_mtime_ns` are the
    later of modification and change time. All three are None if there is no such sidecar.
    """

    path: str
    size: int
    mtime_ns: int
    sidecar_mtime_ns: int | None = None
    ctime_ns: int | None = None
    xmp: str | None = None
    xmp_mtime_ns: int | None = None


BROKEN_LINK = "a broken symbolic link"


class Unreadable(NamedTuple):
    """A folder or file that could not be listed or stat'ed. Its entries in the catalog stay as they are."""

    path: str
    reason: str


@dataclass
class Scan:
    """The result of a scan: `files` sorted by path, `unreadable` paths, and given paths that are `absent`.

    - `mounts` are the folders where another file system begins, such as a drive that may be unplugged, and links to
      folders, which may be on one.
    - `irregular` are the unreadable paths that are pipes, sockets or devices.
    - `excluded` are the folders and image files that were left out, and `aliases` other names of listed ones.
    """

    files: list[ImageFile] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    mounts: list[str] = field(default_factory=list)
    irregular: set[str] = field(default_factory=set)
    excluded: set[str] = field(default_factory=set)
    aliases: set[str] = field(default_factory=set)
    left_out: LeftOut = field(default_factory=LeftOut)

    @cached_property
    def populated(self) -> set[str]:
        """The files, and every folder that contains one at any depth."""
        paths = {file.path for file in self.files}
        return paths | folders_above(paths)

    def add_error(self, path: str, error: OSError) -> None:
        """Add an unreadable path."""
        self.unreadable.append(Unreadable(path, describe_read_error(error)))

    def leave_out(self, path: str, reason: Reason | None) -> None:
        """Add an excluded path, and count it if there is a reason."""
        self.excluded.add(path)
        if reason is not None:
            self.left_out.add(reason)

    def add_alias(self, path: str) -> None:
        """Add another name of a listed file or folder."""
        self.aliases.add(path)
        self.left_out.links += 1


def scan(paths: Iterable[str], reach: Reach | None = None, known: Container[str] = ()) -> Scan:
    """List the image files below some folders, and single files as given, each once, sorted by path.

    Links to folders are followed. A file or folder that several paths lead to is listed under one: rather a path
    without links, then rather a known one. Pipes, devices and broken links count as unreadable.

    Args:
        paths: absolute, with symbolic links unresolved.
        reach: what is left out; None for the rules that hold without a catalog.
        known: paths of files that the catalog has.
    """
    given = list(dict.fromkeys(paths))
    walk = _Walk(reach or Reach(given), known)
    for path in sorted(given, key=lambda path: os.path.realpath(path) != path):
        if os.path.isdir(path) and os.path.islink(path) and path not in walk.reach.given:
            walk.links.append(path)
        elif os.path.isdir(path):
            walk.add_folder(path)
        elif os.path.exists(path):
            walk.add_file(path)
        else:
            walk.result.absent.append(path)
    walk.follow_links()
    return walk.finish()


def folders_above(paths: Iterable[str]) -> set[str]:
    """Every folder above at least one of the paths."""
    above: set[str] = set()
    for path in paths:
        folder = os.path.dirname(path)
        while folder not in above:
            above.add(folder)
            folder = os.path.dirname(folder)
    return above


class _Walk:
    """One walk over several folders and files."""

    def __init__(self, reach: Reach, known: Container[str]) -> None:
        self.reach, self.known = reach, known
        self.result = Scan()
        self._folders: set[tuple[int, int]] = set()  # device and inode
        self._files: dict[object, tuple[ImageFile, bool]] = {}  # by identity, and whether it was reached by a link
        self.links: list[str] = []
        self._listings: dict[str, Listing | None] = {}  # of the folders of single files

    def follow_links(self) -> None:
        """Walk the linked folders that were found: after all others, so that a path without links comes first."""
        while self.links:
            links, self.links = sorted(self.links), []
            for link in links:
                if self.reach.is_listed_elsewhere(link):
                    self.result.add_alias(link)
                else:
                    self.add_folder(link, os.path.realpath(link))

    def finish(self) -> Scan:
        """Return the result."""
        result = self.result
        files = {file.path: file for file, _ in self._files.values()}
        undecodable = {path for path in files if not (path.isascii() or is_storable(path))}
        result.unreadable += [Unreadable(path, "its name is not UTF-8; rename it") for path in sorted(undecodable)]
        result.unreadable += [Unreadable(*fault) for fault in self.reach.faults]
        result.files = [files[path] for path in sorted(files.keys() - undecodable)]
        return result

    def add_folder(self, root: str, real: str | None = None) -> None:
        """Add the image files at any depth below a folder; `real` is its real path if a link led to it."""
        result, linked = self.result, real is not None
        pending: list[tuple[str, int | None, str]] = [(root, None, real or "")]
        while pending:
            folder, device, real_path = pending.pop()
            identity = _identity(folder)
            if identity in self._folders or (linked and self.reach.other_root(folder, real_path)):
                result.add_alias(folder)
                continue
            own_device, inode = identity or (None, 0)
            if identity is not None and inode:
                self._folders.add(identity)
            if (linked and folder == root) or (device is not None and own_device != device):
                result.mounts.append(folder)
            try:
                listing = self._listing(folder)
            except OSError as error:
                result.add_error(folder, error)
                continue
            if listing is None:
                continue
            for path, reason in listing.excluded:
                result.leave_out(path, reason)
            for reason in listing.counted:
                result.left_out.add(reason)
            pending += [
                (path, own_device, os.path.join(real_path, os.path.basename(path)))
                for path in sorted(listing.folders, reverse=True)
            ]
            self.links += listing.links
            for entry in listing.images:
                self._add_entry(entry, listing, linked=linked)

    def add_file(self, path: str) -> None:
        """Add a single file as its folder lists it; whatever its name if it was given."""
        folder = os.path.dirname(path)
        try:
            if folder not in self._listings:
                self._listings[folder] = self._listing(folder)
            listing = self._listings[folder]
        except OSError as error:
            self.result.add_error(path, error)
            return
        if listing is None:
            return
        excluded = dict(listing.excluded)
        if path in excluded and path not in self.reach.given:
            self.result.leave_out(path, excluded[path])
        else:
            self._add_entry(Path(path), listing, linked=False)

    def _listing(self, folder: str) -> Listing | None:
        """List a folder; None, and an unreadable path, if it is not known what to leave out.

        Raises:
            OSError: it cannot be read.
        """
        rules = self.reach.inside(folder)
        if rules.fault is not None:
            self.result.unreadable.append(Unreadable(folder, rules.fault))
            return None
        with os.scandir(folder) as entries:
            return Listing(entries, rules)

    def _add_entry(self, entry: os.DirEntry[str] | Path, listing: Listing, *, linked: bool) -> None:
        """Add an image file of a folder."""
        path, stem = os.fspath(entry), os.path.splitext(entry.name)[0]
        try:
            status = entry.stat()
            if (reason := describe_irregular(status.st_mode)) is not None:
                self.result.unreadable.append(Unreadable(path, reason))
                self.result.irregular.add(path)
                return
            if entry.is_symlink():
                linked = True
                if path not in self.reach.given and self.reach.is_listed_elsewhere(path):
                    self.result.add_alias(path)
                    return
            text = listing.texts.get(stem)
            sidecar_mtime_ns = None if text is None or text.path == path else _stamp(text.path)
            xmps = (listing.xmps[name] for name in (entry.name, stem) if name in listing.xmps)
            found = ((xmp.path, stamp) for xmp in xmps if (stamp := _stamp(xmp.path)) is not None)
            self._add(path, status, sidecar_mtime_ns, *next(found, (None, None)), linked=linked)
        except FileNotFoundError:
            if entry.is_symlink():  # else the file was deleted after it was listed
                self.result.unreadable.append(Unreadable(path, BROKEN_LINK))
        except OSError as error:
            self.result.add_error(path, error)

    def _add(
        self,
        path: str,
        status: os.stat_result,
        sidecar_mtime_ns: int | None,
        xmp: str | None,
        xmp_mtime_ns: int | None,
        *,
        linked: bool,
    ) -> None:
        """Add a file, unless it is listed under a better path; the other path is an alias."""
        size, mtime_ns = status.st_size, status.st_mtime_ns
        file = ImageFile(path, size, mtime_ns, sidecar_mtime_ns, status.st_ctime_ns, xmp, xmp_mtime_ns)
        # Size and time as well, in case a file system invents inodes; on Windows a directory entry has none.
        key = (status.st_dev, status.st_ino, size, mtime_ns) if status.st_ino else path
        other, other_linked = self._files.setdefault(key, (file, linked))
        if other.path == path:
            return
        if (linked, path not in self.known, path) < (other_linked, other.path not in self.known, other.path):
            self._files[key] = (file, linked)
            path = other.path
        self.result.add_alias(path)


def _identity(folder: str) -> tuple[int, int] | None:
    """Device and inode of a folder, the inode 0 where there are none; None if it cannot be stat'ed."""
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _stamp(sidecar: str) -> int | None:
    """When a sidecar changed, also if a program has set its modification time back; None if it is no regular file."""
    try:
        status = os.stat(sidecar)
    except OSError:
        return None
    return max(status.st_mtime_ns, status.st_ctime_ns) if stat.S_ISREG(status.st_mode) else None
