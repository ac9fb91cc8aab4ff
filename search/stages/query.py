"""The query language: a sentence, and words that are excluded from it (`a beach -people -"red umbrella"`).

Keyboards and editors replace hyphens by dashes, and quotation marks by those of a language: all of them count. An
emoji stands for its name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real

from ..errors import QueryError
from .emoji_names import name_emoji

MAX_WORDS = 60
"""Maximum words of a query; the text tower reads 64 tokens."""

MAX_CHARACTERS = 200
"""Maximum characters of a word."""

MAX_HITS = 10_000
"""Maximum of `k` and `depth`."""

EXCLUDED = "an excluded phrase"
"""What messages call a phrase of excluded words."""

FILTER = "a filter"
"""What messages call an expression of `where`."""

FILE_NAME = re.compile(r"\.\w{2,5}$")
"""The ending of a query that is a file name."""

_ADVICE = "say what to look for, for example: a dog in the snow"

_DASHES = "-‐‑‒–—―−﹘﹣－"  # noqa: RUF001  these very characters, as those below
_QUOTATION_MARKS = (('"“”„‟＂', '"“”‟＂'), ("«»", "«»"), ("「", "」"), ("『", "』"), ("〝", "〞〟"))  # noqa: RUF001
"""Opening and closing marks; the last quotation may be left open."""

_APOSTROPHES = "'‘’‚‛‹›＇"  # noqa: RUF001
"""Single quotation marks: one within a word is an apostrophe, and closes nothing."""

_QUOTED = "|".join(f"[{opening}]([^{closing}]*)[{closing}]?" for opening, closing in _QUOTATION_MARKS)
_SINGLY_QUOTED = rf"[{_APOSTROPHES}]([^\W_].*?)[{_APOSTROPHES}](?!\w)"
_WORD = rf"[{_APOSTROPHES}]?((?:[^\W\d_]|[\u2300-\u2bff\U0001f000-\U0001faff])\S*)"  # a letter or an emoji first
_EXCLUDED = re.compile(rf"(?<!\S)[{_DASHES}](?:{_QUOTED}|{_SINGLY_QUOTED}|{_WORD})")


@dataclass(frozen=True)
class Query:
    """A sentence, and the phrases that it excludes."""

    text: str
    without: tuple[str, ...] = ()


def parse(text: str, without: Sequence[str] = ()) -> Query:
    """Split a query into its sentence and its excluded phrases.

    A hyphen or dash excludes if it follows a space or nothing, and precedes a letter, an emoji or a quotation mark:
    `t-shirt`, `black - white` and `-5 degrees` belong to the sentence. `-rf.jpg` alone is the name of a file.

    Args:
        text: the query as typed.
        without: further phrases to exclude, taken literally.

    Raises:
        QueryError: the sentence is missing or too long.
    """
    _check_type(text, "the query")
    inline = [match[match.lastindex or 0] for match in _EXCLUDED.finditer(text)]
    sentence = _EXCLUDED.sub(" ", text)
    if inline and not _has_words(name_emoji(sentence)):
        if not FILE_NAME.search(text.rstrip()):
            raise QueryError(
                "The query only excludes words. Say what to look for as well, for example: a beach -people"
            )
        inline, sentence = [], text
    phrases = [check_text(phrase, EXCLUDED) for phrase in (*inline, *without)]
    count = sum(len(phrase.split()) for phrase in phrases)
    if count > MAX_WORDS:
        raise QueryError(f"The query excludes {count} words; the limit is {MAX_WORDS}.")
    return Query(check_text(sentence), tuple(dict.fromkeys(phrases)))


def check_text(text: str, name: str = "the query") -> str:
    """Return a sentence with single spaces, and names in place of emoji unless it is a file name.

    Args:
        text: as typed.
        name: what messages call it.

    Raises:
        QueryError: it has no words, is too long, or is not Unicode.
    """
    _check_type(text, name)
    if not is_unicode(text):
        raise QueryError(f"{name} contains bytes that are not UTF-8")
    words = (text if FILE_NAME.search(text.rstrip()) else name_emoji(text)).split()
    if not words:
        raise QueryError(f"{name} is empty; {_ADVICE}")
    if not _has_words(" ".join(words)):
        raise QueryError(f"{name} has no words, only {' '.join(words)[:MAX_CHARACTERS]!r}; {_ADVICE}")
    if len(words) > MAX_WORDS:
        raise QueryError(f"{name} has {len(words)} words; the limit is {MAX_WORDS}. Say it in one sentence.")
    if any(len(word) > MAX_CHARACTERS for word in words):
        raise QueryError(f"{name} contains a word of more than {MAX_CHARACTERS} characters")
    return " ".join(words)


def listed(texts: str | Sequence[str] | None, name: str) -> tuple[str, ...]:
    """Return texts as a tuple; a single string is one text, not its letters, and None is no text.

    Args:
        texts: the texts.
        name: what messages call one of them.

    Raises:
        QueryError: one is not a string.
    """
    items = (texts,) if isinstance(texts, str) else tuple(texts or ())
    for item in items:
        _check_type(item, name)
    return items


def _check_type(text: object, name: str) -> None:
    if not isinstance(text, str):
        raise QueryError(
            f"{name} must be a string, not {text!r:.80}; say what to look for, for example: a dog in the snow"
        )


def _has_words(text: str) -> bool:
    return re.search(r"\w", text) is not None


def check_numbers(k: int, depth: int, min_probability: float | None, *, rerank: bool) -> None:
    """Reject numbers out of range.

    Raises:
        QueryError: a number is out of range.
    """
    for name, value in (("k", k), ("depth", depth)):
        if not isinstance(value, Integral) or not 1 <= value <= MAX_HITS:
            raise QueryError(f"{name} must be between 1 and {MAX_HITS}, not {value!r:.80}")
    if min_probability is not None:
        if not isinstance(min_probability, Real) or not 0 <= min_probability <= 1:
            raise QueryError(f"the minimum probability must be between 0 and 1, not {min_probability!r:.80}")
        if not rerank:
            raise QueryError("a minimum probability needs reranking, which computes the probabilities")


def is_unicode(text: str) -> bool:
    """Whether a text has no surrogates, which represent bytes of a command line that are not UTF-8."""
    return not any("\ud800" <= char <= "\udfff" for char in text)
