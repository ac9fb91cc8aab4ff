"""Cursors that clients can neither forge nor change."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.server.work.cursors import CursorError, Cursors

DOCUMENT: dict[str, Any] = {"query": {"text": "a dog in the snow — größer"}, "at": 10}
LETTERS = string.ascii_letters + string.digits + "-_."


def test_a_cursor_reads_back_unchanged() -> None:
    """A cursor needs no escaping in a URL, and reads back unchanged."""
    cursors = Cursors()
    cursor = cursors.make("search", DOCUMENT)
    assert set(cursor) <= set(LETTERS)
    assert cursors.read("search", cursor) == DOCUMENT


def test_a_cursor_changed_at_any_place_is_refused() -> None:
    """Every substitution and deletion of a character is refused, also in the unused bits of the last one."""
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
def test_a_cursor_with_padding_is_refused(added: str) -> None:
    """Padding and whitespace that decoding would ignore are refused."""
    cursors = Cursors()
    cursor = cursors.make("search", DOCUMENT)
    with pytest.raises(CursorError):
        cursors.read("search", cursor + added)


def test_a_cursor_of_another_kind_or_server_is_refused() -> None:
    """A cursor for another kind of request or from before a restart is refused."""
    cursors = Cursors()
    cursor = cursors.make("search", DOCUMENT)
    for reader, kind in ((cursors, "images"), (Cursors(), "search")):
        with pytest.raises(CursorError):
            reader.read(kind, cursor)


@given(st.text(st.characters()))
def test_any_text_is_refused(text: str) -> None:
    """Arbitrary text raises CursorError and nothing else."""
    with pytest.raises(CursorError):
        Cursors().read("search", text)
