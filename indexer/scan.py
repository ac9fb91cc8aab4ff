"""Which files there are: image files below some paths, with their size and time, and their sidecars."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from encoders.datasets import IMAGE_SUFFIXES

from .errors import SourceError
from .files import irregular, why


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

    Hidden files and folders are left out, links to folders are not followed.

    Returns:
        What was found, and what could not be looked at or is no file: pipes, devices, links that lead nowhere.

    Raises:
        SourceError: a path does not exist, or there is no image file at all.
    """
    found: dict[Path, Found] = {}
    unreadable: list[Unreadable] = []

    def note(error: OSError) -> None:
        unreadable.append(Unreadable(Path(error.filename), why(error)))

    for given in paths:
        path = Path(os.path.abspath(given))  # not resolved: a linked file keeps the name its owner gave it
        if path.is_dir():
            for item in _walk(path, note):
                if isinstance(item, Found):
                    found[item.path] = item
                else:
                    unreadable.append(item)
        elif path.exists():
            entry = _entry(path, set(os.listdir(path.parent)))
            if not isinstance(entry, Found):
                raise SourceError(f"{given} is neither a folder nor a regular file")
            found[path] = entry
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


def _walk(root: Path, note: Callable[[OSError], None]) -> Iterator[Found | Unreadable]:
    """What lies below a folder. A list of folders, not recursion: a tree may be deeper than Python's stack."""
    waiting = [str(root)]
    while waiting:
        directory = waiting.pop()
        folders, names = [], set()
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    if not entry.is_dir(follow_symlinks=False):
                        names.add(entry.name)
                    elif not entry.name.startswith("."):
                        folders.append(entry.path)
        except OSError as exc:
            note(exc)
            continue
        waiting += sorted(folders, reverse=True)
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES:
                item = _entry(Path(directory, name), names)
                if item is not None:
                    yield item


def _entry(path: Path, siblings: set[str]) -> Found | Unreadable | None:
    try:
        status = path.stat()
        if (reason := irregular(status.st_mode)) is not None:
            return Unreadable(path, reason)
    except FileNotFoundError:
        return Unreadable(path, "a link that leads nowhere") if path.is_symlink() else None  # gone since it was listed
    except OSError as exc:
        return Unreadable(path, why(exc))
    sidecar_mtime = None
    with suppress(OSError):  # a sidecar that is gone, or a link that leads nowhere, costs its picture nothing
        if (sidecar := path.with_name(path.stem + ".txt")).name in siblings:
            sidecar_mtime = sidecar.stat().st_mtime_ns
    return Found(path, status.st_size, status.st_mtime_ns, sidecar_mtime)
