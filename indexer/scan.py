"""Which files there are: image files below some paths, with their size and time, and their sidecars."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from encoders.datasets import IMAGE_SUFFIXES

from .errors import SourceError


@dataclass(frozen=True)
class Found:
    """An image file. Times are nanoseconds since 1970; `sidecar_mtime_ns` is None where there is no `NAME.txt`."""

    path: Path
    size: int
    mtime_ns: int
    sidecar_mtime_ns: int | None = None


@dataclass(frozen=True)
class Unreadable:
    """A folder or file that could not be looked at. What is known of it stays as it is."""

    path: Path
    reason: str


def scan(paths: Sequence[Path]) -> tuple[list[Found], list[Unreadable]]:
    """List the image files below some folders, and single files as given, each once, sorted by path.

    Hidden files and folders are left out, links to folders are not followed, pipes and devices are passed over.

    Returns:
        What was found, and what could not be looked at.

    Raises:
        SourceError: a path does not exist, or there is no image file at all.
    """
    found: dict[Path, Found] = {}
    unreadable: list[Unreadable] = []

    def note(error: OSError) -> None:
        unreadable.append(Unreadable(Path(error.filename), f"cannot be read: {error.strerror or error}"))

    for given in paths:
        path = Path(os.path.abspath(given))  # not resolved: a linked file keeps the name its owner gave it
        if path.is_dir():
            for item in _walk(path, note):
                found[item.path] = item
        elif path.exists():
            item_or_none = _entry(path, set(os.listdir(path.parent)))
            if item_or_none is None:
                raise SourceError(f"{given} is neither a folder nor a regular file")
            found[path] = item_or_none
        else:
            raise SourceError(f"no such file or folder: {given}")
    if not found and not unreadable:
        names = ", ".join(str(path) for path in paths)
        raise SourceError(f"no image files in {names}; crosslook reads {', '.join(sorted(IMAGE_SUFFIXES))}")
    strange = [path for path in found if not is_storable(path)]
    unreadable += [Unreadable(path, "its name is not UTF-8; rename it") for path in strange]
    return [found[path] for path in sorted(set(found) - set(strange))], unreadable


def is_storable(path: Path) -> bool:
    """Whether a name can be kept: bytes that are not UTF-8, which some file systems allow, cannot."""
    return str(path).encode("utf-8", "replace").decode() == str(path)


def _walk(root: Path, note: Callable[[OSError], None]) -> Iterator[Found]:
    for directory, folders, files in os.walk(root, onerror=note):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        names = set(files)
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES:
                item = _entry(Path(directory, name), names)
                if item is not None:
                    yield item


def _entry(path: Path, siblings: set[str]) -> Found | None:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return None
        sidecar = path.stem + ".txt"
        sidecar_mtime = path.with_name(sidecar).stat().st_mtime_ns if sidecar in siblings else None
    except OSError:
        return None  # gone since it was listed
    return Found(path, status.st_size, status.st_mtime_ns, sidecar_mtime)
