"""What a person typed: a sentence, and words that are taken away from it (`a beach -people -"red umbrella"`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import QueryError

MAX_WORDS = 60
"""Longest query; the text tower reads 64 tokens."""

_TAKEN_AWAY = re.compile(r'(?<!\S)-(?:"(?P<words>[^"]*)"?|(?P<word>[^\W\d_]\S*))')


@dataclass(frozen=True)
class Query:
    """A sentence, and what its pictures should not show."""

    text: str
    without: tuple[str, ...] = ()


def parse(text: str, without: Sequence[str] = ()) -> Query:
    """Read a query.

    A hyphen takes a word away where a blank or nothing stands before it and a letter or a quotation mark behind it:
    `t-shirt`, `black - white` and `-5 degrees` are words of the sentence.

    Args:
        text: the sentence, with what it takes away.
        without: further words to take away, as they stand.

    Raises:
        QueryError: no sentence, or too long a one.
    """
    inside = [match["words"] or match["word"] or "" for match in _TAKEN_AWAY.finditer(text)]
    rest = _TAKEN_AWAY.sub(" ", text)
    if inside and not re.search(r"\w", rest):
        raise QueryError("the query only takes words away; say what to look for as well, such as: a beach -people")
    away = [check_text(phrase, "what is taken away") for phrase in (*inside, *without)]
    count = sum(len(phrase.split()) for phrase in away)
    if count > MAX_WORDS:
        raise QueryError(f"the query takes {count} words away; at most {MAX_WORDS} are read")
    return Query(check_text(rest), tuple(dict.fromkeys(away)))


def check_text(text: str, what: str = "the query") -> str:
    """A sentence with single blanks.

    Raises:
        QueryError: it is empty, too long, or not Unicode.
    """
    words = text.split()
    if not is_unicode(text):
        raise QueryError(f"{what} holds bytes that are not UTF-8; write it in UTF-8")
    if not re.search(r"\w", text):
        raise QueryError(f"{what} is empty; say what to look for, such as: a dog in the snow")
    if len(words) > MAX_WORDS:
        raise QueryError(f"{what} has {len(words)} words; at most {MAX_WORDS} are read, so say it in one sentence")
    if any(len(word) > 200 for word in words):
        raise QueryError(f"{what} has a word of more than 200 characters; say it in plain words")
    return " ".join(words)


def is_unicode(text: str) -> bool:
    """False for lone surrogates, which stand for bytes of a command line or file name that are not UTF-8."""
    return not any("\ud800" <= char <= "\udfff" for char in text)
