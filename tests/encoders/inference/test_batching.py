"""Batching sentences of several threads."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from encoders.features import TextFeatures
from encoders.inference.batching import LARGEST_BATCH, BatchingWorkers


class Slow:
    """An encoder that waits until it is released; a sentence's vector is its length."""

    def __init__(self) -> None:
        self.started, self.released = threading.Semaphore(0), threading.Semaphore(0)
        self.batches: list[list[str]] = []

    def __call__(self, texts: Sequence[str]) -> TextFeatures:
        """Signal the start, wait, and encode; the sentence `bad` raises an error."""
        self.batches.append(list(texts))
        self.started.release()
        self.released.acquire(timeout=10)
        if "bad" in texts:
            raise ValueError("bad")
        lengths = np.array([[len(t)] for t in texts], np.float32)
        return TextFeatures(lengths, tuple(lengths[i : i + 1] for i in range(len(texts))), lengths[:, 0])


@pytest.fixture
def slow() -> Slow:
    """An encoder that waits until it is released."""
    return Slow()


def wait_until_queued(workers: BatchingWorkers, count: int) -> None:
    """Wait until `count` calls are queued."""
    for _ in range(1000):
        if len(workers._waiting) == count:
            return
        threading.Event().wait(0.01)
    raise AssertionError(len(workers._waiting))


def test_calls_that_arrive_while_a_batch_runs_share_the_next_one(slow: Slow) -> None:
    """The first call runs at once and alone, all others in one batch, and each gets its own features."""
    workers = BatchingWorkers(slow)
    with ThreadPoolExecutor(10) as pool:
        first = pool.submit(workers.encode, ["a"])
        slow.started.acquire()
        others = [pool.submit(workers.encode, ["b" * (i + 2), "c"]) for i in range(8)]
        wait_until_queued(workers, 8)
        slow.released.release(2)
        assert first.result().vectors.tolist() == [[1]]
        for i, other in enumerate(others):
            features = other.result()
            assert features.vectors.tolist() == [[i + 2], [1]]
            assert [t.tolist() for t in features.tokens] == [[[i + 2]], [[1]]]
            assert features.familiarity is not None
            assert features.familiarity.tolist() == [i + 2, 1]
    assert [len(b) for b in slow.batches] == [1, 16]
    assert workers.sizes == {1: 1, 16: 1}


def test_a_batch_has_a_largest_size(slow: Slow) -> None:
    """Further calls run in the next batch; a single call of more sentences is not split."""
    workers = BatchingWorkers(slow)
    slow.released.release(100)
    assert len(workers.encode(["x"] * (3 * LARGEST_BATCH)).tokens) == 3 * LARGEST_BATCH
    slow.released, slow.started = threading.Semaphore(0), threading.Semaphore(0)
    with ThreadPoolExecutor(LARGEST_BATCH + 8) as pool:
        calls = [pool.submit(workers.encode, ["a"])]
        slow.started.acquire()
        calls += [pool.submit(workers.encode, ["b"]) for _ in range(LARGEST_BATCH + 5)]
        wait_until_queued(workers, LARGEST_BATCH + 5)
        slow.released.release(100)
        for call in calls:
            call.result()
    assert [len(b) for b in slow.batches[1:]] == [1, LARGEST_BATCH, 5]


def test_an_error_reaches_only_the_call_that_caused_it(slow: Slow) -> None:
    """Later calls succeed."""
    workers = BatchingWorkers(slow)
    slow.released.release(100)
    with pytest.raises(ValueError, match="bad"):
        workers.encode(["bad"])
    assert workers.encode(["good"]).vectors.tolist() == [[4]]


def test_a_sentence_that_cannot_be_encoded_fails_no_other_s_batch(slow: Slow) -> None:
    """The other calls of its batch are encoded one by one."""
    workers = BatchingWorkers(slow)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(workers.encode, ["a"])
        slow.started.acquire()
        others = [pool.submit(workers.encode, [text]) for text in ("bb", "bad", "ccc")]
        wait_until_queued(workers, 3)
        slow.released.release(100)
        assert first.result().vectors.tolist() == [[1]]
        assert [other.result().vectors.tolist() for other in (others[0], others[2])] == [[[2]], [[3]]]
        with pytest.raises(ValueError, match="bad"):
            others[1].result()
