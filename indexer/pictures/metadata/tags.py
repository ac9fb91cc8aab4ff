"""What the sources of a picture's metadata say, as they have it, and the record chosen from it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from .dates import parse_date
from .positions import Position
from .record import Findings, Words
from .text import MAX_NAME, MAX_TEXT, MAX_WORDS, clean, unique

DATES = ("original", "digitized", "created", "modified")
"""Kinds of dates, from the picture's own to that of the last edit, which is used if there is no other."""

_BOILERPLATE = re.compile(
    r"(?:olympus|(?:konica )?minolta|kodak|samsung|sony|nikon|canon|fujifilm|panasonic|casio|vivitar|polaroid)?[\s_-]*"
    r"(?:(?:digital )?(?:still )?camera|digital picture|dsc)?"
    r"|samsung techwin.*|default|untitled|no ?name|none|null|n/?a|unknown|binary|ascii|image|picture|photo|img|dji"
    r"|(?:default )?user comments?|type your description here|exif[_ ]jpeg.{0,10}|lead technologies.*"
    r"|[a-z]:\\.*|dcim[\\/].*|file written by adobe photoshop.*|created with (?:the )?gimp.*|processed with vsco.{0,40}"
    r"|(?:oznor|hdrpl|rptnbz|sdr|cof|dav|edf|ptr|mde|nor|btf|rbt|hdr|rhdr|fbt|csr)(?:_\w{0,8})?"  # Huawei's scenes
    r"|[\s0_.-]*",
    re.IGNORECASE,
)
"""What cameras and programs write into every picture."""


class Tags:
    """The values of one source by name: texts as stored, a position, and notes on what could not be read."""

    def __init__(self) -> None:
        self.values: dict[str, list[str]] = {}
        self.position: Position | None = None
        self.notes: list[str] = []

    def add(self, name: str, *values: str) -> None:
        """Add values that are not empty."""
        self.values.setdefault(name, []).extend(value for value in values if value)

    def note(self, sentence: str) -> None:
        """Add a note on what could not be read."""
        self.notes.append(clean(sentence))


def findings(exif: Tags, xmp: Tags, iptc: Tags, text: Tags, *, date_source: str = "picture") -> Findings:
    """Choose a record from the sources.

    Facts are the camera's, from EXIF if it has them; words are the person's, from XMP if it has them, as the Metadata
    Working Group advises (Guidelines for Handling Image Metadata, version 2.0).
    """
    facts, words = (exif, xmp, iptc, text), (xmp, iptc, exif, text)
    taken_at = _date(facts)
    place = next((source.position for source in facts if source.position is not None), None)
    titles, descriptions = (_texts(words, name) for name in ("title", "description"))
    title, description = next(iter(titles), None), next(iter(descriptions), None)
    others = unique((*titles[1:], *descriptions[1:]))
    chosen = {(text or "").casefold() for text in (title, description)}
    chosen_words = Words(
        title=title,
        description=description,
        texts=tuple(text for text in others if text.casefold() not in chosen)[:MAX_WORDS],
        keywords=_names(words, "keywords"),
        persons=_names(words, "persons"),
        places=_names(words, "places"),
        creator=", ".join(_names(words, "creator"))[:MAX_NAME] or None,
        copyright=next(iter(_names(words, "copyright")), None),
        lens=next(iter(_names(facts, "lens")), None),
        rating=_rating(_names(words, "rating")),
        date_source=None if taken_at is None else date_source,
        notes=tuple(note for source in facts for note in source.notes)[:MAX_WORDS],
    )
    latitude, longitude = place or (None, None)
    camera = next(iter(_names(facts, "camera")), None)
    return Findings(taken_at=taken_at, latitude=latitude, longitude=longitude, camera=camera, words=chosen_words)


def camera_name(maker: str, model: str) -> str:
    """Name a camera by maker and model, or by a model that names its maker."""
    maker, model = clean(maker, MAX_NAME), clean(model, MAX_NAME)
    if maker and model.lower().startswith(maker.split()[0].lower()):  # NIKON CORPORATION, NIKON D750
        maker = ""
    return f"{maker} {model}".strip()


def _date(sources: Sequence[Tags]) -> str | None:
    """The first valid date of the first kind that has one."""
    texts = (text for kind in DATES for source in sources for text in source.values.get(kind, ()))
    return next((found for found in map(parse_date, texts) if found is not None), None)


def _texts(sources: Iterable[Tags], name: str) -> tuple[str, ...]:
    return unique(text for text in _cleaned(sources, name, MAX_TEXT) if not _BOILERPLATE.fullmatch(text))


def _names(sources: Iterable[Tags], name: str) -> tuple[str, ...]:
    return unique(_cleaned(sources, name, MAX_NAME))[:MAX_WORDS]


def _cleaned(sources: Iterable[Tags], name: str, limit: int) -> list[str]:
    return [clean(value, limit) for source in sources for value in source.values.get(name, ())[: 5 * MAX_WORDS]]


def _rating(values: Iterable[str]) -> int | None:
    """The first rating of 1 to 5, or -1; 0 is none."""
    for value in values:
        try:
            rating = float(value)
        except ValueError:
            continue
        if rating == -1 or 1 <= rating <= 5:
            return int(rating)
    return None
