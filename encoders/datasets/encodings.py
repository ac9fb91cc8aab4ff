"""The encodings of text files. What cannot be told for certain is refused: wrong captions are worse than none."""

from __future__ import annotations

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE

_MARKS = {  # that of UTF-32 first, because it starts with that of UTF-16
    BOM_UTF32_LE: "utf-32-le",
    BOM_UTF32_BE: "utf-32-be",
    BOM_UTF16_LE: "utf-16-le",
    BOM_UTF16_BE: "utf-16-be",
    BOM_UTF8: "utf-8",
}


MIN_VALID = 10
"""Characters of UTF-8 for each byte that is not, for a file to be UTF-8 with faults. In other encodings, some bytes are
valid by chance: the 山 of GB 18030 is the ɽ of UTF-8."""


def decode_text(content: bytes) -> str:
    """Decode UTF-8, UTF-16 or UTF-32.

    UTF-16 and UTF-32 are known by their byte order mark; UTF-16 without one, by the zero in every second byte of mostly
    Latin text. Bytes that are none of these become surrogates, as by `surrogateescape`, so that `fault` finds them.

    The rest is not guessed: of 20 captions in Big5, GB 18030, Shift JIS and others, charset-normalizer 3.5 read 8 as
    something else, without a doubt.
    """
    mark, encoding = next(((m, e) for m, e in _MARKS.items() if content.startswith(m)), (b"", _unmarked(content)))
    if encoding != "utf-8":
        try:
            return content[len(mark) :].decode(encoding, errors="surrogatepass")
        except UnicodeDecodeError:  # cut off, or something else
            return content.decode("ascii", errors="surrogateescape")
    text = content[len(mark) :].decode("utf-8", errors="surrogateescape")
    invalid = len(re.findall("[\ud800-\udfff]", text))
    if invalid and MIN_VALID * invalid > len(re.findall(r"[^\x00-\x7f]", text)) - invalid:
        return content.decode("ascii", errors="surrogateescape")
    return text


def _unmarked(content: bytes) -> str:
    """The encoding of a text without a byte order mark."""
    first, second = content[::2].count(0), content[1::2].count(0)
    most, least = max(first, second), min(first, second)
    if len(content) % 2 or 10 * most < 3 * len(content) or 10 * least > most:
        return "utf-8"
    return "utf-16-le" if second > first else "utf-16-be"
