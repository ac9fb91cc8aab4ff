"""Which files there are: image files below some paths, with their size and time, and their sidecars.

Plain strings and one look at each file: a collection of 100,000 takes a second, and nothing is opened.
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


class Found(NamedTuple):
    """An image file. Times are nanoseconds since 1970; `sidecar_mtime_ns` is None where there is no `NAME.txt`."""

    path: str
    size: int
    mtime_ns: int
    sidecar_mtime_ns: int | None = None


DANGLING = "a link that leads nowhere"


class Unreadable(NamedTuple):
    """A folder or file that could not be looked at. What is known of it stays as it is."""

    path: str
    reason: str


@dataclass
class Scan:
    """What there is: `files` sorted by path; what could not be looked at; what was given and is not there.

    `mounts` are the folders below the given ones where another file system begins: a drive that may be unplugged.
    `irregular` are those of the unreadable paths at which a pipe, socket or device lies.
    """

    files: list[Found] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    mounts: list[str] = field(default_factory=list)
    irregular: set[str] = field(default_factory=set)

    @cached_property
    def alive(self) -> set[str]:
        """The files, and every folder above one."""
        return {found.path for found in self.files} | folders_above(found.path for found in self.files)

    def note(self, path: str, error: OSError) -> None:
        """Remember what could not be looked at."""
        self.unreadable.append(Unreadable(path, describe_read_error(error)))


def scan(paths: Iterable[str]) -> Scan:
    """List the image files below some folders, and single files as given, each once, sorted by path.

    Hidden files and folders are left out, links to folders are not followed. Pipes, devices and links that lead
    nowhere are among what could not be looked at.

    Args:
        paths: absolute; not resolved, for a linked file keeps the name its owner gave it.
    """
    found = Scan()
    for path in dict.fromkeys(paths):
        if os.path.isdir(path):
            _walk(path, found)
        elif os.path.exists(path):
            _look(path, found)
        else:
            found.absent.append(path)
    every = {item.path: item for item in found.files}
    strange = {path for path in every if not (path.isascii() or is_storable(path))}
    found.unreadable += [Unreadable(path, "its name is not UTF-8; rename it") for path in sorted(strange)]
    found.files = [every[path] for path in sorted(every.keys() - strange)]
    return found


def is_image_name(name: str) -> bool:
    """Whether a walk takes a file of this name for a picture."""
    return not name.startswith(".") and name[name.rfind(".") :].lower() in IMAGE_SUFFIXES


def folders_above(paths: Iterable[str]) -> set[str]:
    """Every folder that one of the paths lies in, at any depth."""
    above: set[str] = set()
    for path in paths:
        folder = os.path.dirname(path)
        while folder not in above:
            above.add(folder)
            folder = os.path.dirname(folder)
    return above


def _walk(root: str, found: Scan) -> None:
    pending = [(root, _device(root))]
    while pending:
        folder, device = pending.pop()
        here = _device(folder)
        if here not in (device, None):
            found.mounts.append(folder)
        try:
            with os.scandir(folder) as entries:
                images, texts, folders = _sort(entries)
        except OSError as error:
            found.note(folder, error)
            continue
        pending += [(path, here) for path in folders]
        for entry in images:
            sidecar = texts.get(entry.name[: entry.name.rfind(".")])
            try:
                status = entry.stat()
                if (reason := describe_irregular(status.st_mode)) is not None:
                    found.unreadable.append(Unreadable(entry.path, reason))
                    found.irregular.add(entry.path)
                    continue
                time = _time(sidecar.path) if sidecar is not None else None
                found.files.append(Found(entry.path, status.st_size, status.st_mtime_ns, time))
            except FileNotFoundError:
                if entry.is_symlink():  # else it is gone since it was listed
                    found.unreadable.append(Unreadable(entry.path, DANGLING))
            except OSError as error:
                found.note(entry.path, error)


def _sort(entries: Iterable[os.DirEntry[str]]) -> tuple[list[os.DirEntry[str]], dict[str, os.DirEntry[str]], list[str]]:
    """A folder's pictures, its texts by their stem, and its folders; what is hidden is left out."""
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
    """The file system a folder lies on."""
    try:
        return os.stat(folder).st_dev
    except OSError:
        return None


def _time(sidecar: str) -> int | None:
    try:
        return os.stat(sidecar).st_mtime_ns
    except OSError:
        return None


def _look(path: str, found: Scan) -> None:
    """A single file, whatever its name."""
    try:
        status = os.stat(path)
        if stat.S_ISREG(status.st_mode):
            sidecar = os.path.splitext(path)[0] + ".txt"
            time = _time(sidecar) if sidecar != path else None
            found.files.append(Found(path, status.st_size, status.st_mtime_ns, time))
    except FileNotFoundError:
        found.absent.append(path)
    except OSError as error:
        found.note(path, error)
