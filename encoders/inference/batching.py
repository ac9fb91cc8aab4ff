"""Worker threads that run the model; sentences that wait for one are encoded as a single batch.

Many threads that run a model at once compete for the cores: 16 then compute less than one. Besides, 16 sentences take
less time in one batch than one by one.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from ..features import TextFeatures

LARGEST_BATCH = 32
"""The most sentences of several calls in one batch."""

R = TypeVar("R")
T = TypeVar("T")


class BatchingWorkers:
    """Runs a model in its own threads.

    No batch waits to be filled: the first sentences run at once, and those that arrive meanwhile share a batch as soon
    as a thread is free.

    `sizes` counts batches by their number of sentences.

    Args:
        encode: encodes a batch of sentences.
        workers: number of threads.
    """

    def __init__(self, encode: Callable[[Sequence[str]], TextFeatures], workers: int = 1) -> None:
        self._encode = encode
        self._threads = ThreadPoolExecutor(workers, "model")
        self._lock = threading.Lock()
        self._waiting: deque[tuple[list[str], Future[TextFeatures]]] = deque()
        self.sizes: Counter[int] = Counter()

    def run(self, function: Callable[[], R]) -> R:
        """Run another function in one of the threads."""
        return self._threads.submit(function).result()

    def map(self, function: Callable[[T], R], arguments: Iterable[T]) -> list[R]:
        """Run another function for each argument, in as many threads as there are."""
        return list(self._threads.map(function, arguments))

    def encode(self, texts: Sequence[str]) -> TextFeatures:
        """Encode sentences, in one batch with other calls that are waiting."""
        features: Future[TextFeatures] = Future()
        self._waiting.append((list(texts), features))
        self._threads.submit(self._next_batch)
        return features.result()

    def _next_batch(self) -> None:
        """Encode as many waiting calls as fit a batch; none are left if an earlier batch took them."""
        batch: list[tuple[list[str], Future[TextFeatures]]] = []
        count = 0
        with self._lock:
            while self._waiting and (count + len(self._waiting[0][0]) <= LARGEST_BATCH or not batch):
                batch.append(self._waiting.popleft())
                count += len(batch[-1][0])
            if not batch:
                return
            self.sizes[count] += 1
        self._encode_batch(batch)

    def _encode_batch(self, batch: Sequence[tuple[list[str], Future[TextFeatures]]]) -> None:
        """Encode a batch; if that fails, each call by itself, so that one client's sentence fails no other's."""
        try:
            encoded = self._encode([text for texts, _ in batch for text in texts])
        except BaseException as exc:  # noqa: BLE001  raised in the thread that called `encode`
            if len(batch) == 1:
                batch[0][1].set_exception(exc)
                return
            for call in batch:
                self._encode_batch([call])
            return
        start = 0
        for texts, features in batch:
            features.set_result(encoded.take(list(range(start, start + len(texts)))))
            start += len(texts)
