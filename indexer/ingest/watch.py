"""Watch folders: index them once, then update the index after each burst of changes. Drives may come and go."""

from __future__ import annotations

import glob
import os
import threading
import time
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from encoders import Encoder
from encoders.datasets import CaptionFile
from encoders.progress import Progress, no_progress

from ..catalog.catalog import Catalog
from ..catalog.contents import indexed_roots
from ..catalog.images import known_locations
from ..errors import IndexBusyError, WatchError
from ..pictures.formats import RAW_SUFFIXES, SUFFIXES
from .pipeline import index_changes, index_paths
from .reach import Nearest, Reach, is_image_name
from .roots import add_roots, known_roots
from .rules import IGNORE_FILE, NO_MEDIA
from .scan import Scan
from .writing import IndexReport

if TYPE_CHECKING:
    from watchfiles import Change as ChangeType

TICK = 1.0
"""Seconds between two checks whether a drive was plugged in or unplugged, or a root that is a file changed."""

QUIET, BURST = 0.3, 5.0
"""A burst of changes ends after QUIET seconds without one, or after BURST seconds."""

RESCAN = 3600.0
"""Seconds after which every root is scanned again: the system may drop events, and network drives report none."""

Change = tuple["ChangeType", str]
Watch = Generator[Iterable[Change], None, None]
Identity = tuple[int, ...] | None


def follow(
    catalog: Catalog,
    encoder: Encoder,
    paths: Sequence[Path],
    *,
    captions: CaptionFile | None = None,
    prune: bool = False,
    exclude: Sequence[str] | None = None,
    again: bool = False,
    batch_size: int = 32,
    progress: Progress = no_progress,
    stop: threading.Event,
) -> Iterator[IndexReport]:
    """Index some paths, then whatever changes below them until `stop` is set; yield a report for each run.

    No change is missed: a watch is opened before its roots are scanned for the first time, and when the roots change,
    the new watch is opened before the old one is read for the last time. The images of deleted files are hidden;
    `prune` applies only to scans of whole roots: the first, after a drive is plugged in, and every `RESCAN` seconds.

    Args:
        catalog: an open index.
        encoder: the model.
        paths: files and folders, which may be empty; none for all roots of the index.
        captions: captions from a file, for the first scan.
        prune: as in `index_paths`.
        exclude: as in `index_paths`.
        again: as in `index_paths`, for the first scan.
        batch_size: pictures in one forward pass.
        progress: called as work goes on.
        stop: set it to end.

    Raises:
        SourceError, CatalogError: as `index_paths`. If the index becomes busy after the first run, waits for it.
        WatchError: the system cannot watch so many folders.
    """
    bases = [os.path.abspath(path) for path in paths] or known_roots(catalog)
    add_roots(catalog, [path for path in bases if os.path.isdir(path)], Scan(), Reach.of(catalog, bases))
    index_roots = partial(
        index_paths, catalog, encoder, prune=prune, batch_size=batch_size, progress=progress, stop=stop
    )
    update = partial(index_changes, catalog, encoder, batch_size=batch_size, progress=progress, stop=stop)
    scanned: dict[str, Identity] = {}
    due: set[str] = set()
    watch: Watch | None = None
    started = False
    while not stop.is_set():
        roots = _identities(catalog, bases)
        due |= dict(roots.items() - scanned.items()).keys()
        scanned, start = roots, time.monotonic()
        watch, pending = _reopen(watch, roots, stop)
        if watch is None:
            scanned = {}  # nothing is watched until the next attempt, which has to scan all roots
            stop.wait(TICK)
            continue
        for changes in chain(pending, watch):
            try:
                if due:
                    report = index_roots(
                        [Path(root) for root in sorted(due)],
                        captions=captions,
                        exclude=exclude,
                        found=due.difference(bases),
                        again=again,
                    )
                    captions, exclude, again, due, started = None, None, False, set(), True
                    yield report
                changed_paths = _changed_paths(catalog, set(roots), changes)
                report = update(changed_paths) if changed_paths else IndexReport()
                if report.seen or report.missing or report.excluded or report.failed:
                    yield report
            except IndexBusyError:
                if not started:
                    raise
                due = set(roots)  # until the other process is done
            if _identities(catalog, bases) != roots:
                break
            if time.monotonic() - start > RESCAN:
                due = set(roots)
                break


def _reopen(
    previous: Watch | None, roots: Iterable[str], stop: threading.Event
) -> tuple[Watch | None, list[Iterable[Change]]]:
    """Open a new watch, then read the previous one for the last time and close it.

    Returns:
        The new watch, None if a folder was deleted meanwhile; and the changes that both have seen so far, as one burst.
    """
    watch = _bursts([root for root in roots if os.path.isdir(root)], stop)
    try:
        changes = [*next(watch, ())]
        if previous is not None:
            changes += next(previous, ())
    except FileNotFoundError:
        return None, []
    finally:
        if previous is not None:
            previous.close()
    return watch, [] if stop.is_set() else [changes]


def _identities(catalog: Catalog, bases: Collection[str]) -> dict[str, Identity]:
    """Return the given paths and the index's roots below them, which may be drives, each with its identity."""
    nearest = Nearest(bases)
    roots = {*bases, *(root for root in indexed_roots(catalog) if nearest(root) is not None)}
    return {root: _identity(root) for root in sorted(roots)}


def _identity(root: str) -> Identity:
    """A value that differs between a drive and its empty mount point, and changes with a file; None if missing."""
    try:
        status = os.stat(root)
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if os.path.isdir(root) else (status.st_ino, status.st_mtime_ns)


def _bursts(folders: list[str], stop: threading.Event) -> Watch:
    """Yield the changes below some folders, burst by burst, and an empty burst every `TICK` seconds without one.

    Raises:
        FileNotFoundError: a folder does not exist.
        WatchError: the system cannot watch so many folders.
    """
    from watchfiles import watch  # noqa: PLC0415  needed only to watch

    if not folders:
        while not stop.wait(TICK):
            yield ()
        return
    try:
        yield from watch(
            *_outermost(folders),
            watch_filter=None,
            debounce=round(1000 * BURST),
            step=round(1000 * QUIET),
            stop_event=stop,
            rust_timeout=round(1000 * TICK),
            yield_on_timeout=True,
            raise_interrupt=True,
            ignore_permission_denied=True,
        )
    except FileNotFoundError:
        raise
    except (OSError, RuntimeError) as exc:
        raise WatchError(
            f"cannot watch {', '.join(folders)}: {exc}; allow more watches (on Linux sysctl "
            "fs.inotify.max_user_watches), or set WATCHFILES_FORCE_POLLING=1"
        ) from exc


def _outermost(folders: Collection[str]) -> list[str]:
    """The folders without those below another one, whose watch includes them."""
    nearest = Nearest(folders)
    return [
        folder for folder in folders if os.path.dirname(folder) == folder or nearest(os.path.dirname(folder)) is None
    ]


def _changed_paths(catalog: Catalog, roots: set[str], changes: Iterable[Change]) -> list[str]:
    """Return the image files and folders to scan after some changes, if a scan of the roots would reach them.

    These are files that changed or whose sidecar did, and folders that appeared, disappeared or changed their rules.
    """
    paths: set[str] = set()
    ruled: set[str] = set()
    for change, path in changes:
        folder, name = os.path.split(path)
        stem, suffix = os.path.splitext(path)
        if name in (IGNORE_FILE, NO_MEDIA):
            ruled.add(folder)
        elif is_image_name(name):
            paths |= {path, *_raw_files(stem)}
        elif suffix == ".txt" or suffix.lower() == ".xmp":
            paths |= set(filter(is_image_name, (stem, *glob.glob(glob.escape(stem) + ".*"))))
        elif (change.name == "added" and os.path.isdir(path)) or (
            change.name == "deleted" and known_locations(catalog, [path])  # a folder of images
        ):
            paths.add(path)
    reach = Reach.of(catalog)
    return sorted(ruled & roots | {path for path in paths | ruled if reach.covering(path, roots) is not None})


def _raw_files(stem: str) -> Iterator[str]:
    """The raw files of this name, which are left out while a JPEG is beside them."""
    spelt = (stem + s for suffix in RAW_SUFFIXES & SUFFIXES for s in (suffix, suffix.upper()))
    return filter(os.path.exists, spelt)
