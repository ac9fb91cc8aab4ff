"""Word counts, familiarity and strangeness."""

from __future__ import annotations

import pytest

from encoders.checkpoint.lexicon import Lexicon, content_words


def test_content_words_carry_meaning() -> None:
    """Function words, numbers and words of up to two letters are left out; case is folded."""
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
def test_familiarity_falls_with_the_share_of_unfamiliar_words(text: str, familiarity: float) -> None:
    """A word with 20 occurrences is half familiar; a sentence without content words is familiar."""
    assert Lexicon({"dog": 80, "snow": 80, "sled": 20}).familiarity(text) == pytest.approx(familiarity)


def test_without_counts_every_sentence_is_familiar() -> None:
    """Models without counts rank as before."""
    assert Lexicon().familiarity("a zebra") == 1.0


def test_captions_add_their_word_counts() -> None:
    """Other captions raise counts, the same captions again do not, and the class names stay."""
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
def test_a_term_is_as_strange_as_its_least_familiar_word(term: str, strangeness: float) -> None:
    """Unknown names, numbers and other scripts are strange; function words are not."""
    assert Lexicon({"dog": 80, "sled": 20}).strangeness(term) == pytest.approx(strangeness)


def test_without_counts_content_words_are_half_strange() -> None:
    """Numbers are fully strange."""
    assert [Lexicon().strangeness(term) for term in ("dog", "Anna", "with", "2034")] == [0.5, 0.5, 0.0, 1.0]


def test_scripts_without_spaces_are_counted_by_the_character() -> None:
    """A Chinese caption is no single word; Korean has spaces."""
    assert content_words("两只狗 run 눈속에서") == ["两", "只", "狗", "run", "눈속에서"]
    lexicon = Lexicon().with_captions(["两只狗在雪地里奔跑"] * 100)
    assert lexicon.strangeness("狗") < 0.2
    assert lexicon.strangeness("猫") == 1.0
    assert lexicon.familiarity("狗在雪地里") > 0.99
