"""Words taken away from a query: the search turns away from them, and pictures that show them go down.

The figures behind the two weights are in docs/LOG.md.
"""

from __future__ import annotations

import numpy as np

from encoders import Encoder, Floats, ImageFeatures, TextFeatures

TURN = 0.5
"""How much of the unwanted words' vector is subtracted from the query's, both of length 1."""

AGAINST = 0.5
"""How much an unwanted word's log-odds of being shown count against a picture."""


def away_from(vector: Floats, unwanted: Floats) -> Floats:
    """A query's vector (1, D), less the mean of some unwanted ones (W, D), of length 1."""
    if not len(unwanted):
        return vector
    turned = vector - TURN * unwanted.mean(axis=0)
    return (turned / max(float(np.linalg.norm(turned)), 1e-8)).astype(np.float32)


def evidence_against(encoder: Encoder, unwanted: TextFeatures, pictures: ImageFeatures) -> Floats:
    """What W unwanted words say about K pictures (K,), in log-odds.

    A word alone is never probable: it describes many pictures. So what counts is how much more, or less, a picture
    shows it than the middle one of the candidates.
    """
    total = np.zeros(len(pictures.vectors), np.float32)
    for word in range(len(unwanted.tokens)):
        matches = encoder.match_images(unwanted.take([word]), pictures)
        total -= AGAINST * matches.slope * (matches.scores - np.median(matches.scores))
    return total
