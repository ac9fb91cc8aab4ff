"""A few threads for the model, whoever asks; sentences that wait for them are encoded as one batch.

Every thread that runs torch keeps a team of helpers, and many teams take each other's time: 16 threads then get less
done than one. And 16 sentences in one batch take less time than one by one.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from ..features import TextFeatures

LARGEST_BATCH = 32
"""So many sentences at most are encoded as one batch."""

R = TypeVar("R")


class BatchingWorkers:
    """Runs a model in threads of its own.

    Nothing waits for company: the first sentences run at once and alone, those that come meanwhile wait for a thread,
    and go together when one is free.

    `sizes` counts batches by the sentences they held.

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
        """Run anything else there."""
        return self._threads.submit(function).result()

    def encode(self, texts: Sequence[str]) -> TextFeatures:
        """Encode sentences, with those of other threads or alone."""
        answer: Future[TextFeatures] = Future()
        self._waiting.append((list(texts), answer))
        self._threads.submit(self._next_batch)
        return answer.result()

    def _next_batch(self) -> None:
        """Encode the first that wait, as many as go together; there are none if an earlier call took them along."""
        batch: list[tuple[list[str], Future[TextFeatures]]] = []
        count = 0
        with self._lock:
            while self._waiting and (count + len(self._waiting[0][0]) <= LARGEST_BATCH or not batch):
                batch.append(self._waiting.popleft())
                count += len(batch[-1][0])
            if not batch:
                return
            self.sizes[count] += 1
        self._answer(batch)

    def _answer(self, batch: Sequence[tuple[list[str], Future[TextFeatures]]]) -> None:
        """Encode a batch; where that fails, each part by itself, so that one client's sentence fails no other's."""
        try:
            found = self._encode([text for part, _ in batch for text in part])
        except BaseException as exc:  # noqa: BLE001  the thread that asked raises it
            if len(batch) == 1:
                batch[0][1].set_exception(exc)
                return
            for one in batch:
                self._answer([one])
            return
        start = 0
        for part, answer in batch:
            answer.set_result(found.take(list(range(start, start + len(part)))))
            start += len(part)
