"""The cache of slow answers."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from api.server.work.answer_cache import MAX_WAITING, RETRY_SECONDS, AnswerCache
from api.server.work.worker_pool import BusyError

LONG = 10.0


def test_an_answer_is_kept_while_the_state_is_the_same() -> None:
    """An answer is computed again when the state has changed."""
    cache = AnswerCache[int](2)
    found: list[int] = []

    def find() -> int:
        found.append(len(found))
        return found[-1]

    assert [cache.get("a", 1, find), cache.get("a", 1, find), cache.get("a", 2, find)] == [0, 0, 1]


def test_only_the_last_few_are_kept() -> None:
    """The oldest answer is evicted."""
    cache, found = AnswerCache[str](2), []

    def find(key: str) -> str:
        found.append(key)
        return key

    for key in ("a", "b", "c", "b", "a"):
        cache.get(key, 1, lambda key=key: find(key))  # type: ignore[misc]  # bound now
    assert found == ["a", "b", "c", "a"]


class Finder:
    """Computes an answer in a thread, blocked until `end`."""

    def __init__(self, cache: AnswerCache[int]) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=lambda: cache.get("a", 1, self.find))
        self.thread.start()
        assert self.begun.wait(LONG)

    def find(self) -> int:
        """Signal the start, and block."""
        self.begun.set()
        assert self.go_on.wait(LONG)
        return 1

    def end(self) -> None:
        """Release it, and wait."""
        self.go_on.set()
        self.thread.join(LONG)


def test_a_second_request_waits_for_the_answer_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second request returns the first one's answer."""
    monkeypatch.setattr("api.server.work.answer_cache.WAIT_SECONDS", LONG)
    cache = AnswerCache[int](1, exclusive=True)
    first = Finder(cache)
    with ThreadPoolExecutor() as pool:
        second = pool.submit(cache.get, "a", 1, lambda: pytest.fail("found twice"))
        assert wait([second], 0.1).done == set()
        first.end()
        assert second.result(LONG) == 1


def test_a_second_request_is_refused_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the wait it is refused with Retry-After; once computed, the answer is cached."""
    monkeypatch.setattr("api.server.work.answer_cache.WAIT_SECONDS", 0.05)
    cache = AnswerCache[int](1, exclusive=True)
    first = Finder(cache)
    with pytest.raises(BusyError, match=r"Another request is computing this answer\. Retry in 10 s\.") as caught:
        cache.get("a", 1, lambda: 2)
    assert caught.value.seconds == RETRY_SECONDS
    first.end()
    assert cache.get("a", 1, lambda: 2) == 1


def test_only_a_few_requests_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Further requests are refused at once, to leave threads for searches."""
    monkeypatch.setattr("api.server.work.answer_cache.WAIT_SECONDS", LONG)
    cache = AnswerCache[int](1, exclusive=True)
    first = Finder(cache)
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(cache.get, "a", 1, lambda: 2) for _ in range(MAX_WAITING)]
        until = time.monotonic() + LONG
        while cache._waiters._value and time.monotonic() < until:
            time.sleep(0.01)
        with pytest.raises(BusyError):
            cache.get("a", 1, lambda: 2)
        first.end()
        assert [each.result(LONG) for each in waiting] == [1] * MAX_WAITING


def test_a_failed_computation_does_not_block_the_next() -> None:
    """After a failed computation the next one can start."""
    cache = AnswerCache[int](1, exclusive=True)
    with pytest.raises(ZeroDivisionError):
        cache.get("a", 2, lambda: 1 // 0)
    assert cache.get("a", 2, lambda: 3) == 3


def test_without_exclusive_answers_are_computed_in_parallel() -> None:
    """Without `exclusive`, answers are computed in parallel."""
    cache = AnswerCache[int](2)
    assert cache.get("a", 1, lambda: cache.get("b", 1, lambda: 2) + 1) == 3
