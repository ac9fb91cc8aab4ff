"""Annotate images: with what pictures, their sidecars, their names and their positions say.

Each source is stored as it was read, the picture's in `image.record`, a sidecar's in `location.record`. All else is
derived from these, so that a changed sidecar costs no more than reading it.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Update, bindparam, func, select, update

from ..catalog import schema
from ..catalog.annotations import Annotation, write_annotations, write_place
from ..catalog.catalog import Catalog
from ..catalog.records import LocationRecord, chunks
from ..errors import DecodeError, ReadError, SidecarError
from ..pictures.decode import read_picture
from ..pictures.metadata import Findings, Words, dated_by_name, read_xmp_sidecar, with_sidecar
from ..pictures.safe_read import read_file
from ..places import Place, find_places
from .reading import batches, read_ahead
from .scan import ImageFile

RECORD_VERSION = 1
"""Version of what is read from pictures. Records of lower versions are read again by the next run."""

BATCH = 200
SMALL = 16
"""Pixels of the shorter side at which a picture is decoded for its metadata alone."""

_image, _location = schema.image.c, schema.location.c
_FIELDS = tuple(field.name for field in fields(Findings))
_SINGLE = {name: getattr(Annotation, name.upper()) for name in ("title", "description", "creator", "copyright", "lens")}
_SEVERAL = {
    "texts": Annotation.TEXT,
    "keywords": Annotation.KEYWORD,
    "persons": Annotation.PERSON,
    "places": Annotation.PLACE,
}


def record_of(findings: Findings) -> str:
    """Write what a file says as JSON; the notes concern only the run that read it."""
    document = {name: value for name, value in asdict(findings).items() if name in _FIELDS}
    document["words"] = {name: value for name, value in document["words"].items() if value and name != "notes"}
    return json.dumps(document, ensure_ascii=False)


def findings_of(record: str | None) -> Findings:
    """Read what `record_of` has written."""
    if record is None:
        return Findings()
    document: dict[str, Any] = json.loads(record)
    words: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in document["words"].items()
    }
    return Findings(**document | {"words": Words(**words)})


def annotate(connection: Connection, image_ids: Sequence[int]) -> None:
    """Derive date, position, camera, place and annotations of some images from their records.

    Call it for every image whose record or files have changed. Images without a record are left as they are: they are
    from an earlier version, and the next run reads them.

    Args:
        connection: an open transaction.
        image_ids: the images; those that do not exist are left out.
    """
    for part in chunks(image_ids):
        found = dict(_merged(connection, part))
        if not found:
            continue
        places = _places(found)
        place_ids = {image_id: write_place(connection, place) for image_id, place in places.items()}
        rows = [
            {"of": image_id, "place_id": place_ids.get(image_id), **_derived(findings)}
            for image_id, findings in found.items()
        ]
        connection.execute(_DERIVE, rows)
        connection.execute(update(schema.edition).values(count=schema.edition.c.count + 1))
        annotations = {i: _annotations(findings.words, places.get(i)) for i, findings in found.items()}
        write_annotations(connection, annotations)


def _derived(findings: Findings) -> dict[str, object]:
    """The columns of an image that are derived, but for its place."""
    values = {name: getattr(findings, name) for name in _FIELDS if name != "words"}
    return values | {"date_source": findings.words.date_source}


def _merged(connection: Connection, image_ids: Sequence[object]) -> Iterator[tuple[int, Findings]]:
    """Merge the record of each image with those of its sidecars, and take a missing date from its names.

    A file that is missing says nothing, unless all are.
    """
    files: dict[int, list[tuple[str, str | None]]] = {}
    present_first = _location.missing_since.is_not(None), _location.path
    locations = select(schema.location).where(_location.image_id.in_(image_ids)).order_by(*present_first)
    for row in connection.execute(locations):
        if row.missing_since is None or row.image_id not in files:
            files.setdefault(row.image_id, []).append((row.path, row.record))
    images = select(_image.id, _image.record).where(_image.id.in_(image_ids), _image.record.is_not(None))
    for image in connection.execute(images):
        findings = findings_of(image.record)
        for _, record in files.get(image.id, ()):
            findings = findings if record is None else with_sidecar(findings, findings_of(record))
        for path, _ in files.get(image.id, ()):
            findings = dated_by_name(findings, Path(path).name)
        yield image.id, findings


def _places(found: Mapping[int, Findings]) -> dict[int, Place]:
    """The places of the images whose position is known and near one; the table is read for the first of these."""
    positions = {i: (f.latitude, f.longitude) for i, f in found.items() if f.latitude is not None}
    if not positions:
        return {}
    latitudes, longitudes = zip(*positions.values(), strict=True)
    pairs = zip(positions, find_places(latitudes, longitudes), strict=True)
    return {image_id: place for image_id, place in pairs if place is not None}


def _annotations(words: Words, place: Place | None) -> Iterator[tuple[Annotation, str]]:
    for field, name in _SINGLE.items():
        if (value := getattr(words, field)) is not None:
            yield name, value
    if words.rating is not None:
        yield Annotation.RATING, str(words.rating)
    for field, name in _SEVERAL.items():
        yield from ((name, value) for value in getattr(words, field))
    if place is not None:
        yield from ((Annotation.PLACE, name) for name in (place.city, place.region, place.country) if name)


class _Read(NamedTuple):
    """A record that was read: its image, the statement that stores it with its values, and notes by path.

    The statement is None where a file could not be read for now: the catalog stays as it is until the next run.
    """

    image_id: int
    statement: Update | None
    values: dict[str, object]
    notes: list[tuple[str, str]]


def read_records(
    catalog: Catalog,
    files: Sequence[ImageFile],
    known: Mapping[str, LocationRecord],
    stop: threading.Event,
    advance: Callable[[int, int], None],
    *,
    again: bool = False,
) -> tuple[int, list[tuple[str, str]]]:
    """Read the sidecars that are new or changed and the pictures whose records are of an earlier version.

    Args:
        catalog: an open index.
        files: the files of a run, which have been indexed.
        known: the catalog's files by path, after that.
        stop: set it to end after the batch in flight has been committed.
        advance: called with the number of files read, and the total.
        again: read unchanged sidecars as well.

    Returns:
        The number of files read; and by path, what could not be read.
    """
    pairs = [(file, record) for file in files if (record := known.get(file.path)) is not None]
    tasks: list[Callable[[], _Read]] = [partial(_read_picture, *task) for task in _unread_pictures(catalog, pairs)]
    tasks += [partial(_read_sidecar, f, r.image_id) for f, r in pairs if _is_due(f, r, again=again)]
    done, notes = 0, []
    with closing(read_ahead(lambda task: task(), tasks, 4 * BATCH)) as results:
        for batch in batches(results, BATCH):
            with catalog.transaction() as connection:
                for statement in (_STORE_PICTURE, _STORE_SIDECAR):
                    if values := [read.values for read in batch if read.statement is statement]:
                        connection.execute(statement, values)
                annotate(connection, list(dict.fromkeys(read.image_id for read in batch)))
            notes += [note for read in batch for note in read.notes]
            done += len(batch)
            advance(done, len(tasks))
            if stop.is_set():
                break
    return done, notes


def _is_due(file: ImageFile, record: LocationRecord, *, again: bool) -> bool:
    """Whether the sidecar of a file has to be read."""
    return file.xmp_mtime_ns != record.xmp_mtime_ns or (again and file.xmp is not None)


def _unread_pictures(
    catalog: Catalog, pairs: Sequence[tuple[ImageFile, LocationRecord]]
) -> list[tuple[ImageFile, int, str]]:
    """One unchanged file, the id and the content hash of each image whose record is of an earlier version."""
    query = select(_image.id, _image.content_hash).where(_image.record_version < RECORD_VERSION)
    hashes = {row.id: row.content_hash for row in catalog.rows(query)}
    unread: dict[int, tuple[ImageFile, int, str]] = {}
    for file, record in pairs if hashes else ():
        if record.image_id in hashes and (record.size, record.mtime_ns) == (file.size, file.mtime_ns):
            unread.setdefault(record.image_id, (file, record.image_id, hashes[record.image_id]))
    return list(unread.values())


def _read_picture(file: ImageFile, image_id: int, content_hash: str) -> _Read:
    """Read the metadata of an indexed picture; if that fails, the image keeps what it has. Called in a thread."""
    record, notes = None, []
    try:
        with read_file(Path(file.path)) as data:
            if hashlib.sha256(data).hexdigest() == content_hash:
                _, metadata = read_picture(data, at_least=SMALL)
                record = record_of(metadata)
                notes = [(file.path, note) for note in metadata.words.notes]
    except ReadError as exc:
        return _Read(image_id, None, {}, [(file.path, str(exc))])
    except DecodeError as exc:
        notes = [(file.path, str(exc))]
    return _Read(image_id, _STORE_PICTURE, {"of": image_id, "new_record": record}, notes)


def _read_sidecar(file: ImageFile, image_id: int) -> _Read:
    """Read the XMP sidecar of a picture; one that is gone or cannot be read says nothing. Called in a thread."""
    record, notes = None, []
    if file.xmp is not None:
        try:
            findings = read_xmp_sidecar(Path(file.xmp))
            record, notes = record_of(findings), [(file.path, note) for note in findings.words.notes]
        except SidecarError as exc:
            notes = [(file.path, str(exc))]
            if isinstance(exc.__cause__, ReadError):
                return _Read(image_id, None, {}, notes)
    values: dict[str, object] = {"at": file.path, "record": record, "xmp_mtime_ns": file.xmp_mtime_ns}
    return _Read(image_id, _STORE_SIDECAR, values, notes)


# Statements for many rows at a time.
_DERIVED = (*(name for name in _FIELDS if name != "words"), "date_source", "place_id")
_DERIVE = update(schema.image).where(_image.id == bindparam("of")).values({n: bindparam(n) for n in _DERIVED})
_STORE_PICTURE = (
    update(schema.image)
    .where(_image.id == bindparam("of"))
    .values(record=func.coalesce(bindparam("new_record"), _image.record), record_version=RECORD_VERSION)
)
_STORE_SIDECAR = (
    update(schema.location)
    .where(_location.path == bindparam("at"))
    .values(record=bindparam("record"), xmp_mtime_ns=bindparam("xmp_mtime_ns"))
)
