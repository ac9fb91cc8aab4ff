"""List image files with their size and modification time, and that of their sidecars.

Opens no file. Paths are plain strings and each file is stat'ed once, so a collection of 100,000 takes a second.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from encoders.datasets import IMAGE_SUFFIXES

from ..catalog.paths import is_storable
from ..pictures.safe_read import describe_irregular, describe_read_error


class ImageFile(NamedTuple):
    """An image file. Times are nanoseconds since 1970; `sidecar_mtime_ns` is None if there is no `NAME.txt`."""

    path: str
    size: int
    mtime_ns: int
    sidecar_mtime_ns: int | None = None


BROKEN_LINK = "a broken symbolic link"


class Unreadable(NamedTuple):
    """A folder or file that could not be listed or stat'ed. Its entries in the catalog stay as they are."""

    path: str
    reason: str


@dataclass
class Scan:
    """The result of a scan: `files` sorted by path, `unreadable` paths, and given paths that are `absent`.

    `mounts` are the scanned folders where another file system begins, such as a drive that may be unplugged.
    `irregular` are the unreadable paths that are pipes, sockets or devices.
    """

    files: list[ImageFile] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    mounts: list[str] = field(default_factory=list)
    irregular: set[str] = field(default_factory=set)

    @cached_property
    def populated(self) -> set[str]:
        """The files, and every folder that contains one at any depth."""
        paths = {file.path for file in self.files}
        return paths | folders_above(paths)

    def add_error(self, path: str, error: OSError) -> None:
        """Add an unreadable path."""
        self.unreadable.append(Unreadable(path, describe_read_error(error)))


def scan(paths: Iterable[str]) -> Scan:
    """List the image files below some folders, and single files as given, each once, sorted by path.

    Hidden files and folders are left out, and links to folders are not followed. Pipes, devices and broken links
    count as unreadable.

    Args:
        paths: absolute, with symbolic links unresolved.
    """
    result = Scan()
    for path in dict.fromkeys(paths):
        if os.path.isdir(path):
            _add_folder(path, result)
        elif os.path.exists(path):
            _add_file(path, result)
        else:
            result.absent.append(path)
    files = {file.path: file for file in result.files}
    undecodable = {path for path in files if not (path.isascii() or is_storable(path))}
    result.unreadable += [Unreadable(path, "its name is not UTF-8; rename it") for path in sorted(undecodable)]
    result.files = [files[path] for path in sorted(files.keys() - undecodable)]
    return result


def is_image_name(name: str) -> bool:
    """Whether a scan of a folder lists a file of this name."""
    return not name.startswith(".") and name[name.rfind(".") :].lower() in IMAGE_SUFFIXES


def folders_above(paths: Iterable[str]) -> set[str]:
    """Every folder above at least one of the paths."""
    above: set[str] = set()
    for path in paths:
        folder = os.path.dirname(path)
        while folder not in above:
            above.add(folder)
            folder = os.path.dirname(folder)
    return above


def _add_folder(root: str, result: Scan) -> None:
    """Add the image files at any depth below a folder."""
    pending = [(root, _device(root))]
    while pending:
        folder, device = pending.pop()
        own_device = _device(folder)
        if own_device not in (device, None):
            result.mounts.append(folder)
        try:
            with os.scandir(folder) as entries:
                images, texts, folders = _group(entries)
        except OSError as error:
            result.add_error(folder, error)
            continue
        pending += [(path, own_device) for path in folders]
        for entry in images:
            sidecar = texts.get(entry.name[: entry.name.rfind(".")])
            try:
                status = entry.stat()
                if (reason := describe_irregular(status.st_mode)) is not None:
                    result.unreadable.append(Unreadable(entry.path, reason))
                    result.irregular.add(entry.path)
                    continue
                sidecar_mtime_ns = _mtime_ns(sidecar.path) if sidecar is not None else None
                result.files.append(ImageFile(entry.path, status.st_size, status.st_mtime_ns, sidecar_mtime_ns))
            except FileNotFoundError:
                if entry.is_symlink():  # else the file was deleted after it was listed
                    result.unreadable.append(Unreadable(entry.path, BROKEN_LINK))
            except OSError as error:
                result.add_error(entry.path, error)


def _group(
    entries: Iterable[os.DirEntry[str]],
) -> tuple[list[os.DirEntry[str]], dict[str, os.DirEntry[str]], list[str]]:
    """Return a folder's image files, its text files by stem, and its subfolders, without hidden ones."""
    images, texts, folders = [], {}, []
    for entry in entries:
        name = entry.name
        if name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            folders.append(entry.path)
        elif is_image_name(name):
            images.append(entry)
        elif name.endswith(".txt"):
            texts[name[:-4]] = entry
    return images, texts, folders


def _device(folder: str) -> int | None:
    """Id of the file system that a folder is on; None if it cannot be stat'ed."""
    try:
        return os.stat(folder).st_dev
    except OSError:
        return None


def _mtime_ns(path: str) -> int | None:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return None


def _add_file(path: str, result: Scan) -> None:
    """Add a single file, whatever its name."""
    try:
        status = os.stat(path)
        if stat.S_ISREG(status.st_mode):
            sidecar = os.path.splitext(path)[0] + ".txt"
            sidecar_mtime_ns = _mtime_ns(sidecar) if sidecar != path else None
            result.files.append(ImageFile(path, status.st_size, status.st_mtime_ns, sidecar_mtime_ns))
    except FileNotFoundError:
        result.absent.append(path)
    except OSError as error:
        result.add_error(path, error)
