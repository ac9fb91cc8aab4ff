"""Sentences from several threads, encoded as one batch: 16 take the time of four by themselves."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from .features import TextFeatures

TOGETHER = 32
"""So many sentences at most are encoded as one batch."""


class Together:
    """Calls that wait for the same model, run as one.

    Nothing waits for company: the first call runs at once and alone, those that come meanwhile wait for their turn, and
    the first of them takes along all that wait with it.

    `sizes` counts batches by the sentences they held.
    """

    def __init__(self, encode: Callable[[Sequence[str]], TextFeatures], turn: threading.Lock) -> None:
        """Args: what encodes, and the lock that it is used under."""
        self._encode, self._turn = encode, turn
        self._waiting: deque[tuple[list[str], Future[TextFeatures]]] = deque()
        self.sizes: Counter[int] = Counter()

    def __call__(self, texts: Sequence[str]) -> TextFeatures:
        """Encode sentences, with those of other threads or alone."""
        answer: Future[TextFeatures] = Future()
        self._waiting.append((list(texts), answer))
        with self._turn:
            while not answer.done():  # one that came before us may have taken ours along
                self._run(self._next())
        return answer.result()

    def _next(self) -> list[tuple[list[str], Future[TextFeatures]]]:
        """The first that wait, as many as go together, and at least one."""
        batch = [self._waiting.popleft()]
        count = len(batch[0][0])
        while self._waiting and (count := count + len(self._waiting[0][0])) <= TOGETHER:
            batch.append(self._waiting.popleft())
        return batch

    def _run(self, batch: list[tuple[list[str], Future[TextFeatures]]]) -> None:
        texts = [text for part, _ in batch for text in part]
        self.sizes[len(texts)] += 1
        try:
            found = self._encode(texts)
        except BaseException as exc:  # noqa: BLE001  each thread raises it for itself
            for _, answer in batch:
                answer.set_exception(exc)
            return
        start = 0
        for part, answer in batch:
            answer.set_result(found.take(list(range(start, start + len(part)))))
            start += len(part)
