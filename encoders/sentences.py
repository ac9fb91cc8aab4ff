"""Encoding many sentences: batches of like length, so that little of each batch is padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .features import TextFeatures
from .protocol import Encoder

BATCH = 256


def encode_in_batches(encoder: Encoder, texts: Sequence[str]) -> Iterator[tuple[list[int], TextFeatures]]:
    """Encode sentences in batches of `BATCH`, the shortest first.

    Yields:
        The positions in `texts` of one batch, and its features in that order.
    """
    order = sorted(range(len(texts)), key=lambda position: len(texts[position]))
    for start in range(0, len(order), BATCH):
        positions = order[start : start + BATCH]
        yield positions, encoder.encode_texts([texts[position] for position in positions])
