"""What words a model was taught."""

from __future__ import annotations

import pytest

from encoders.checkpoint.lexicon import Lexicon, content_words


def test_content_words_carry_meaning() -> None:
    """Function words, numbers and words of two letters are left out, case is folded."""
    assert content_words("Two dogs ARE in the 3 snow-covered woods with a Möwe") == [
        *("dogs", "snow", "covered", "woods", "möwe"),
    ]


@pytest.mark.parametrize(
    ("text", "familiarity"),
    [
        ("a dog in the snow", 1 - 0.2**3),
        ("a zebra", 0.0),
        ("a dog and a zebra", 1 - 0.6**3),
        ("a sled", 1 - 0.5**3),
        ("of the 12", 1.0),
        ("", 1.0),
    ],
)
def test_familiarity_falls_with_the_share_of_strange_words(text: str, familiarity: float) -> None:
    """A word said 20 times is half strange; a sentence with nothing to say is no stranger than any other."""
    assert Lexicon({"dog": 80, "snow": 80, "sled": 20}).familiarity(text) == pytest.approx(familiarity)


def test_a_model_that_keeps_no_words_finds_everything_familiar() -> None:
    """So nothing changes for it."""
    assert Lexicon().familiarity("a zebra") == 1.0


def test_captions_teach_their_words() -> None:
    """More is learned from other captions, nothing from the same again, and the class names stay."""
    captions = ["a dog", "dogs", "the dog runs", "snow on a cat"]
    lexicon = Lexicon({"snow": 2, "dog": 1}, ("zebra",)).with_captions(captions)
    assert lexicon == Lexicon({"snow": 2, "dog": 2, "dogs": 1, "runs": 1, "cat": 1}, ("zebra",))
    assert lexicon.with_captions(captions) == lexicon


@pytest.mark.parametrize(
    ("term", "strangeness"),
    [
        ("dog", 0.2),
        ("Sled", 0.5),
        ("Anna", 1.0),
        ("dog sled", 0.5),
        ("IMG_2034", 1.0),
        ("2034", 1.0),
        ("with", 0.0),
        ("犬", 1.0),
        ("", 0.0),
    ],
)
def test_a_term_is_as_strange_as_its_strangest_word(term: str, strangeness: float) -> None:
    """Names, numbers and other scripts are strange; words without meaning are not."""
    assert Lexicon({"dog": 80, "sled": 20}).strangeness(term) == pytest.approx(strangeness)


def test_a_model_that_keeps_no_words_may_know_any_by_half() -> None:
    """Numbers it cannot know all the same."""
    assert [Lexicon().strangeness(term) for term in ("dog", "Anna", "with", "2034")] == [0.5, 0.5, 0.0, 1.0]
