"""Encoding many sentences in batches of similar length, which need the least padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .features import TextFeatures
from .protocol import Encoder

BATCH = 256
"""Sentences in one forward pass."""


def encode_in_batches(encoder: Encoder, texts: Sequence[str]) -> Iterator[tuple[list[int], TextFeatures]]:
    """Encode sentences batch by batch, the shortest first.

    Args:
        encoder: the model.
        texts: the sentences, in any order.

    Yields:
        The positions in `texts` of up to 256 sentences, and their features in that order.
    """
    order = sorted(range(len(texts)), key=lambda position: len(texts[position]))
    for start in range(0, len(order), BATCH):
        positions = order[start : start + BATCH]
        yield positions, encoder.encode_texts([texts[position] for position in positions])
