"""Displaced images: other content now lies at their path. They are gone, or will be found at another path.

Files may swap names, and a run sees them batch by batch. So an image without a location is forgotten only when all
files have been seen, by this run or, if it was stopped or killed, by a later one. Until then the catalog records it as
displaced, in the transaction in which it lost its location, and no search shows it.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, delete, exists, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from ..catalog import schema
from ..catalog.images import forget_images

_noted, _location, _caption = schema.unsettled.c, schema.location.c, schema.caption.c


def note_new(connection: Connection, image_id: int) -> None:
    """Record that an image is new: if it lies where another one lay, that file was edited."""
    connection.execute(upsert(schema.unsettled).values(image_id=image_id, new=True))


def note_displaced(connection: Connection, image_id: int, was_at: str) -> None:
    """Record that another image now lies where this one lay."""
    statement = upsert(schema.unsettled).values(image_id=image_id, new=False, was_at=was_at)
    connection.execute(statement.on_conflict_do_update(index_elements=["image_id"], set_={"was_at": was_at}))


def resolve_displaced(connection: Connection, is_due: Callable[[int, str], bool]) -> None:
    """Forget the displaced images that lie nowhere else. The captions of an edited file go to its new image.

    Args:
        connection: an open transaction.
        is_due: tells, by an image's id and former path, whether every place it may have moved to has been seen.
    """
    placeless = ~exists().where(_location.image_id == _noted.image_id)
    displaced = select(_noted.image_id, _noted.was_at, placeless.label("gone")).where(_noted.was_at.is_not(None))
    rows = connection.execute(displaced).all()
    due = [row for row in rows if is_due(row.image_id, row.was_at)]
    gone = [row for row in due if row.gone]
    for row in gone:
        _transfer_captions(connection, row.image_id, row.was_at)
    forget_images(connection, [row.image_id for row in gone])
    for row in due:
        connection.execute(delete(schema.unsettled).where(_noted.image_id == row.image_id))
    if len(due) == len(rows):
        connection.execute(delete(schema.unsettled))


def _transfer_captions(connection: Connection, old: int, path: str) -> None:
    """Move an image's captions to the new image at its path; one known from elsewhere has captions of its own."""
    new = select(_location.image_id).join(schema.unsettled, _noted.image_id == _location.image_id)
    successor = connection.execute(new.where((_location.path == path) & _noted.new)).scalar_one_or_none()
    if successor is not None:
        captions = update(schema.caption).prefix_with("OR IGNORE").where(_caption.image_id == old)
        connection.execute(captions.values(image_id=successor))
