"""Rebuilds the files of a vector index, large ones in a process of their own.

That process returns its memory when it ends: gigabytes for a million vectors, which a long-lived server would keep; and
the server's searches do not wait for the interpreter meanwhile.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from pathlib import Path

from encoders.progress import Progress, no_progress

from ..catalog.catalog import Catalog
from ..catalog.embeddings import vector_stamp
from ..catalog.records import EncoderRow, Kind
from .index import VectorIndex

APART = 10_000
"""Up to this many vectors are built here: that is faster than starting a process."""

WATCHED = 0.1
"""Seconds between two checks whether the process has ended."""

FAILED = 70
"""Exit status of a process that ran but could not build."""

logger = logging.getLogger("crosslook.index")


def refresh(catalog: Catalog, stop: threading.Event, progress: Progress = no_progress) -> bool:
    """Rebuild the files that are missing, damaged, out of date, or of the wrong structure for the size.

    A failure is logged only: the files are a cache, without which searches take longer.

    Args:
        catalog: as one model sees it.
        stop: set it to end a long rebuild; the files then stay as they were.
        progress: called before and after a long rebuild.

    Returns:
        Whether it was completed, not stopped.
    """
    encoder, completed = catalog.active_encoder(), True
    for kind in Kind:
        if VectorIndex.is_current(catalog, kind):
            continue
        count = vector_stamp(catalog, kind).count
        if encoder is None or count <= APART:
            VectorIndex.rebuild(catalog, kind)
        elif stop.is_set():
            completed = False
        else:
            progress("vectors", 0, count)
            if not _build_apart(catalog.directory, kind, encoder, stop, f"{count:,} {kind.value}s"):
                VectorIndex.rebuild(catalog, kind)
            completed = completed and not stop.is_set()
            progress("vectors", count, count)
    return completed


def _build_apart(directory: Path, kind: Kind, encoder: EncoderRow, stop: threading.Event, label: str) -> bool:
    """Build in another process and log its failure; return False if Python cannot be started that way."""
    if not sys.executable or any(os.pathsep in folder for folder in sys.path):
        return False
    program = f"from {__name__} import main; main()"
    try:
        arguments = [str(directory.absolute()), kind.value, encoder.name, encoder.fingerprint]
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(  # noqa: S603  this same program
                [sys.executable, "-P", "-c", program, *arguments],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(os.path.abspath(folder) for folder in sys.path)},
                stdin=subprocess.PIPE,  # closed when this process ends, so that the child ends too
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,  # Ctrl-C is for the process that waits
            )
            if not _wait(process, stop):
                return True
            errors.seek(0)
            last = errors.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
    except OSError:
        return False
    if process.returncode == 0:
        return True
    if process.returncode < 0:
        last = f"{signal.Signals(-process.returncode).name} ended the process, perhaps because memory ran out"
    elif process.returncode != FAILED:
        return False
    logger.warning(
        "the index over %s was not built (%s); searches work but are slower; the next run tries again", label, last
    )
    return True


def _wait(process: subprocess.Popen[bytes], stop: threading.Event) -> bool:
    """Wait for a process, and kill it when `stop` is set; return whether it ended by itself."""
    with process:
        try:
            while process.poll() is None:
                if stop.wait(WATCHED):
                    return False
        finally:
            process.kill()
    return True


def main() -> None:
    """Build what the arguments name; `_build_apart` starts this."""
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    directory, kind, name, fingerprint = sys.argv[1:]
    try:
        with Catalog.open(Path(directory)) as catalog:
            VectorIndex.rebuild(catalog.for_model(name, fingerprint), Kind(kind))
    except Exception:  # noqa: BLE001  the parent logs it
        traceback.print_exc()
        sys.exit(FAILED)


def _exit_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # returns when the parent's end of the pipe closes
    os._exit(FAILED)
