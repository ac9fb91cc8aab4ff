"""Images that new content has taken a place of: gone, or about to be found at another place.

Files may take each other's names, and a run sees them one batch after the other. So what is to become of an image that
lies nowhere is decided when all files have been seen, by this run or, if it was stopped or killed, by a later one;
until then it is noted in the catalog, in the transaction in which it lost its place, and no search shows it.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, delete, exists, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from ..catalog import schema
from ..catalog.images import forget_images

_noted, _location, _caption = schema.unsettled.c, schema.location.c, schema.caption.c


def note_new(connection: Connection, image_id: int) -> None:
    """An image has come into the catalog: if it lies where another lay, that one's file was edited."""
    connection.execute(upsert(schema.unsettled).values(image_id=image_id, new=True))


def note_displaced(connection: Connection, image_id: int, was_at: str) -> None:
    """Another image lies now where this one lay."""
    statement = upsert(schema.unsettled).values(image_id=image_id, new=False, was_at=was_at)
    connection.execute(statement.on_conflict_do_update(index_elements=["image_id"], set_={"was_at": was_at}))


def settle(connection: Connection, is_due: Callable[[int, str], bool]) -> None:
    """Forget the images that lie nowhere any more. Where a file was edited, its captions stay with it.

    Args:
        connection: an open transaction.
        is_due: whether all places have been seen where an image may have gone, by its id and where it lay.
    """
    placeless = ~exists().where(_location.image_id == _noted.image_id)
    displaced = select(_noted.image_id, _noted.was_at, placeless.label("gone")).where(_noted.was_at.is_not(None))
    rows = connection.execute(displaced).all()
    due = [row for row in rows if is_due(row.image_id, row.was_at)]
    gone = [row for row in due if row.gone]
    for row in gone:
        _hand_over(connection, row.image_id, row.was_at)
    forget_images(connection, [row.image_id for row in gone])
    for row in due:
        connection.execute(delete(schema.unsettled).where(_noted.image_id == row.image_id))
    if len(due) == len(rows):
        connection.execute(delete(schema.unsettled))


def _hand_over(connection: Connection, old: int, path: str) -> None:
    """Give an image's captions to the new one in its place; one that was known elsewhere has captions of its own."""
    new = select(_location.image_id).join(schema.unsettled, _noted.image_id == _location.image_id)
    heir = connection.execute(new.where((_location.path == path) & _noted.new)).scalar_one_or_none()
    if heir is not None:
        captions = update(schema.caption).prefix_with("OR IGNORE").where(_caption.image_id == old)
        connection.execute(captions.values(image_id=heir))
