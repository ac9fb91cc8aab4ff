"""Names of emoji, which the text tower can read: "🐶" becomes "dog face", "🇮🇹" becomes "Italy flag".

Source: the short names of Unicode's CLDR, by the package `emoji`.
"""

from __future__ import annotations

import re

_FIRST = "\u2190"
"""The first character of what is always an emoji: those before it, such as © and digits, are text as well."""

_TONE = re.compile(r"_(medium-)?(light|medium|dark)_skin_tone")
_PUNCTUATION = re.compile("[^-\\w\\s\u2019]")  # all but hyphens and apostrophes
_VARIATION = re.compile("[\ufe0e\ufe0f]")  # say whether a character is drawn as text or as a picture
_KEYCAP = "\u20e3"
_BLACK_FLAG = "\U0001f3f4"  # begins the flags of England, Scotland and Wales
_REGIONS = ("\U0001f1e6", "\U0001f1ff")  # the letters of which two are a country's flag


def name_emoji(text: str) -> str:
    """Replace each emoji of a text by its name between spaces, without its skin tone."""
    if max(text, default="") < _FIRST:
        return text
    from emoji import replace_emoji  # noqa: PLC0415  few queries need it

    return _VARIATION.sub("", replace_emoji(text, lambda characters, data: _name(characters, data["en"])))


def _name(characters: str, short_name: str) -> str:
    """The name of an emoji, from one such as `:woman_firefighter_medium_skin_tone:`."""
    first = characters[0]
    if _KEYCAP in characters:
        return first
    if characters < _FIRST and len(characters) == 1:
        return characters
    name = _PUNCTUATION.sub("", _TONE.sub("", short_name).replace("_", " ").replace("&", "and"))
    is_flag = _REGIONS[0] <= first <= _REGIONS[1] or (first == _BLACK_FLAG and "flag" not in name)
    return f" {name}{' flag' if is_flag else ''} "
