"""Reading files ahead in threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from indexer.ingest.reading import DECODE_THREADS, batches, read_ahead


def test_results_come_in_order_whichever_is_ready_first() -> None:
    """Early items take longest here; several are read at a time, never more than there are threads."""
    lock, running, most = threading.Lock(), [0], [0]

    def read(item: int) -> int:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.02 if item < 4 else 0)
        with lock:
            running[0] -= 1
        return -item

    assert list(read_ahead(read, range(20), 8)) == [-item for item in range(20)]
    assert 1 < most[0] <= DECODE_THREADS


@pytest.mark.parametrize("window", [1, 3])
def test_no_more_than_the_window_is_taken_ahead(window: int) -> None:
    """Items are consumed only as results are."""
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(10):
            taken.append(item)
            yield item

    results = read_ahead(lambda item: item, items(), window)
    for count in range(1, 5):
        assert next(results) == count - 1
        assert len(taken) == count - 1 + window
    results.close()
    assert len(taken) == 3 + window


def test_closing_cancels_what_has_not_started() -> None:
    """It waits only for what its threads are reading."""
    begun: list[int] = []
    go = threading.Event()

    def read(item: int) -> int:
        begun.append(item)
        if item:
            go.wait(10)
        return item

    results = read_ahead(read, range(100), 50)
    assert next(results) == 0
    threading.Timer(0.2, go.set).start()
    results.close()
    assert len(begun) <= 1 + DECODE_THREADS


def test_batches_are_full_except_the_last() -> None:
    """No items give no batch."""
    assert list(batches(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(batches([], 3)) == []
