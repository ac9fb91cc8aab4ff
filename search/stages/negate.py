"""Excluded words: they are subtracted from the query's vector, and in reranking count as evidence against an image.

The measurements behind both weights are in docs/LOG.md.
"""

from __future__ import annotations

import numpy as np

from encoders import Encoder, Floats, ImageFeatures, TextFeatures

TURN = 0.5
"""Share of the excluded words' mean vector that is subtracted from the query's."""

AGAINST = 0.5
"""Weight of an excluded word's log-odds as evidence against an image."""


def away_from(vector: Floats, excluded: Floats) -> Floats:
    """Subtract the mean of the excluded words' vectors (W, D) from a query's (1, D), and normalise."""
    if not len(excluded):
        return vector
    turned = vector - TURN * excluded.mean(axis=0)
    return (turned / max(float(np.linalg.norm(turned)), 1e-8)).astype(np.float32)


def evidence_against(encoder: Encoder, excluded: TextFeatures, images: ImageFeatures) -> Floats:
    """The evidence of each of W excluded words about K images, in log-odds (W, K): negative for images that show it.

    The match probability of a single word is low for any image, so the score relative to the median candidate counts.
    """
    evidence = np.zeros((len(excluded.tokens), len(images.vectors)), np.float32)
    for word in range(len(evidence)):
        matches = encoder.match_images(excluded.take([word]), images)
        evidence[word] = AGAINST * matches.slope * (np.median(matches.scores) - matches.scores)
    return evidence
