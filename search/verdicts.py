"""What is said of match probabilities: that nothing matches, that a word is absent, that a caption fits.

The thresholds were measured with the base model on validation photographs (docs/LOG.md).
"""

from __future__ import annotations

from collections.abc import Iterable

MATCH, SHORT_MATCH = 0.05, 0.3
"""Minimum probability of the likeliest hit, for sentences and for short queries: below it, nothing matches.

Missing a true match is the worse error.
"""

SHORT = 2
"""Words of a short query, without articles."""

ABSENT = 0.01
"""Probability below which a word counts as not shown by a picture.

Of the objects in the photographs, many small, 9 % have less, and 80 % of those that are not in them.
"""

FITTING = 0.4
"""Minimum match probability of a caption of the bank, which was written for no picture in particular."""

_ARTICLES = frozenset(("a", "an", "the"))


def matches_nothing(text: str, probabilities: Iterable[float]) -> bool:
    """Whether the likeliest hit of a query is too unlikely for a match; false if there are no probabilities."""
    words = [word for word in text.lower().split() if word not in _ARTICLES]
    least = SHORT_MATCH if len(words) <= SHORT else MATCH
    return max(probabilities, default=1.0) < least
