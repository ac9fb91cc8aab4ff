"""Following changes: each burst of them is one run over what changed; drives may come and go meanwhile."""

from __future__ import annotations

import glob
import os
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from encoders.datasets import CaptionFile
from encoders.progress import Progress, no_progress

from ..catalog.catalog import Catalog
from ..catalog.contents import indexed_roots
from ..catalog.images import known_locations
from ..errors import IndexBusyError, WatchError
from .pipeline import IndexReport, ModelPort, index_changes, index_paths
from .roots import Nearest, add_roots, covering, known_roots, outermost
from .scan import Scan, is_image_name

if TYPE_CHECKING:
    from watchfiles import Change

TICK = 1.0
"""How often, in seconds, roots are looked at: whether a drive was plugged or unplugged, or a single file changed."""

QUIET, BURST = 0.3, 5.0
"""Changes are one burst until nothing happened for so long; or this long, if they never cease."""

RESCAN = 3600.0
"""After so long everything is looked at anew: systems may drop events, and network drives report none."""


def follow(
    catalog: Catalog,
    encoder: ModelPort,
    paths: Sequence[Path],
    *,
    captions: CaptionFile | None = None,
    prune: bool = False,
    batch_size: int = 32,
    progress: Progress = no_progress,
    stop: threading.Event,
) -> Iterator[IndexReport]:
    """Index some paths, then what changes below them, until `stop` is set; every run gives its report.

    The watch is set up before the first look, so nothing falls between the two. Files that go are hidden; `prune`
    holds for the looks at whole roots: at first, when one is plugged in again, and every `RESCAN` seconds.

    Args:
        catalog: an open index.
        encoder: the model.
        paths: folders, which may be empty as yet, and files; none: all roots of the index.
        captions: captions from a file, for the first look.
        prune: as for `index_paths`, and so below.
        batch_size: pictures in one forward pass.
        progress: called as work goes on.
        stop: set it to end.

    Raises:
        SourceError, CatalogError: as `index_paths`; one that is busy later on is waited for.
        WatchError: the system cannot watch so many folders.
    """
    given = [os.path.abspath(path) for path in paths] or known_roots(catalog)
    add_roots(catalog, [path for path in given if os.path.isdir(path)], Scan())
    how: dict[str, Any] = {"batch_size": batch_size, "progress": progress, "stop": stop}
    before: dict[str, tuple[int, ...] | None] = {}
    due: set[str] = set()
    followed = False
    while not stop.is_set():
        roots = _roots(catalog, given)
        here = {root: _identity(root) for root in roots}
        due |= {root for root in roots if root not in before or before[root] != here[root]}
        before, began = here, time.monotonic()
        for changes in _bursts([root for root in roots if os.path.isdir(root)], stop):
            try:
                if due:
                    report = index_paths(
                        catalog, encoder, [Path(r) for r in sorted(due)], captions=captions, prune=prune, **how
                    )
                    captions, due, followed = None, set(), True
                    yield report
                touched = _touched(catalog, set(roots), changes)
                if touched:
                    report = index_changes(catalog, encoder, touched, **how)
                    if report.seen or report.missing or report.failed:
                        yield report
            except IndexBusyError:
                if not followed:
                    raise
                due = set(roots)  # what changed meanwhile is looked at when the other is done
            if _roots(catalog, given) != roots or {root: _identity(root) for root in roots} != here:
                break
            if time.monotonic() - began > RESCAN:
                due = set(roots)
                break


def _roots(catalog: Catalog, given: Collection[str]) -> list[str]:
    """The given paths, and the index's roots below them: drives that are mounted there now and then."""
    nearest = Nearest(given)
    return sorted({*given, *(root for root in indexed_roots(catalog) if nearest(root) is not None)})


def _identity(root: str) -> tuple[int, ...] | None:
    """What tells a drive from its empty mount point, and a file from its earlier content; None where nothing is."""
    try:
        status = os.stat(root)
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if os.path.isdir(root) else (status.st_ino, status.st_mtime_ns)


def _bursts(folders: list[str], stop: threading.Event) -> Iterator[Iterable[tuple[Change, str]]]:
    """What changed below some folders, together; nothing, now and then, where nothing did."""
    from watchfiles import watch  # noqa: PLC0415  only a watching run needs it

    if not folders:
        while not stop.wait(TICK):
            yield ()
        return
    try:
        yield from watch(
            *outermost(folders),
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
        stop.wait(TICK)  # unplugged a moment ago
    except (OSError, RuntimeError) as exc:
        raise WatchError(
            f"cannot watch {', '.join(folders)}: {exc}; allow more watches (on Linux sysctl "
            "fs.inotify.max_user_watches), or set WATCHFILES_FORCE_POLLING=1"
        ) from exc


def _touched(catalog: Catalog, roots: set[str], changes: Iterable[tuple[Change, str]]) -> list[str]:
    """The pictures and folders that some changes concern: those that a walk would come by."""
    touched: set[str] = set()
    for change, path in changes:
        if is_image_name(os.path.basename(path)):
            touched.add(path)
        elif path.endswith(".txt"):
            beside = glob.glob(glob.escape(path[:-4]) + ".*")
            touched |= {other for other in beside if is_image_name(os.path.basename(other))}
        elif (change.name == "added" and os.path.isdir(path)) or (
            change.name == "deleted" and known_locations(catalog, [path])  # a folder with pictures
        ):
            touched.add(path)
    return sorted(path for path in touched if covering(path, roots) is not None)
