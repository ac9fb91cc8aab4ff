"""Displaced images: their path now holds other content. They are gone, or will be found at another path.

Files may swap names, and a run sees them batch by batch. So an image that lost its location is deleted only when all
files have been seen, by this run or, if it was stopped or killed, by a later one. Until then the table `unsettled`
lists it, from the transaction in which it lost its location, and no search shows it.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, delete, exists, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from ..catalog import schema
from ..catalog.images import forget_images

_unsettled, _location, _caption = schema.unsettled.c, schema.location.c, schema.caption.c


def note_new(connection: Connection, image_id: int) -> None:
    """Record that an image is new; if it is at the path of a displaced one, that file was edited."""
    connection.execute(upsert(schema.unsettled).values(image_id=image_id, new=True))


def note_displaced(connection: Connection, image_id: int, was_at: str) -> None:
    """Record that the path of an image now holds another one."""
    statement = upsert(schema.unsettled).values(image_id=image_id, new=False, was_at=was_at)
    connection.execute(statement.on_conflict_do_update(index_elements=["image_id"], set_={"was_at": was_at}))


def resolve_displaced(connection: Connection, is_due: Callable[[int, str], bool]) -> None:
    """Delete the displaced images that have no other location. The captions of an edited file go to its new image.

    Args:
        connection: an open transaction.
        is_due: whether all files that an image, given by its id and former path, may have moved to have been seen.
    """
    has_no_location = ~exists().where(_location.image_id == _unsettled.image_id)
    displaced = select(_unsettled.image_id, _unsettled.was_at, has_no_location.label("gone"))
    rows = connection.execute(displaced.where(_unsettled.was_at.is_not(None))).all()
    due = [row for row in rows if is_due(row.image_id, row.was_at)]
    gone = [row for row in due if row.gone]
    for row in gone:
        _transfer_captions(connection, row.image_id, row.was_at)
    forget_images(connection, [row.image_id for row in gone])
    for row in due:
        connection.execute(delete(schema.unsettled).where(_unsettled.image_id == row.image_id))
    if len(due) == len(rows):
        connection.execute(delete(schema.unsettled))


def _transfer_captions(connection: Connection, image_id: int, path: str) -> None:
    """Move an image's captions to the image at its path, if that is new; an image moved there has its own."""
    new_images = select(_location.image_id).join(schema.unsettled, _unsettled.image_id == _location.image_id)
    successor = connection.execute(new_images.where((_location.path == path) & _unsettled.new)).scalar_one_or_none()
    if successor is not None:
        captions = update(schema.caption).prefix_with("OR IGNORE").where(_caption.image_id == image_id)
        connection.execute(captions.values(image_id=successor))
