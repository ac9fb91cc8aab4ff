"""Write folders, walk them, and count what searches show."""

from __future__ import annotations

import os
from pathlib import Path

from indexer import Catalog
from indexer.catalog.contents import catalog_stats
from indexer.catalog.images import hidden_image_ids
from indexer.ingest.reach import Reach
from indexer.ingest.scan import Scan, scan


def write(path: Path, content: bytes = b"") -> Path:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def walked(root: Path, **exclusions: tuple[str, ...]) -> tuple[list[str], Scan]:
    """Scan a folder; return the names of its files, relative to it, and the result."""
    result = scan([str(root)], Reach([str(root)], exclusions={str(root): exclusions.get("patterns", ())}))
    return [Path(file.path).relative_to(root).as_posix() for file in result.files], result


def shown(catalog: Catalog) -> int:
    """The number of images that searches show."""
    return catalog_stats(catalog).images - len(hidden_image_ids(catalog))


def keep_times(path: Path, content: bytes) -> None:
    """Write other content of the same size into a file, and set its old times."""
    status = path.stat()
    assert len(content) == status.st_size
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
