"""Excluded words: retrieval turns away from them, and reranking moves images that show them down.

The measurements behind both weights are in docs/LOG.md.
"""

from __future__ import annotations

import numpy as np

from encoders import Encoder, Floats, ImageFeatures, TextFeatures

TURN = 0.5
"""How much of the excluded words' mean vector is subtracted from the query's, both of length 1."""

AGAINST = 0.5
"""Weight of an excluded word's log-odds as evidence against an image."""


def away_from(vector: Floats, excluded: Floats) -> Floats:
    """A query's vector (1, D), less the mean of the excluded words' (W, D), of length 1."""
    if not len(excluded):
        return vector
    turned = vector - TURN * excluded.mean(axis=0)
    return (turned / max(float(np.linalg.norm(turned)), 1e-8)).astype(np.float32)


def evidence_against(encoder: Encoder, excluded: TextFeatures, images: ImageFeatures) -> Floats:
    """What each of W excluded words says about K images, in log-odds (W, K): negative for images that show it.

    A single word is never probable, because it describes many images. So what counts is how much more an image shows
    it than the median candidate does.
    """
    evidence = np.zeros((len(excluded.tokens), len(images.vectors)), np.float32)
    for word in range(len(evidence)):
        matches = encoder.match_images(excluded.take([word]), images)
        evidence[word] = AGAINST * matches.slope * (np.median(matches.scores) - matches.scores)
    return evidence
