"""What is said of match probabilities."""

from __future__ import annotations

from search.verdicts import ABSENT, MATCH, SHORT, SHORT_MATCH, is_absent, matches_nothing


def test_the_likeliest_picture_decides_by_the_length_of_the_query() -> None:
    """A sentence needs less than a word."""
    between = [0.0, (MATCH + SHORT_MATCH) / 2, 0.0]
    assert matches_nothing(SHORT, between)
    assert not matches_nothing(SHORT + 1, between)
    assert matches_nothing(SHORT + 1, [MATCH / 2])
    assert not matches_nothing(1, [SHORT_MATCH])


def test_without_probabilities_nothing_is_said() -> None:
    """No hits, or none that was reranked; a word that was not judged is not absent."""
    assert not matches_nothing(1, [])
    assert not is_absent(float("nan"))
    assert is_absent(ABSENT / 2)
    assert not is_absent(ABSENT)
