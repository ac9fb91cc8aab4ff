"""What words a model was taught."""

from __future__ import annotations

import pytest

from encoders.lexicon import Lexicon, content_words


def test_content_words_carry_meaning() -> None:
    """Function words, numbers and words of two letters are left out, case is folded."""
    assert content_words("Two dogs ARE in the 3 snow-covered woods with a Möwe") == [
        *("dogs", "snow", "covered", "woods", "möwe"),
    ]


@pytest.mark.parametrize(
    ("text", "share"),
    [("a dog in the snow", 1.0), ("a zebra", 0.0), ("a dog and a zebra", 0.5), ("of the 12", 1.0), ("", 1.0)],
)
def test_familiarity_is_the_share_of_taught_words(text: str, share: float) -> None:
    """A sentence with nothing to say is no stranger than any other."""
    assert Lexicon(frozenset({"dog", "snow"})).familiarity(text) == share


def test_a_model_that_keeps_no_words_finds_everything_familiar() -> None:
    """So nothing changes for it."""
    assert Lexicon().familiarity("a zebra") == 1.0


def test_a_word_said_three_times_is_taught() -> None:
    """What was taught before stays, and so do the class names."""
    lexicon = Lexicon(frozenset({"snow"}), ("zebra",)).taught(["a dog", "dogs", "the dog runs", "dog and cat", "a cat"])
    assert lexicon == Lexicon(frozenset({"snow", "dog"}), ("zebra",))
