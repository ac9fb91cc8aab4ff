"""Names of emoji in queries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.stages.emoji_names import name_emoji


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("🐶", "dog face"),
        ("❤️", "red heart"),
        ("❤", "red heart"),
        ("🐶\ufe0e", "dog face"),
        ("👩🏽‍🚒", "woman firefighter"),
        ("👋🏿 hello", "waving hand hello"),
        ("🫱🏻‍🫲🏿", "handshake"),
        ("🧑🏿‍🦰", "person red hair"),
        ("👨‍👩‍👧", "family man woman girl"),
        ("👩‍🐶", "woman dog face"),
        ("🇮🇹", "Italy flag"),
        ("🇧🇦", "Bosnia and Herzegovina flag"),
        ("🏴󠁧󠁢󠁥󠁮󠁧󠁿", "England flag"),
        ("🏳️‍🌈", "rainbow flag"),
        ("🏴‍☠️", "pirate flag"),
        ("🅾️", "O button blood type"),
        ("👞", "man’s shoe"),  # noqa: RUF001  Unicode's own name
        ("🐶🐱", "dog face cat face"),
        ("two🐶in snow", "two dog face in snow"),
        ("1️⃣", "1"),
        ("Canon™ ©️", "Canon™ copyright"),
        ("海滩 →", "海滩 →"),
    ],
)
def test_an_emoji_becomes_its_name(text: str, words: str) -> None:
    """Skin tones and variation selectors are dropped; a sequence that has a name gets it, others the names of parts."""
    assert " ".join(name_emoji(text).split()) == words


@given(st.text(st.characters(max_codepoint=0x218F)))
def test_text_without_emoji_is_unchanged(text: str) -> None:
    """Letters, digits and signs that are emoji only by a variation selector stay."""
    assert name_emoji(text) == text
