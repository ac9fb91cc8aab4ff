"""Builds a vector index's files in a process of its own, which gives back what that took: gigabytes for a million.

    python -m indexer.builder DIRECTORY KIND NAME FINGERPRINT

A server that lives for months would keep that memory, and its searches would wait for the interpreter meanwhile.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from .catalog import Catalog
from .errors import CatalogError
from .records import EncoderRow, Kind
from .vectors import VectorIndex

APART = 10_000
"""Fewer vectors are built faster than a process starts."""

WATCHED = 0.1
"""Seconds between two looks at whether the process has ended."""


def refresh(catalog: Catalog, stop: threading.Event) -> None:
    """Build anew the files that are missing or damaged, are not what the size asks for, or of which much changed.

    Args:
        catalog: as one model sees it.
        stop: ends what takes long; the files are then as they were, and searches go on with them.

    Raises:
        CatalogError: the process was killed; the files are as they were.
    """
    encoder = catalog.active_encoder()
    for kind in Kind:
        if VectorIndex.is_current(catalog, kind):
            continue
        count = catalog.vector_stamp(kind).count
        if encoder is None or count <= APART or not _built_apart(catalog.directory, kind, encoder, count, stop):
            VectorIndex.rebuild(catalog, kind)


def _built_apart(directory: Path, kind: Kind, encoder: EncoderRow, count: int, stop: threading.Event) -> bool:
    """Whether another process did it; not so where Python cannot be started, or the same error will come up here."""
    path = os.pathsep.join(os.path.abspath(folder) for folder in sys.path)
    command = [sys.executable, "-P", "-m", __name__, os.path.abspath(directory), kind.value]
    command += [encoder.name, encoder.fingerprint]
    environment, nothing = os.environ | {"PYTHONPATH": path}, subprocess.DEVNULL
    try:
        # A session of its own: Ctrl-C is for the process that waits.
        process = subprocess.Popen(  # noqa: S603  ourselves
            command, env=environment, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True
        )
    except OSError:
        return False
    try:
        while process.poll() is None:
            if stop.wait(WATCHED):
                return True
    finally:
        process.kill()
        status = process.wait()
    if status < 0:
        name = signal.Signals(-status).name
        raise CatalogError(
            f"building the vector index of {count:,} {kind.value}s was ended by {name}, perhaps "
            f"for want of memory; all of them are in the catalog and are found, only more slowly; make it with: "
            f"crosslook rebuild --index {directory}"
        )
    return status == 0


def main() -> None:
    """Build what the arguments say."""
    directory, kind, name, fingerprint = sys.argv[1:]
    with Catalog.open(Path(directory)) as catalog:
        VectorIndex.rebuild(catalog.for_model(name, fingerprint), Kind(kind))


if __name__ == "__main__":
    main()
