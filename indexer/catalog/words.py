"""The forms in which names, captions and annotations are stored for search, and in which they are asked for.

Both are the same for every way to write a text: composed or decomposed, in capitals or not. `folded` keeps a text's
characters in their order, for filters. `words_of` splits it into words, for full-text search; SQLite's tokenizer then
has only to split at spaces and to remove English endings.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date

_TOKEN = re.compile(r"[^\W_]+")
_DATE = re.compile(r"((?:19|20)\d\d)(0[1-9]|1[0-2])(?:(0[1-9]|[12]\d|3[01])(\d{6})?)?", re.ASCII)

_MARKS = (
    r"\u0300-\u036f"  # accents of Latin, Greek and Cyrillic letters
    r"\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"  # Hebrew points
    r"\u0610-\u061a\u0640\u064b-\u065f\u0670"  # Arabic vowels, and the stretching of letters
)
_MARK = re.compile(f"[{_MARKS}]")

_LETTERS = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "\u0131": "i", "ħ": "h", "ŧ": "t"}
)
"""Letters that Unicode does not decompose, and how they are typed without them."""

_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff"  # Thai, Lao, Burmese, Hangul letters, Khmer
    r"\u3005-\u3007\u3040-\u30ff\u3100-\u318f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"  # kana, bopomofo, Chinese
    r"\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff"  # Hangul syllables, compatibility forms
    r"\U0001b000-\U0001b16f\U00020000-\U0003ffff]"  # old kana, rare Chinese characters
)
"""Characters of scripts that put no spaces between words, or, as Korean, join particles to them."""


def folded(text: str) -> str:
    """Return a text without differences of case and of composition, for comparisons and wildcards.

    Accents stay, and so does the number of path separators.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def words_of(text: str) -> str:
    """Split a text into the words under which it is found, separated by spaces.

    - Case, accents and vowel points are removed, and full-width forms replaced by ordinary ones.
    - Words of scripts without spaces are split into characters: a phrase of them finds any part of a sentence.
    - Joined words are split where case or kind of character changes, and dates into year, month and day:
      `SummerHoliday20230801` is found under each of its words. The joined form is added at the end.
    """
    pieces: list[str] = []
    joined: list[str] = []
    for token in _tokens(text):
        parts = _split(token)
        pieces += parts
        if len(parts) > 1 and not _UNSPACED.search(token):
            joined.append(token)
    return " ".join((*pieces, *joined)).casefold().translate(_LETTERS)


def phrases_of(text: str) -> tuple[str, ...]:
    """Return the phrases of which a text stored by `words_of` contains at least one if it contains this text.

    There are two if the text has joined words, which may be written together where they are stored.
    """
    tokens = _tokens(text)
    split = " ".join(part for token in tokens for part in _split(token))
    whole = " ".join(" ".join(_split(token)) if _UNSPACED.search(token) else token for token in tokens)
    return tuple(dict.fromkeys(phrase.casefold().translate(_LETTERS) for phrase in (split, whole) if phrase))


def is_unspaced(text: str) -> bool:
    """Whether a text contains characters of a script that puts no spaces between words."""
    return _UNSPACED.search(text) is not None


def _tokens(text: str) -> list[str]:
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text)
        text = unicodedata.normalize("NFC", _MARK.sub("", decomposed))
    return _TOKEN.findall(text)


def _split(token: str) -> list[str]:
    """Split a token where the kind of its characters changes: case, digits, scripts without spaces."""
    if token.isascii() and token.isalpha() and (token.islower() or token.isupper()):
        return [token]
    parts: list[str] = []
    start = 0
    for i in range(1, len(token)):
        if _is_boundary(token, i):
            parts += _split_date(token[start:i])
            start = i
    return parts + _split_date(token[start:])


def _is_boundary(token: str, i: int) -> bool:
    """Whether a new word begins at a position of a token."""
    before, after = token[i - 1], token[i]
    if before.isdigit() != after.isdigit() or _UNSPACED.match(before) or _UNSPACED.match(after):
        return True
    if not after.isupper():
        return False
    return before.islower() or (before.isupper() and token[i + 1 : i + 2].islower())  # HTMLPage


def _split_date(part: str) -> list[str]:
    """Split digits that are a date, and perhaps a time, into year, month, day and time."""
    match = _DATE.fullmatch(part)
    if match is None or not is_date(*(int(number or 1) for number in match.groups()[:3])):
        return [part]
    return [number for number in match.groups() if number]


def is_date(year: int, month: int, day: int) -> bool:
    """Whether the calendar has this day."""
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
