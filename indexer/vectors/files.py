"""The files of a vector index: NAME.json says which NAME-CHANGES.faiss and .npy belong to it.

It is written last, and renamed. What it says is believed only as far as the catalog agrees.
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
"""So many of the newest vectors are noted by a digest each."""

WHOLE = 2**26
"""Bytes of a file that are all digested, which takes some 40 ms; of a larger file a sample of blocks is."""

BLOCKS, BLOCK = 1024, 4096
"""How many blocks of a larger file are digested, evenly spread from its first to its last, and their bytes."""

_SUFFIXES = (".faiss", ".npy")


@dataclass(frozen=True)
class Description:
    """What was built when, the lengths and digests of its files, and digests of its newest vectors by their ids.

    Files of earlier versions have no digests: they are searched as before, and rebuilt by the next indexing run.

    An older catalog that is put back and then grows gives the ids that it lost to other pictures, and may have changed
    as often as the one that the files were built from; its newest vectors are not the same.
    """

    stamp: Stamp
    choice: IndexStructure
    bytes: list[int]
    newest: dict[int, str]
    digests: list[str] = field(default_factory=list)


def describe(catalog: Catalog, kind: Kind) -> Description | None:
    """What the files of a kind hold, without reading them; None where there are none of this version."""
    encoder = catalog.active_encoder()
    if encoder is None:
        return None
    path = catalog.directory / VECTORS / f"{_name(kind, encoder.fingerprint)}.json"
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        newest = {int(item): str(digest) for item, digest in dict(said["newest"]).items()}
        stamp, structure = Stamp(**said["stamp"]), IndexStructure(**said["choice"])
        return Description(stamp, structure, list(said["bytes"]), newest, list(said.get("digests", [])))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def vector_choice(catalog: Catalog, kind: Kind) -> IndexStructure | None:
    """The structure in the file of a kind, without reading it; None where there is none."""
    there = describe(catalog, kind)
    return None if there is None else there.choice


def serves(catalog: Catalog, kind: Kind, there: Description) -> bool:
    """Whether files are as they were written, and of this catalog, as far as a look at a few of its vectors tells."""
    stem = _stem(catalog, kind, there.stamp)
    try:
        whole = there.bytes == [stem.with_suffix(suffix).stat().st_size for suffix in _SUFFIXES]
        whole = whole and there.digests in ([], [_file_digest(stem.with_suffix(suffix)) for suffix in _SUFFIXES])
        count = len(np.load(stem.with_suffix(".npy"), allow_pickle=False))
    except (OSError, ValueError, EOFError):
        return False
    older = there.stamp.changes > vector_stamp(catalog, kind).changes  # an older catalog was put back
    return whole and count == there.stamp.count and not older and _are_there(catalog, kind, there.newest)


def _are_there(catalog: Catalog, kind: Kind, newest: dict[int, str]) -> bool:
    """Whether the catalog has these vectors, apart from some that it has no more."""
    vectors = vectors_of(catalog, kind, np.array(list(newest), np.int64))
    pairs = zip(_digests(vectors), newest.values(), (row.any() for row in vectors), strict=True)
    same = [now == then for now, then, here in pairs if here]
    return all(same) and bool(same) == bool(newest)


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
    """The body in the files; None if they are missing, damaged, or of another catalog."""
    import faiss  # noqa: PLC0415  as in `body`

    there, encoder = describe(catalog, kind), catalog.active_encoder()
    if there is None or encoder is None or not serves(catalog, kind, there):
        return None
    stem = _stem(catalog, kind, there.stamp)
    try:
        # Mapped: processes share it, it need not be read whole, and what replaces it takes no second place in memory.
        index = faiss.read_index(str(stem.with_suffix(".faiss")), faiss.IO_FLAG_MMAP_IFC)
        ids: Ids = np.load(stem.with_suffix(".npy"), allow_pickle=False)
    except (RuntimeError, MemoryError, OSError, ValueError, EOFError):
        return None
    sound = (
        index.ntotal == len(ids) == there.stamp.count
        and index.d == max(1, encoder.dimension)
        and index.metric_type == faiss.METRIC_INNER_PRODUCT
    )
    return Segment(index, ids, there.choice, there.stamp) if sound else None


def write_segment(catalog: Catalog, kind: Kind, body: Segment, vectors: Floats) -> None:
    """Write the files under new names, say so, and remove the old ones; a disk that refuses costs only the cache.

    Args:
        catalog: whose directory they lie in.
        kind: what the body is of.
        body: what to write.
        vectors: that it was built over (N, D).
    """
    import faiss  # noqa: PLC0415  as in `body`

    folder, name = catalog.directory / VECTORS, _name(kind, body.stamp.fingerprint)
    stem = _stem(catalog, kind, body.stamp)
    temporary = folder / f"{name}.{os.getpid()}-{threading.get_ident()}.tmp"
    newest = dict(zip(body.ids[-NEWEST:].tolist(), _digests(vectors[-NEWEST:]), strict=True))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        faiss.write_index(body.index, str(temporary))
        publish(temporary, stem.with_suffix(".faiss"))
        with temporary.open("wb") as file:
            np.save(file, body.ids)
        publish(temporary, stem.with_suffix(".npy"))
        files = [stem.with_suffix(suffix) for suffix in _SUFFIXES]
        sizes, digests = [file.stat().st_size for file in files], [_file_digest(file) for file in files]
        description = Description(body.stamp, body.choice, sizes, newest, digests)
        temporary.write_text(json.dumps(asdict(description)) + "\n")
        publish(temporary, folder / f"{name}.json")
    except (OSError, RuntimeError):
        temporary.unlink(missing_ok=True)
        return
    for old in folder.glob(f"{name}*"):
        if old.stem not in (name, stem.name) or old.name == f"{name}.faiss":
            with suppress(OSError):
                old.unlink()


def _name(kind: Kind, fingerprint: str) -> str:
    return f"{kind}-{fingerprint[:16]}"


def _stem(catalog: Catalog, kind: Kind, stamp: Stamp) -> Path:
    return catalog.directory / VECTORS / f"{_name(kind, stamp.fingerprint)}-{stamp.changes}"
