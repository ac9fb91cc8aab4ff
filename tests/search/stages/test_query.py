"""Parsing queries."""

# ruff: noqa: RUF001  the typographic characters are what is tested

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


@pytest.mark.parametrize("dash", "-‐‑‒–—―−﹘﹣－")
def test_every_dash_excludes_like_a_hyphen(dash: str) -> None:
    """Keyboards replace hyphens by dashes; between spaces, within words and before numbers they are text, too."""
    assert parse(f"a beach {dash}people") == Query("a beach", ("people",))
    assert parse(f'a beach {dash}"red umbrella" at noon') == Query("a beach at noon", ("red umbrella",))
    for text in (f"black {dash} white", f"t{dash}shirt", f"a street at {dash}5 degrees", f"a {dash}{dash}long dash"):
        assert parse(text) == Query(text)


@pytest.mark.parametrize(
    "quoted",
    "“red umbrella” „red umbrella“ ”red umbrella” ‟red umbrella” „red umbrella” «red umbrella» »red umbrella« "
    "‹red umbrella› ›red umbrella‹ 「red umbrella」 『red umbrella』 〝red umbrella〟 ‘red umbrella’ ‚red umbrella‘ "
    "'red umbrella' ＂red umbrella＂ \"red umbrella”".replace(" umbrella", "_umbrella").split(),
)
def test_quotation_marks_of_all_languages_exclude_a_phrase(quoted: str) -> None:
    """Editors replace quotation marks by those of a language."""
    quoted = quoted.replace("_", " ")
    assert parse(f"a beach -{quoted}") == Query("a beach", ("red umbrella",))
    assert parse(f"–{quoted} a beach") == Query("a beach", ("red umbrella",))


@pytest.mark.parametrize("mark", "“„«「『")
def test_a_quotation_may_be_left_open(mark: str) -> None:
    """It is being typed."""
    assert parse(f"a beach -{mark}red umbrella") == Query("a beach", ("red umbrella",))


@pytest.mark.parametrize("mark", "'’")
def test_an_apostrophe_ends_no_quotation(mark: str) -> None:
    """A single quotation mark within a word belongs to it, and one before a number excludes nothing."""
    assert parse(f"a beach -{mark}the children{mark}s hats{mark}").without == (f"the children{mark}s hats",)
    assert parse(f"a beach -{mark}people").without == ("people",)
    assert parse(f"a car of the -{mark}90s") == Query(f"a car of the -{mark}90s")


@pytest.mark.parametrize(
    ("typed", "text", "without"),
    [
        ("🐶", "dog face", ()),
        ("🐶 on a beach", "dog face on a beach", ()),
        ("a beach -🐶", "a beach", ("dog face",)),
        ('a beach -"🐶 on a lead"', "a beach", ("dog face on a lead",)),
        ("🐶.jpg", "🐶.jpg", ()),
    ],
)
def test_an_emoji_stands_for_its_name(typed: str, text: str, without: tuple[str, ...]) -> None:
    """Alone, among words and excluded; a file name is left as it is."""
    assert parse(typed) == Query(text, without)


@pytest.mark.parametrize("typed", ["-rf.jpg", "-people -beach.png", " -IMG_1.HEIC "])
def test_a_file_name_may_begin_with_a_hyphen(typed: str) -> None:
    """A query that would only exclude words is a file name if it ends like one."""
    assert parse(typed) == Query(typed.strip())
    assert parse(f"a beach {typed}").without


def test_excluded_words_can_be_passed_separately() -> None:
    """They are taken literally, and added to those in the sentence."""
    assert parse("a beach -dog", ["-5 degrees", "red umbrella"]).without == ("dog", "-5 degrees", "red umbrella")


@pytest.mark.parametrize(
    ("typed", "without", "words"),
    [
        ("-people", (), "only excludes words"),
        ("", (), "the query is empty"),
        ("?!…", (), "the query has no words, only '\\?!…'; say what to look for"),
        ("–", (), "the query has no words, only '–'"),
        ("♪ \ufe0f", (), "the query has no words"),
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
