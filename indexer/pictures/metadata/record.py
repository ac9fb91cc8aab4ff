"""The record of what a picture file, or its sidecar, says about the picture."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from .names import date_from_name
from .text import MAX_WORDS, unique

PLURALS = ("texts", "keywords", "persons", "places", "notes")
"""Fields of an `Words` that are united where two are merged."""


@dataclass(frozen=True, kw_only=True)
class Words:
    """The words that belong to a picture. Texts are NFC, without line breaks and control characters.

    - `texts` are further titles and descriptions: in other languages, or from another program.
    - `persons` are named in face regions and lists of persons; `places` are named, from the site to the country.
    - `rating` is 1 to 5, or -1 for a rejected picture.
    - `date_source` says where `taken_at` is from: `picture`, `sidecar` or (file) `name`.
    - `notes` has a sentence on each part that could not be read.
    """

    title: str | None = None
    description: str | None = None
    texts: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    persons: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    creator: str | None = None
    copyright: str | None = None
    lens: str | None = None
    rating: int | None = None
    date_source: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What one file says about a picture.

    `taken_at` is ISO 8601, the local time at the place of the picture without its offset, or a date alone.
    """

    taken_at: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    camera: str | None = None
    words: Words = field(default_factory=Words)


@dataclass(frozen=True)
class PictureMetadata(Findings):
    """Metadata of a picture file; width and height are those of the upright picture, in pixels."""

    width: int
    height: int
    format: str


_F = TypeVar("_F", bound=Findings)


def with_sidecar(picture: _F, sidecar: Findings) -> _F:
    """Merge a picture's metadata with its sidecar's: the sidecar's single values win, and lists are united."""
    changes = {f.name: getattr(sidecar, f.name) for f in fields(Findings) if f.name != "words"}
    changes = {name: value for name, value in changes.items() if value is not None}
    return replace(picture, **changes, words=_merged(picture.words, sidecar.words))


def dated_by_name(picture: _F, name: str) -> _F:
    """Take the date of a picture that has none from the name of its file."""
    date = None if picture.taken_at else date_from_name(name)
    return replace(picture, taken_at=date, words=replace(picture.words, date_source="name")) if date else picture


def with_note(picture: _F, note: str) -> _F:
    """Add a note, before those there are."""
    return replace(picture, words=replace(picture.words, notes=(note, *picture.words.notes)))


def _merged(picture: Words, sidecar: Words) -> Words:
    changes: dict[str, Any] = {}
    for name in (f.name for f in fields(Words)):
        value, previous = getattr(sidecar, name), getattr(picture, name)
        if name in PLURALS:
            changes[name] = unique((*value, *previous))[:MAX_WORDS]
        elif value is not None:
            changes[name] = value
    return replace(picture, **changes)
