"""Verdicts drawn from match probabilities: that nothing matches, that a word is absent, that a caption fits.

The thresholds were measured with the base model (docs/LOG.md).
"""

from __future__ import annotations

from collections.abc import Iterable

MATCH, SHORT_MATCH = 0.05, 0.25
"""Minimum probability of the likeliest hit, for sentences and for short queries: below it, nothing matches.

Missing a true match is the worse error.
"""

SHORT = 3
"""Tokens of a short query, such as `a red car`."""

ABSENT = 0.01
"""Probability below which a word counts as not shown by a picture.

Of objects that are in a photograph, many of them small, 9 % have less, of objects that are not, 76 %.
"""

FITTING = 0.5
"""Minimum match probability of a caption of the bank, which was written for no picture in particular."""


def matches_nothing(tokens: int, probabilities: Iterable[float]) -> bool:
    """Whether the likeliest of the reranked pictures is too unlikely for a match.

    Args:
        tokens: of the query.
        probabilities: of the reranked pictures; if there are none, nothing is said.
    """
    return max(probabilities, default=1.0) < (SHORT_MATCH if tokens <= SHORT else MATCH)


def is_absent(probability: float) -> bool:
    """Whether a picture probably does not show a word; false for NaN, a word that was not judged."""
    return probability < ABSENT
