"""The files of a vector index: NAME.json describes NAME-CHANGES.faiss (the FAISS index) and .npy (the ids of its rows).

The description is written last. It is trusted only as far as the files' digests and the catalog agree with it.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from encoders import Floats
from encoders.durable import publish

from ..catalog.catalog import VECTORS, Catalog
from ..catalog.embeddings import vector_stamp, vectors_of
from ..catalog.records import Ids, Kind, Stamp
from .segment import Segment
from .structure import IndexStructure

NEWEST = 1000
"""The number of newest vectors whose digests are stored."""

WHOLE = 2**26
"""Files up to this many bytes are digested whole, in about 40 ms; of larger ones a sample of blocks."""

BLOCKS, BLOCK = 1024, 4096
"""The number of evenly spaced blocks in that sample, and their bytes."""


@dataclass(frozen=True)
class FileDescription:
    """What the files hold: the catalog's stamp, the structure, sizes and digests, and digests of the newest vectors.

    Descriptions by earlier versions lack `digests`: their files are searched as before, until the next run rebuilds
    them. `newest` maps ids to digests. It reveals a restored backup that has grown again: that reuses the ids it lost
    for other pictures, and its stamp may equal the one that the files were built from.
    """

    stamp: Stamp
    structure: IndexStructure
    bytes: list[int]
    newest: dict[int, str]
    digests: list[str] = field(default_factory=list)


def read_description(catalog: Catalog, kind: Kind) -> FileDescription | None:
    """Read the description of a kind's files; None if there is none of this model that this version understands."""
    encoder = catalog.active_encoder()
    if encoder is None:
        return None
    path = catalog.directory / VECTORS / f"{_name(kind, encoder.fingerprint)}.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        newest = {int(item): str(digest) for item, digest in dict(values["newest"]).items()}
        stamp, structure = Stamp(**values["stamp"]), IndexStructure(**values["choice"])
        digests = list(values.get("digests", []))
        description = FileDescription(stamp, structure, list(values["bytes"]), newest, digests)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return description if stamp.fingerprint == encoder.fingerprint else None


def stored_structure(catalog: Catalog, kind: Kind) -> IndexStructure | None:
    """The structure in a kind's files, from their description alone; None if there is none."""
    description = read_description(catalog, kind)
    return None if description is None else description.structure


def is_valid(catalog: Catalog, kind: Kind, description: FileDescription) -> bool:
    """Whether files are as they were written and belong to this catalog, judged by digests and by a few vectors."""
    files = _files(catalog, kind, description.stamp)
    try:
        intact = description.bytes == [file.stat().st_size for file in files]
        intact = intact and description.digests in ([], [_file_digest(file) for file in files])
        count = len(np.load(files[1], allow_pickle=False))
    except (OSError, ValueError, EOFError):
        return False
    restored = description.stamp.changes > vector_stamp(catalog, kind).changes  # an older catalog was put back
    return intact and count == description.stamp.count and not restored and _holds(catalog, kind, description.newest)


def _holds(catalog: Catalog, kind: Kind, newest: dict[int, str]) -> bool:
    """Whether the catalog has these vectors, apart from some that have been removed."""
    vectors = vectors_of(catalog, kind, np.array(list(newest), np.int64))
    pairs = zip(_digests(vectors), newest.values(), (row.any() for row in vectors), strict=True)
    equal = [actual == stored for actual, stored, exists in pairs if exists]
    return all(equal) and bool(equal) == bool(newest)


def _digests(vectors: Floats) -> list[str]:
    return [hashlib.blake2b(row.tobytes(), digest_size=8).hexdigest() for row in vectors.astype("<f2")]


def _file_digest(path: Path) -> str:
    """A digest of a file: of all its bytes, or of a sample of blocks where it is large."""
    digest, size = hashlib.sha256(), path.stat().st_size
    with path.open("rb") as file:
        if size <= WHOLE:
            digest.update(file.read())
        else:
            for start in np.linspace(0, size - BLOCK, BLOCKS, dtype=np.int64).tolist():
                file.seek(start)
                digest.update(file.read(BLOCK))
    return digest.hexdigest()


def read_segment(catalog: Catalog, kind: Kind) -> Segment | None:
    """Open the segment in the files; None if they are missing, damaged, or of another catalog."""
    import faiss  # noqa: PLC0415  as in `segment`

    description, encoder = read_description(catalog, kind), catalog.active_encoder()
    if description is None or encoder is None or not is_valid(catalog, kind, description):
        return None
    index_file, ids_file = _files(catalog, kind, description.stamp)
    try:
        # Mapped: processes share the memory, and a file that replaces this one needs no second copy in memory.
        index = faiss.read_index(str(index_file), faiss.IO_FLAG_MMAP_IFC)
        ids: Ids = np.load(ids_file, allow_pickle=False)
    except (RuntimeError, MemoryError, OSError, ValueError, EOFError):
        return None
    sound = (
        index.ntotal == len(ids) == description.stamp.count
        and index.d == max(1, encoder.dimension)
        and index.metric_type == faiss.METRIC_INNER_PRODUCT
    )
    return Segment(index, ids, description.structure, description.stamp) if sound else None


def write_segment(catalog: Catalog, kind: Kind, segment: Segment, vectors: Floats) -> None:
    """Write a segment's files under new names, then the description, and remove the old files.

    Errors of the disk are ignored: the files are a cache.

    Args:
        catalog: whose directory the files go to.
        kind: of the segment's items.
        segment: what to write.
        vectors: those that it was built over (N, D).
    """
    import faiss  # noqa: PLC0415  as in `segment`

    folder, name = catalog.directory / VECTORS, _name(kind, segment.stamp.fingerprint)
    files = index_file, ids_file = _files(catalog, kind, segment.stamp)
    temporary = folder / f"{name}.{os.getpid()}-{threading.get_ident()}.tmp"
    newest = dict(zip(segment.ids[-NEWEST:].tolist(), _digests(vectors[-NEWEST:]), strict=True))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        faiss.write_index(segment.index, str(temporary))
        publish(temporary, index_file)
        with temporary.open("wb") as file:
            np.save(file, segment.ids)
        publish(temporary, ids_file)
        values = {
            "stamp": asdict(segment.stamp),
            "choice": asdict(segment.structure),
            "bytes": [file.stat().st_size for file in files],
            "newest": newest,
            "digests": [_file_digest(file) for file in files],
        }
        temporary.write_text(json.dumps(values) + "\n")
        publish(temporary, folder / f"{name}.json")
    except (OSError, RuntimeError):
        temporary.unlink(missing_ok=True)
        return
    for old in folder.glob(f"{name}*"):
        if old.stem not in (name, index_file.stem) or old.name == f"{name}.faiss":
            with suppress(OSError):
                old.unlink()


def _name(kind: Kind, fingerprint: str) -> str:
    return f"{kind}-{fingerprint[:16]}"


def _files(catalog: Catalog, kind: Kind, stamp: Stamp) -> tuple[Path, Path]:
    """The FAISS file and the ids file that were written at a stamp."""
    stem = catalog.directory / VECTORS / f"{_name(kind, stamp.fingerprint)}-{stamp.changes}"
    return stem.with_suffix(".faiss"), stem.with_suffix(".npy")
