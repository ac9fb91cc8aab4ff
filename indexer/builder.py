"""Builds a vector index's files in a process of its own, which gives back what that took: gigabytes for a million.

    python -m indexer.builder DIRECTORY KIND NAME FINGERPRINT

A server that lives for months would keep that memory, and its searches would wait for the interpreter meanwhile.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from .catalog import Catalog
from .errors import CatalogError
from .records import EncoderRow, Kind
from .vectors import VectorIndex

APART = 10_000
"""Fewer vectors are built faster than a process starts."""


def refresh(catalog: Catalog) -> None:
    """Build anew the files that are missing or damaged, are not what the size asks for, or of which much changed.

    Raises:
        CatalogError: the process was killed; the files are as they were.
    """
    encoder = catalog.active_encoder()
    for kind in Kind:
        if VectorIndex.is_current(catalog, kind):
            continue
        count = catalog.vector_stamp(kind).count
        if encoder is None or count <= APART or not _built_apart(catalog.directory, kind, encoder, count):
            VectorIndex.rebuild(catalog, kind)


def _built_apart(directory: Path, kind: Kind, encoder: EncoderRow, count: int) -> bool:
    """Whether another process did it; not so where Python cannot be started, or the same error will come up here."""
    path = os.pathsep.join(os.path.abspath(folder) for folder in sys.path)
    command = [sys.executable, "-P", "-m", __name__, os.path.abspath(directory), kind.value]
    command += [encoder.name, encoder.fingerprint]
    try:
        ended = subprocess.run(  # noqa: S603  ourselves
            command,
            env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            start_new_session=True,  # Ctrl-C is for the process that waits
        )
    except OSError:
        return False
    if ended.returncode < 0:
        name = signal.Signals(-ended.returncode).name
        raise CatalogError(
            f"building the vector index of {count:,} {kind.value}s was ended by {name}, perhaps for want of memory; "
            f"all of them are in the catalog and are found, only more slowly; make it with: "
            f"crosslook rebuild --index {directory}"
        )
    return ended.returncode == 0


def main() -> None:
    """Build what the arguments say."""
    directory, kind, name, fingerprint = sys.argv[1:]
    with Catalog.open(Path(directory)) as catalog:
        VectorIndex.rebuild(catalog.for_model(name, fingerprint), Kind(kind))


if __name__ == "__main__":
    main()
