"""Index the captions of images, from sidecars and from a caption file, each batch with its embeddings."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import update

from encoders import Encoder
from encoders.datasets import CaptionFile, Rejected, Row, collect, decode_text, split_lines
from encoders.sentences import encode_in_batches

from ..catalog import schema
from ..catalog.captions import caption_texts, captions_of_image, forget_captions, write_captions
from ..catalog.catalog import Catalog
from ..catalog.images import images_by_id, known_locations
from ..catalog.records import LocationRecord
from ..errors import DecodeError, ReadError
from ..pictures.safe_read import read_file
from .scan import ImageFile

LARGEST_SIDECAR = 1_000_000
"""Maximum bytes of a sidecar; a larger `NAME.txt` does not hold captions and is ignored."""

NAMED = 1000
"""Maximum number of images that are named because captions match none of the index."""


@dataclass
class CaptionOutcome:
    """What was done with captions.

    - `added` counts captions.
    - `unmatched` counts those of the file that match no image, or several; `unmatched_images` names their images.
    - `refused` are the sidecars that could not be read, or not as text in a known encoding, each with the reason.
    """

    added: int = 0
    unmatched: int = 0
    unmatched_images: list[str] = field(default_factory=list)
    refused: list[tuple[Path, str]] = field(default_factory=list)
    stopped: bool = False


def index_captions(
    catalog: Catalog,
    encoder: Encoder,
    files: Sequence[ImageFile],
    captions: CaptionFile | None,
    stop: threading.Event,
    advance: Callable[[int, int], None],
) -> CaptionOutcome:
    """Add new captions, and remove those that their sidecars no longer contain.

    Args:
        catalog: an open index.
        encoder: the model.
        files: the image files whose sidecars may be new, changed or removed.
        captions: captions from a file, of any image in the index.
        stop: set it to end after the batch in flight has been committed.
        advance: called with the number of captions done, and the total.
    """
    outcome = CaptionOutcome()
    if not files and captions is None:
        return outcome
    known = known_locations(catalog, [file.path for file in files] if captions is None else None)
    sidecar_captions, sidecar_times, outcome.refused = _changed_sidecars(catalog, files, known)
    rows: list[tuple[str, int | None, str]] = [("sidecar", image_id, text) for image_id, text in sidecar_captions]
    if captions is not None:
        matched, unmatched = _match(captions, known)
        outcome.unmatched = len(unmatched)
        outcome.unmatched_images = list(dict.fromkeys(unmatched))[:NAMED]
        existing = caption_texts(catalog, "dataset")
        rows += [("dataset", image_id, text) for image_id, text in matched if (image_id, text) not in existing]
    done = 0
    for positions, features in encode_in_batches(encoder, [text for _, _, text in rows]):
        with catalog.transaction() as connection:
            outcome.added += write_captions(catalog, connection, [rows[position] for position in positions], features)
        done += len(positions)
        advance(done, len(rows))
        if stop.is_set() and done < len(rows):
            outcome.stopped = True
            return outcome
    with catalog.transaction() as connection:  # last, so that the next run after a killed one reads them again
        for path, mtime_ns in sidecar_times.items():
            where = schema.location.c.path == path
            connection.execute(update(schema.location).where(where).values(sidecar_mtime_ns=mtime_ns))
    return outcome


def _changed_sidecars(
    catalog: Catalog, files: Sequence[ImageFile], known: dict[str, LocationRecord]
) -> tuple[list[tuple[int, str]], dict[str, int | None], list[tuple[Path, str]]]:
    """Find new captions in sidecars, and delete from the catalog those that their sidecars no longer contain.

    An image of which a sidecar cannot be read, or not as text, keeps its captions.

    Returns:
        Image id and text of each new caption; by image path, the modification times of the sidecars read; and the
        sidecars that were not, with the reasons: these are read, and reported, again by the next run.
    """
    new: list[tuple[int, str]] = []
    refused: dict[Path, str] = {}
    times: dict[str, int | None] = {}
    changed: dict[int, None] = {}
    for file in files:
        record = known.get(file.path)
        if record is not None and record.sidecar_mtime_ns != file.sidecar_mtime_ns:
            times[record.path] = file.sidecar_mtime_ns
            changed[record.image_id] = None
    # By image, because an image may have several locations, each with its own sidecar.
    for image in images_by_id(catalog, list(changed)).values():
        sidecars = {path: _read_sidecar(path.with_suffix(".txt")) for path in image.paths}
        lines = dict.fromkeys(row.caption for sidecar in sidecars.values() for row in sidecar.entries)
        unread = [(path, sidecar) for path, sidecar in sidecars.items() if sidecar.rejected]
        for path, sidecar in unread:
            first = sidecar.rejected[0]
            refused[sidecar.path] = f"line {first.line}: {first.reason}" if first.line else first.reason
            times.pop(str(path), None)
        previous = {c.text: c.id for c in captions_of_image(catalog, image.id) if c.source == "sidecar"}
        # A sidecar on an unplugged drive may contain them.
        if not unread and all(path.parent.is_dir() for path in image.paths):
            with catalog.transaction() as connection:
                forget_captions(connection, [i for text, i in previous.items() if text not in lines])
        new += [(image.id, text) for text in lines if text not in previous]
    return new, times, list(refused.items())


def _read_sidecar(path: Path) -> CaptionFile:
    """Read a sidecar: one caption per line."""
    try:
        with read_file(path, limit=LARGEST_SIDECAR) as data:
            lines = split_lines(decode_text(data))
    except ReadError as exc:
        return CaptionFile(path, (), (Rejected(path, None, str(exc)),) if os.path.lexists(path) else ())
    except DecodeError:
        lines = []  # not a regular file, or too large
    return collect(path, (Row(path.name, line, n) for n, line in enumerate(lines, start=1) if line.strip()))


def _match(captions: CaptionFile, known: dict[str, LocationRecord]) -> tuple[list[tuple[int, str]], list[str]]:
    """Match each caption to the image whose path ends as the caption file says.

    Images below the caption file's folder take precedence. Captions that match no image, or several, are left out.

    Returns:
        Image id and text of each matched caption, and the image of each caption left out.
    """
    by_name: dict[str, list[LocationRecord]] = {}
    for record in known.values():
        by_name.setdefault(Path(record.path).name, []).append(record)
    folder = captions.path.resolve().parent
    matched: dict[tuple[int, str], None] = {}
    unmatched: list[str] = []
    for row in captions.entries:
        parts = Path(row.image).parts
        candidates = [r for r in by_name.get(parts[-1], []) if Path(r.path).parts[-len(parts) :] == parts]
        nearby = [r for r in candidates if Path(r.path).is_relative_to(folder)]
        image_ids = {r.image_id for r in nearby or candidates}
        if len(image_ids) == 1:
            matched[image_ids.pop(), row.caption] = None
        else:
            unmatched.append(row.image)
    return list(matched), unmatched
