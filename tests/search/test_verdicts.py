"""What is said of match probabilities."""

from __future__ import annotations

from search.verdicts import MATCH, SHORT_MATCH, matches_nothing


def test_the_likeliest_hit_decides_by_the_length_of_the_query() -> None:
    """A sentence needs less than a word; articles do not make a word a sentence."""
    between = [0.0, (MATCH + SHORT_MATCH) / 2, 0.0]
    assert matches_nothing("a zebra", between)
    assert matches_nothing("The red  zebra", between)
    assert not matches_nothing("a zebra in snow", between)
    assert matches_nothing("a zebra in snow", [MATCH / 2])
    assert not matches_nothing("zebra", [SHORT_MATCH])


def test_without_probabilities_nothing_is_said() -> None:
    """No hits, or none that was reranked."""
    assert not matches_nothing("zebra", [])
