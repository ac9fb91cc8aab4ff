"""Slow answers that are kept."""

from __future__ import annotations

import threading

import pytest

from api.server.kept import Kept
from api.server.work import BusyError


def test_an_answer_is_kept_while_the_state_is_the_same() -> None:
    """And found anew after it changed."""
    kept = Kept[int](2)
    found: list[int] = []

    def find() -> int:
        found.append(len(found))
        return found[-1]

    assert [kept.get("a", 1, find), kept.get("a", 1, find), kept.get("a", 2, find)] == [0, 0, 1]


def test_only_the_last_few_are_kept() -> None:
    """By when they were found."""
    kept, found = Kept[str](2), []

    def find(what: str) -> str:
        found.append(what)
        return what

    for what in ("a", "b", "c", "b", "a"):
        kept.get(what, 1, lambda what=what: find(what))  # type: ignore[misc]  # bound now
    assert found == ["a", "b", "c", "a"]


def test_a_second_request_is_asked_to_come_back() -> None:
    """Where that is done alone, until the first has found it; one that fails leaves the way free."""
    kept, begun, go_on = Kept[int](1, alone=True), threading.Event(), threading.Event()

    def slowly() -> int:
        begun.set()
        go_on.wait(10)
        return 1

    first = threading.Thread(target=lambda: kept.get("a", 1, slowly))
    first.start()
    begun.wait(10)
    with pytest.raises(BusyError):
        kept.get("a", 1, lambda: 2)
    go_on.set()
    first.join()
    assert kept.get("a", 1, lambda: 2) == 1
    with pytest.raises(ZeroDivisionError):
        kept.get("a", 2, lambda: 1 // 0)
    assert kept.get("a", 2, lambda: 3) == 3


def test_answers_that_are_not_found_alone_never_wait() -> None:
    """One may be found while another is."""
    kept = Kept[int](2)
    assert kept.get("a", 1, lambda: kept.get("b", 1, lambda: 2) + 1) == 3
