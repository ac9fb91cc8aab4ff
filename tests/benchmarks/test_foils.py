"""Foils: what is changed in a caption, and which changes are left out because they could be true."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import foils
from benchmarks.foils import Picture, make_foils, recolour, recount, rename, synonyms
from encoders.datasets import Example


def copies(make: foils.Maker, *captions: str, facts: str = "") -> set[str]:
    """The foils of the first of a picture's captions."""
    picture = Picture(captions, facts)
    return set(make(picture.captions[0], picture))


def test_the_colour_of_a_thing_is_changed_to_one_that_is_not_mistaken_for_it() -> None:
    """Red becomes blue, but neither orange nor pink; the article agrees with the new colour."""
    assert copies(recolour, "A red kayak on a lake") == {
        f"A {colour} kayak on a lake" for colour in ("blue", "green", "yellow", "white", "black")
    }
    assert "an orange car" in copies(recolour, "a blue car")
    assert "a blue car" in copies(recolour, "an orange car")


def test_each_foil_changes_one_colour_only() -> None:
    """With two things there are foils of either, never of both."""
    changed = copies(recolour, "a red hat and a yellow shirt")
    assert "a black hat and a yellow shirt" in changed
    assert "a red hat and a purple shirt" in changed
    assert all(("red hat" in foil) != ("yellow shirt" in foil) for foil in changed)


@pytest.mark.parametrize("other", ["boats, one of them blue", "a blue-eyed man", "navy water", "somebody in jeans"])
def test_a_colour_that_another_caption_mentions_is_not_a_foil(other: str) -> None:
    """Neither by its own name nor by a shade, nor within a hyphenated word."""
    assert "a blue kayak" in copies(recolour, "a red kayak")
    assert "a blue kayak" not in copies(recolour, "a red kayak", other)
    assert "a blue kayak" not in copies(recolour, "a red kayak", facts=other)


@pytest.mark.parametrize(
    "caption",
    [
        "an orange",
        "an orange and a pear in a bowl",
        "orange juice",
        "orange carrots",
        "a black man",
        "a dark blue car",
        "black and white photo",
        "a red, shirt",
        "a red-haired dog",
        "a colourful red kite",
    ],
)
def test_what_is_not_the_colour_of_one_thing_is_left(caption: str) -> None:
    """Fruit, people, shades, pairs of colours, compounds, and pictures of many colours."""
    assert copies(recolour, caption) == set()


def test_animals_get_the_colours_of_animals() -> None:
    """Otherwise the words alone would tell which caption is false."""
    assert copies(recolour, "a black dog") == {"a white dog", "a brown dog"}


def test_a_stated_count_is_changed() -> None:
    """To each other count; a capital stays."""
    assert copies(recount, "Two young dogs run") == {f"{count} young dogs run" for count in ("Three", "Four", "Five")}


@pytest.mark.parametrize(
    ("caption", "foil"),
    [
        ("A dog is running", "Two dogs are running"),
        ("a small puppy catches a ball", "two small puppies catch a ball"),
        ("A man carries a bag", "Two men carry a bag"),
        ("a child watches", "two children watch"),
        ("a boy with a bus", "a boy with two buses"),
        ("a picture of a woman sitting", "a picture of two women sitting"),
        ("a calf passes", "two calves pass"),
    ],
)
def test_one_becomes_two_or_three_with_plural_and_verb(caption: str, foil: str) -> None:
    """The noun gets its plural, regular or not, and the verb after a subject agrees."""
    changed = copies(recount, caption)
    assert foil in changed
    assert foil.replace("two", "three").replace("Two", "Three") in changed


@pytest.mark.parametrize(
    ("caption", "other"),
    [
        ("a dog runs", "two animals"),
        ("a dog runs", "dogs in the snow"),
        ("a dog runs", "a dog and a puppy"),
        ("a dog runs", "a pair of them"),
        ("a dog runs", "one chases the other"),
        ("a man runs", "people in a street"),
        ("a man runs", "a boy with his father"),
        ("two men run", "three men"),
        ("two men run", "several men"),
        ("two men run", "4 men"),
    ],
)
def test_a_count_that_other_captions_leave_open_is_not_changed(caption: str, other: str) -> None:
    """Another number, a plural, a second one of the kind, or a vague quantity."""
    assert copies(recount, caption)
    assert copies(recount, caption, other) == set()


@pytest.mark.parametrize(
    "caption",
    [
        "a dog runs with its ball",
        "a dog runs and jumps",
        "a dog house",
        "a man riding a bike jumps",
        "a sheep",
        "a sky",
    ],
)
def test_a_count_that_would_need_more_words_changed_is_left(caption: str) -> None:
    """Pronouns, further verbs, compounds, verbs of another subject, and nouns without a plural of their own."""
    assert copies(recount, caption) == set()


def test_a_thing_is_replaced_by_another_of_its_kind() -> None:
    """A dog by a horse or an elephant, dogs by horses, never by an animal, a puppy or a car."""
    changed = copies(rename, "a dog on grass")
    assert {"a horse on grass", "an elephant on grass"} <= changed
    assert not {f"a {word} on grass" for word in ("dog", "puppy", "animal", "car", "spaniel")} & changed
    assert "two sheep on grass" in copies(rename, "two dogs on grass")
    assert "a cat and a horse" in copies(rename, "a cat and a puppy")


@pytest.mark.parametrize("other", ["a cat", "two cats sleep", "a kitten", "a tabby-coloured one", "animals in a barn"])
def test_a_thing_that_another_caption_mentions_is_not_a_foil(other: str) -> None:
    """By name, plural or synonym, or by a word that may stand for it."""
    assert "a cat on grass" in copies(rename, "a dog on grass")
    assert "a cat on grass" not in copies(rename, "a dog on grass", other)
    assert "a cat on grass" not in copies(rename, "a dog on grass", facts=other)


@pytest.mark.parametrize(
    "caption", ["a dog house", "a hot dog", "a teddy bear", "a train station", "horse riding", "no dog", "a keyboard"]
)
def test_a_noun_that_means_another_thing_is_not_replaced(caption: str) -> None:
    """Parts of compounds, what is denied, and words of two kinds."""
    assert copies(rename, caption) == set()


def test_a_word_of_two_groups_is_replaced_by_neither() -> None:
    """A bike may be a bicycle or a motorcycle."""
    changed = copies(rename, "a man on a bike")
    assert "a man on a boat" in changed
    assert not {"a man on a bicycle", "a man on a motorcycle"} & changed
    assert {"bicycle", "motorcycle"} <= synonyms("bike")


def test_foils_are_deterministic_and_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of a kind for each caption, at most so many of a kind, the same for the same seed."""
    captions = ("a red kayak with a dog", "a boy on a yellow boat")
    examples = [Example(Path(f"{i}.jpg"), captions[i % 2 :], "dev") for i in range(40)]
    made = make_foils(examples, {}, seed=1)
    assert made == make_foils(examples, {}, seed=1) != make_foils(examples, {}, seed=2)
    counts = {kind: sum(foil.kind == kind for foil in made) for kind in ("colour", "count", "object")}
    assert counts == {"colour": 60, "count": 60, "object": 60}
    assert all(foil.caption in examples[foil.example].captions and foil.foil != foil.caption for foil in made)
    assert len({(foil.kind, foil.example, foil.caption) for foil in made}) == len(made)
    monkeypatch.setattr(foils, "AT_MOST", 7)
    assert len(make_foils(examples, {}, seed=1)) == 21
    assert not any("cat" in foil.foil for foil in make_foils(examples, {e.image: "cats" for e in examples}, seed=1))
