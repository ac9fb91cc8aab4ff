"""Captions of indexed images, from sidecars and from a caption file; embedded in the transaction that adds them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import update

from encoders import Encoder
from encoders.datasets import CaptionFile, split_lines
from encoders.sentences import encode_in_batches

from ..catalog import schema
from ..catalog.captions import caption_texts, captions_of_image, forget_captions, write_captions
from ..catalog.catalog import Catalog
from ..catalog.images import images_by_id, known_locations
from ..catalog.records import LocationRecord
from ..errors import DecodeError
from ..pictures.safe_read import read_file
from .scan import Found

LARGEST_SIDECAR = 1_000_000
"""Bytes; a larger `NAME.txt` cannot be the captions of one picture."""


@dataclass
class CaptionOutcome:
    """How many captions were new, and how many of the file's belong to no indexed image."""

    added: int = 0
    unmatched: int = 0
    stopped: bool = False


def index_captions(
    catalog: Catalog,
    encoder: Encoder,
    files: Sequence[Found],
    captions: CaptionFile | None,
    stop: threading.Event,
    advance: Callable[[int, int], None],
) -> CaptionOutcome:
    """Add new captions, and remove those that their sidecars no longer contain.

    Args:
        catalog: an open index.
        encoder: the model.
        files: those whose sidecars may be new, changed or removed.
        captions: captions from a file; they may belong to any image of the index.
        stop: set it to end after the batch in flight.
        advance: called with the number of captions done and in all.
    """
    outcome = CaptionOutcome()
    if not files and captions is None:
        return outcome
    known = known_locations(catalog, [found.path for found in files] if captions is None else None)
    sidecars, read = _changed_sidecars(catalog, files, known)
    work: list[tuple[str, int | None, str]] = [("sidecar", image_id, text) for image_id, text in sidecars]
    if captions is not None:
        matched, outcome.unmatched = _match(captions, known)
        existing = caption_texts(catalog, "dataset")
        work += [("dataset", image_id, text) for image_id, text in matched if (image_id, text) not in existing]
    done = 0
    for positions, features in encode_in_batches(encoder, [text for _, _, text in work]):
        with catalog.transaction() as connection:
            rows = [work[position] for position in positions]
            outcome.added += write_captions(catalog, connection, rows, features)
        done += len(positions)
        advance(done, len(work))
        if stop.is_set() and done < len(work):
            outcome.stopped = True
            return outcome
    with catalog.transaction() as connection:  # last: a killed run reads these sidecars again
        for path, mtime_ns in read.items():
            where = schema.location.c.path == path
            connection.execute(update(schema.location).where(where).values(sidecar_mtime_ns=mtime_ns))
    return outcome


def _changed_sidecars(
    catalog: Catalog, files: Sequence[Found], known: dict[str, LocationRecord]
) -> tuple[list[tuple[int, str]], dict[str, int | None]]:
    """Return the captions of new and changed sidecars, and remove from the catalog those that vanished from them."""
    new: list[tuple[int, str]] = []
    read: dict[str, int | None] = {}
    changed: dict[int, None] = {}
    for found in files:
        record = known.get(found.path)
        if record is not None and record.sidecar_mtime_ns != found.sidecar_mtime_ns:
            read[record.path] = found.sidecar_mtime_ns
            changed[record.image_id] = None
    for image in images_by_id(
        catalog, list(changed)
    ).values():  # an image may have several locations, each with its sidecar
        lines = dict.fromkeys(text for path in image.paths for text in _lines(path.with_suffix(".txt")))
        previous = {c.text: c.id for c in captions_of_image(catalog, image.id) if c.source == "sidecar"}
        if all(path.parent.is_dir() for path in image.paths):  # sidecars on an unplugged drive may still contain them
            with catalog.transaction() as connection:
                forget_captions(connection, [i for text, i in previous.items() if text not in lines])
        new += [(image.id, text) for text in lines if text not in previous]
    return new, read


def _lines(path: Path) -> list[str]:
    """Read a sidecar's captions, one a line; undecodable bytes are replaced."""
    try:
        with read_file(path, limit=LARGEST_SIDECAR) as data:
            text = data.decode("utf-8-sig", errors="replace")
    except DecodeError:
        return []  # missing, a pipe, or too large for captions
    return list(dict.fromkeys(" ".join(line.split()) for line in split_lines(text) if line.strip()))


def _match(captions: CaptionFile, known: dict[str, LocationRecord]) -> tuple[list[tuple[int, str]], int]:
    """Find each caption's image: by the end of its path, and among files of one name the one nearest the file."""
    by_name: dict[str, list[LocationRecord]] = {}
    for record in known.values():
        by_name.setdefault(Path(record.path).name, []).append(record)
    base = captions.path.resolve().parent
    matched: dict[tuple[int, str], None] = {}
    unmatched = 0
    for row in captions.entries:
        parts = Path(row.image).parts
        fitting = [r for r in by_name.get(parts[-1], []) if Path(r.path).parts[-len(parts) :] == parts]
        near = [r for r in fitting if Path(r.path).is_relative_to(base)]
        images = {r.image_id for r in near or fitting}
        if len(images) == 1:
            matched[images.pop(), row.caption] = None
        else:
            unmatched += 1
    return list(matched), unmatched
