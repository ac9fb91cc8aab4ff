"""Tell files from their names: several paths can lead to one file, and deleting one of them frees nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..catalog.records import LocationRecord


@dataclass(frozen=True)
class NamedFile:
    """A file as it is on the disk now.

    Attributes:
        image_id: its content.
        size: bytes.
        names: its paths. Those after the first are hard links to it, or lead to it through a bind mount.
        frees: bytes that deleting all names frees: 0 if the file has further names that are not indexed.
    """

    image_id: int
    size: int
    names: tuple[str, ...]
    frees: int


def files_of(locations: Iterable[LocationRecord]) -> list[NamedFile]:
    """Return the files at some indexed locations, each once, sorted by their first name.

    Left out are files that are gone, have changed since they were indexed, or are no regular files any more.
    A symbolic link to a file is not a name of it, nor is a path through a link to a folder if the file has another.
    """
    by_identity: dict[tuple[int, int | str, int], list[tuple[str, os.stat_result]]] = {}
    for location in locations:
        status = unchanged_status(location)
        if status is not None:
            # Where the file system has no inode numbers, only the resolved path identifies a file.
            inode = status.st_ino or os.path.realpath(location.path)
            by_identity.setdefault((status.st_dev, inode, location.image_id), []).append((location.path, status))
    files = []
    for (_, _, image_id), places in by_identity.items():
        names, status = _distinct([path for path, _ in places]), places[0][1]
        files.append(NamedFile(image_id, status.st_size, names, status.st_size if status.st_nlink <= len(names) else 0))
    return sorted(files, key=lambda file: file.names[0])


def unchanged_status(location: LocationRecord) -> os.stat_result | None:
    """Stat a file; None if it is gone, not a regular file but a link, say, or not as it was when it was indexed."""
    try:
        status = Path(location.path).lstat()
    except OSError:
        return None
    indexed = (location.size, location.mtime_ns)
    return status if stat.S_ISREG(status.st_mode) and (status.st_size, status.st_mtime_ns) == indexed else None


def _distinct(paths: list[str]) -> tuple[str, ...]:
    """Keep one path of those that symbolic links to folders make equal, one without such links if there is any."""
    if len(paths) == 1:
        return tuple(paths)
    kept: dict[str, str] = {}
    for path in sorted(paths):
        resolved = os.path.realpath(path)
        if resolved not in kept or path == resolved:
            kept[resolved] = path
    return tuple(sorted(kept.values()))
