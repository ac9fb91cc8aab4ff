"""Cursors that clients cannot make, change or carry elsewhere."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.server.work.cursors import CursorError, Cursors

DOCUMENT: dict[str, Any] = {"query": {"text": "a dog in the snow — größer"}, "at": 10}
LETTERS = string.ascii_letters + string.digits + "-_."


def test_what_was_put_in_comes_out() -> None:
    """In letters that need no escaping in an address."""
    cursors = Cursors()
    cursor = cursors.make("search", DOCUMENT)
    assert set(cursor) <= set(LETTERS)
    assert cursors.read("search", cursor) == DOCUMENT


def test_a_cursor_changed_at_any_place_is_refused() -> None:
    """Each letter by every other one, and each left out: 64 letters a place, the last one's unused bits included."""
    cursors = Cursors()
    for size in range(3):  # so that the last letter carries 6, 4 and 2 bits
        cursor = cursors.make("search", {"at": "x" * size})
        for place, letter in enumerate(cursor):
            for other in (LETTERS + "=+/ \n").replace(letter, ""):
                with pytest.raises(CursorError, match="Start again"):
                    cursors.read("search", cursor[:place] + other + cursor[place + 1 :])
            with pytest.raises(CursorError):
                cursors.read("search", cursor[:place] + cursor[place + 1 :])


@pytest.mark.parametrize("added", ["=", "==", "A", "\n"])
def test_only_the_very_letters_count(added: str) -> None:
    """Padding and blanks that decoding would pass over are refused."""
    cursors = Cursors()
    cursor = cursors.make("search", DOCUMENT)
    with pytest.raises(CursorError):
        cursors.read("search", cursor + added)


def test_a_cursor_of_another_kind_or_server_is_refused() -> None:
    """Nor is one known that was given out before the server was started anew."""
    cursors = Cursors()
    cursor = cursors.make("search", DOCUMENT)
    for reader, kind in ((cursors, "images"), (Cursors(), "search")):
        with pytest.raises(CursorError):
            reader.read(kind, cursor)


@given(st.text(st.characters()))
def test_any_text_is_refused(text: str) -> None:
    """Never another error."""
    with pytest.raises(CursorError):
        Cursors().read("search", text)
