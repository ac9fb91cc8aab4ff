"""Builds a vector index's files in a process of its own, which gives back what that took: gigabytes for a million.

A server that lives for months would keep that memory, and its searches would wait for the interpreter meanwhile.
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
"""Fewer vectors are built faster than a process starts."""

WATCHED = 0.1
"""Seconds between two looks at whether the process has ended."""

FAILED = 70
"""Status of a process that ran, but could not build."""

logger = logging.getLogger("crosslook.index")


def refresh(catalog: Catalog, stop: threading.Event, progress: Progress = no_progress) -> bool:
    """Build anew the files that are missing or damaged, are not what the size asks for, or of which much changed.

    What cannot be built is logged: the files are a cache, without which searches take longer.

    Args:
        catalog: as one model sees it.
        stop: ends what takes long; the files are then as they were.
        progress: called before and after what takes long.

    Returns:
        Whether it went to its end.
    """
    encoder, whole = catalog.active_encoder(), True
    for kind in Kind:
        if VectorIndex.is_current(catalog, kind):
            continue
        count = vector_stamp(catalog, kind).count
        if encoder is None or count <= APART:
            VectorIndex.rebuild(catalog, kind)
        elif stop.is_set():
            whole = False
        else:
            progress("vectors", 0, count)
            if not _built_apart(catalog.directory, kind, encoder, stop, f"{count:,} {kind.value}s"):
                VectorIndex.rebuild(catalog, kind)
            whole = whole and not stop.is_set()
            progress("vectors", count, count)
    return whole


def _built_apart(directory: Path, kind: Kind, encoder: EncoderRow, stop: threading.Event, what: str) -> bool:
    """Build in another process, and log what goes wrong there; False where Python cannot be started so."""
    if not sys.executable or any(os.pathsep in folder for folder in sys.path):
        return False
    program = f"from {__name__} import main; main()"
    try:
        arguments = [str(directory.absolute()), kind.value, encoder.name, encoder.fingerprint]
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(  # noqa: S603  ourselves
                [sys.executable, "-P", "-c", program, *arguments],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(os.path.abspath(folder) for folder in sys.path)},
                stdin=subprocess.PIPE,  # its end tells the process that this one is gone
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,  # Ctrl-C is for the process that waits
            )
            if not _ended(process, stop):
                return True
            said.seek(0)
            last = said.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
    except OSError:
        return False
    if process.returncode == 0:
        return True
    if process.returncode < 0:
        last = f"{signal.Signals(-process.returncode).name} ended it, perhaps for want of memory"
    elif process.returncode != FAILED:
        return False
    logger.warning(
        "the index over %s was not built (%s); they are found, only more slowly; the next run tries again", what, last
    )
    return True


def _ended(process: subprocess.Popen[bytes], stop: threading.Event) -> bool:
    """Wait for a process, and end it if that is asked for or goes wrong: whether it ended by itself."""
    with process:
        try:
            while process.poll() is None:
                if stop.wait(WATCHED):
                    return False
        finally:
            process.kill()
    return True


def main() -> None:
    """Build what the arguments say; the program that `_built_apart` starts."""
    threading.Thread(target=_end_with_the_other, daemon=True).start()
    directory, kind, name, fingerprint = sys.argv[1:]
    try:
        with Catalog.open(Path(directory)) as catalog:
            VectorIndex.rebuild(catalog.for_model(name, fingerprint), Kind(kind))
    except Exception:  # noqa: BLE001  the other process says it
        traceback.print_exc()
        sys.exit(FAILED)


def _end_with_the_other() -> None:
    os.read(sys.stdin.fileno(), 1)  # nothing is ever written there
    os._exit(FAILED)
