"""Captions of images, and the caption bank that belongs to none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sqlalchemy import (
    ColumnElement,
    Connection,
    delete,
    insert,
    select,
)

from encoders import TextFeatures

from . import schema
from .catalog import Catalog
from .embeddings import forget_embeddings, is_embedded, write_embedding
from .records import (
    BANK,
    CaptionRecord,
    Ids,
    Kind,
    chunks,
)
from .words import words_of


def captions_by_id(catalog: Catalog, ids: Sequence[int]) -> dict[int, CaptionRecord]:
    """The captions with these ids; ids that do not exist are left out."""
    c = schema.caption.c
    rows = [r for part in chunks(ids) for r in catalog.rows(select(schema.caption).where(c.id.in_(part)))]
    return {r.id: CaptionRecord(r.id, r.text, r.image_id, r.source) for r in rows}


def captions_of_image(catalog: Catalog, image_id: int) -> list[CaptionRecord]:
    """The captions of one image, in the order in which they were added."""
    c = schema.caption.c
    rows = catalog.rows(select(schema.caption).where(c.image_id == image_id).order_by(c.id))
    return [CaptionRecord(r.id, r.text, r.image_id, r.source) for r in rows]


def own_captions(catalog: Catalog) -> list[CaptionRecord]:
    """The captions of images that this model has embedded, both caption and image, in the order of their ids."""
    c, encoder = schema.caption.c, catalog.active_encoder()
    image = is_embedded(0 if encoder is None else encoder.id, Kind.IMAGE, c.image_id)
    rows = catalog.rows(select(schema.caption).where(image & _embedded_captions(catalog)).order_by(c.id))
    return [CaptionRecord(r.id, r.text, r.image_id, r.source) for r in rows]


def bank_ids(catalog: Catalog) -> Ids:
    """Ids of the bank's captions that this model has embedded, ascending."""
    c = schema.caption.c
    where = c.image_id.is_(None) & _embedded_captions(catalog)
    return np.array([row.id for row in catalog.rows(select(c.id).where(where).order_by(c.id))], np.int64)


def has_captions(catalog: Catalog, at_least: int = 1) -> bool:
    """Whether the images have at least so many captions that this model has embedded."""
    c = schema.caption.c
    of_images = c.image_id.is_not(None) & _embedded_captions(catalog)
    return len(catalog.rows(select(c.id).where(of_images).limit(at_least))) == at_least


def _embedded_captions(catalog: Catalog) -> ColumnElement[bool]:
    encoder = catalog.active_encoder()
    return is_embedded(0 if encoder is None else encoder.id, Kind.CAPTION, schema.caption.c.id)


def caption_texts(catalog: Catalog, source: str) -> set[tuple[int | None, str]]:
    """Image id and text of every caption from one source."""
    c = schema.caption.c
    return {(r.image_id, r.text) for r in catalog.rows(select(c.image_id, c.text).where(c.source == source))}


def add_bank(catalog: Catalog, texts: Sequence[str], features: TextFeatures) -> None:
    """Add captions that belong to no image; captions already in the bank stay as they are."""
    with catalog.transaction() as connection:
        write_captions(catalog, connection, [(BANK, None, text) for text in texts], features)


def write_captions(
    catalog: Catalog, connection: Connection, captions: Sequence[tuple[str, int | None, str]], features: TextFeatures
) -> int:
    """Add captions with their embeddings in the same transaction; return how many were new.

    A caption that exists without an embedding by this model gets one.

    Args:
        catalog: an open index, as the model sees it.
        connection: an open transaction.
        captions: source, image id (None for the bank) and text of each.
        features: their vectors and token states, in the same order.
    """
    encoder_id, added, c = catalog.require_encoder().id, 0, schema.caption.c
    for (source, image_id, sentence), vector, tokens in zip(captions, features.vectors, features.tokens, strict=True):
        values = {"text": sentence, "image_id": image_id, "source": source, "words": words_of(sentence)}
        row = insert(schema.caption).prefix_with("OR IGNORE").values(values)
        caption_id = connection.execute(row.returning(c.id)).scalar_one_or_none()
        if caption_id is not None:
            added += 1
        else:
            identical = (c.text == sentence) & (c.source == source) & c.image_id.is_not_distinct_from(image_id)
            unembedded = select(c.id).where(identical & ~is_embedded(encoder_id, Kind.CAPTION, c.id))
            caption_id = connection.execute(unembedded).scalar_one_or_none()
        if caption_id is not None:
            write_embedding(connection, encoder_id, Kind.CAPTION, caption_id, vector, tokens)
    return added


def forget_captions(connection: Connection, ids: Sequence[int]) -> None:
    """Delete captions with their embeddings."""
    for part in chunks(ids):
        forget_embeddings(connection, Kind.CAPTION, part)
        connection.execute(delete(schema.caption).where(schema.caption.c.id.in_(part)))
