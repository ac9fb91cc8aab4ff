"""Text in metadata: its encoding, and its normal form."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

MAX_TEXT = 2_000
"""Maximum characters of a title or description; the rest is cut off."""

MAX_NAME = 200
"""Maximum characters of a keyword, a camera and other names."""

MAX_WORDS = 100
"""Maximum number of keywords, persons, places and texts, each."""

_UNSEEN = re.compile(r"[\ud800-\udfff\ufeff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff]")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LATIN = re.compile("[\u00a0©®°«»\u2018\u2019\u201a\u201c\u201d\u201e\u2013\u2014\u2026€]")
_MAX_LATIN_SHARE = 0.4  # of the letters; Latin-1 has more ASCII letters, other encodings read as Latin-1 have fewer


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """Return text as NFC on one line, without control and direction characters; empty if it is damaged."""
    if not (text.isascii() and text.isprintable()):
        if "\ufffd" in text:  # some program, or this one, could not decode it
            return ""
        text = unicodedata.normalize("NFC", _UNSEEN.sub("", _CONTROLS.sub(" ", text[: 4 * limit])))
    return " ".join(text.split())[:limit].rstrip()


def unique(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the texts without duplicates, which may differ in case; the first of them stays."""
    found: dict[str, str] = {}
    for text in filter(None, texts):
        found.setdefault(text.casefold(), text)
    return tuple(found.values())


def decode(data: bytes) -> str:
    """Decode text without a declared encoding as UTF-8, else as Latin-1 if that gives words, else as nothing."""
    data = data.split(b"\0", 1)[0] if b"\0" in data.rstrip(b"\0") else data.rstrip(b"\0")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("cp1252", errors="replace")
    foreign = [c for c in text if not c.isascii()]
    letters = sum(map(str.isalpha, text))
    plausible = all(c.isalpha() or _LATIN.match(c) for c in foreign) and len(foreign) <= _MAX_LATIN_SHARE * letters
    return text if plausible else ""
