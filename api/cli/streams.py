"""Text on stdout and stderr, whatever their encoding and whoever reads them.

Pipes and files get UTF-8, as from Python 3.15 on: then no file name is lost where the locale's encoding lacks a letter.
`PYTHONIOENCODING` names another encoding, and a terminal has one of its own: what it lacks is written in ASCII.
"""

from __future__ import annotations

import codecs
import io
import os
import sys

STAND_INS = {
    **dict.fromkeys("▏▎▍", "."),
    **dict.fromkeys("▌▋▊▉█", "#"),
    **dict.fromkeys("─━╸╺", "-"),
    **dict.fromkeys("‘’", "'"),  # noqa: RUF001  these very characters
    **dict.fromkeys("“”", '"'),
    "→": "->",
    "·": "-",
    "…": "...",
    "�": "?",
}
"""ASCII for characters of tables, bars and messages; others are written as `\\u20ac`."""

_ERRORS = "crosslook.ascii"


def prepare_streams() -> None:
    """Let stdout and stderr take any text; what is written to a closed one is dropped."""
    codecs.register_error(_ERRORS, _in_ascii)
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  open until the end
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  as above
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            own = stream.isatty() or os.environ.get("PYTHONIOENCODING")
            stream.reconfigure(encoding=None if own else "utf-8", errors=_ERRORS)


def is_unicode() -> bool:
    """Whether stdout can hold any character."""
    return codecs.lookup(sys.stdout.encoding or "utf-8").name.startswith("utf")


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Write what cannot be encoded in ASCII."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    written = (STAND_INS.get(each) or each.encode("ascii", "backslashreplace").decode() for each in characters)
    return "".join(written), error.end
