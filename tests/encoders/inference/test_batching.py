"""Sentences of several threads in one batch."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from encoders.features import TextFeatures
from encoders.inference.batching import LARGEST_BATCH, BatchingWorkers


class Slow:
    """Gives the length of each sentence for a vector, when it is let."""

    def __init__(self) -> None:
        self.begun, self.let = threading.Semaphore(0), threading.Semaphore(0)
        self.batches: list[list[str]] = []

    def __call__(self, texts: Sequence[str]) -> TextFeatures:
        """Say that it began, wait, and answer; `bad` is more than it can take."""
        self.batches.append(list(texts))
        self.begun.release()
        self.let.acquire(timeout=10)
        if "bad" in texts:
            raise ValueError("bad")
        lengths = np.array([[len(t)] for t in texts], np.float32)
        return TextFeatures(lengths, tuple(lengths[i : i + 1] for i in range(len(texts))), lengths[:, 0])


@pytest.fixture
def slow() -> Slow:
    """The encoder."""
    return Slow()


def wait_until_queued(together: BatchingWorkers, count: int) -> None:
    """Until so many calls wait."""
    for _ in range(1000):
        if len(together._waiting) == count:
            return
        threading.Event().wait(0.01)
    raise AssertionError(len(together._waiting))


def test_those_that_come_while_one_runs_run_workers(slow: Slow) -> None:
    """The first alone and at once, all others in one batch, and each gets its own."""
    together = BatchingWorkers(slow)
    with ThreadPoolExecutor(10) as pool:
        first = pool.submit(together.encode, ["a"])
        slow.begun.acquire()
        others = [pool.submit(together.encode, ["b" * (i + 2), "c"]) for i in range(8)]
        wait_until_queued(together, 8)
        slow.let.release(2)
        assert first.result().vectors.tolist() == [[1]]
        for i, other in enumerate(others):
            found = other.result()
            assert found.vectors.tolist() == [[i + 2], [1]]
            assert [t.tolist() for t in found.tokens] == [[[i + 2]], [[1]]]
            assert found.familiarity is not None
            assert found.familiarity.tolist() == [i + 2, 1]
    assert [len(b) for b in slow.batches] == [1, 16]
    assert together.sizes == {1: 1, 16: 1}


def test_a_batch_has_an_end(slow: Slow) -> None:
    """More than go together run in turn; a call that is larger by itself runs whole."""
    together = BatchingWorkers(slow)
    slow.let.release(100)
    assert len(together.encode(["x"] * (3 * LARGEST_BATCH)).tokens) == 3 * LARGEST_BATCH
    slow.let, slow.begun = threading.Semaphore(0), threading.Semaphore(0)
    with ThreadPoolExecutor(LARGEST_BATCH + 8) as pool:
        calls = [pool.submit(together.encode, ["a"])]
        slow.begun.acquire()
        calls += [pool.submit(together.encode, ["b"]) for _ in range(LARGEST_BATCH + 5)]
        wait_until_queued(together, LARGEST_BATCH + 5)
        slow.let.release(100)
        for call in calls:
            call.result()
    assert [len(b) for b in slow.batches[1:]] == [1, LARGEST_BATCH, 5]


def test_an_error_reaches_everyone_it_concerns_and_nobody_else(slow: Slow) -> None:
    """Later calls are answered as ever."""
    together = BatchingWorkers(slow)
    slow.let.release(100)
    with pytest.raises(ValueError, match="bad"):
        together.encode(["bad"])
    assert together.encode(["good"]).vectors.tolist() == [[4]]


def test_a_sentence_that_cannot_be_encoded_fails_no_other_s_batch(slow: Slow) -> None:
    """Those that went together with it are encoded by themselves."""
    together = BatchingWorkers(slow)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(together.encode, ["a"])
        slow.begun.acquire()
        others = [pool.submit(together.encode, [text]) for text in ("bb", "bad", "ccc")]
        wait_until_queued(together, 3)
        slow.let.release(100)
        assert first.result().vectors.tolist() == [[1]]
        assert [other.result().vectors.tolist() for other in (others[0], others[2])] == [[[2]], [[3]]]
        with pytest.raises(ValueError, match="bad"):
            others[1].result()
