"""Parsing queries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import QueryError
from search.stages.query import MAX_WORDS, Query, parse


@pytest.mark.parametrize(
    ("typed", "text", "without"),
    [
        ("a dog on a beach -people -leash", "a dog on a beach", ("people", "leash")),
        ('a beach -"red umbrella" at noon', "a beach at noon", ("red umbrella",)),
        ("-people a beach", "a beach", ("people",)),
        ("a t-shirt and a well-known face", "a t-shirt and a well-known face", ()),
        ("black - white", "black - white", ()),
        ("a street at -5 degrees", "a street at -5 degrees", ()),
        ("a beach -people -people", "a beach", ("people",)),
        ('a beach -"left open', "a beach", ("left open",)),
        ("a --long dash", "a --long dash", ()),
    ],
)
def test_a_hyphen_before_a_word_excludes_it(typed: str, text: str, without: tuple[str, ...]) -> None:
    """Before a letter or a quotation mark, after a space; within words and before numbers it is only a hyphen."""
    assert parse(typed) == Query(text, without)


def test_excluded_words_can_be_passed_separately() -> None:
    """They are taken literally, and added to those in the sentence."""
    assert parse("a beach -dog", ["-5 degrees", "red umbrella"]).without == ("dog", "-5 degrees", "red umbrella")


@pytest.mark.parametrize(
    ("typed", "without", "words"),
    [
        ("-people", (), "only excludes words"),
        ("", (), "the query is empty"),
        ("a beach", (" ",), "an excluded phrase is empty"),
        ("a beach", ("\udcff",), "an excluded phrase contains bytes that are not UTF-8"),
        (
            "a beach",
            ("dog " * MAX_WORDS, "cat"),
            rf"^The query excludes {MAX_WORDS + 1} words; the limit is {MAX_WORDS}\.$",
        ),
        ("a beach " * MAX_WORDS, (), f"the limit is {MAX_WORDS}"),
    ],
)
def test_an_invalid_query_is_rejected(typed: str, without: tuple[str, ...], words: str) -> None:
    """The message says what is wrong."""
    with pytest.raises(QueryError, match=words):
        parse(typed, without)


@given(st.text(max_size=80), st.lists(st.text(max_size=20), max_size=3))
def test_any_text_is_a_query_or_is_refused(typed: str, without: list[str]) -> None:
    """No other error occurs."""
    try:
        query = parse(typed, without)
    except QueryError:
        return
    assert query.text == " ".join(query.text.split())
    assert all(phrase.strip() for phrase in query.without)
