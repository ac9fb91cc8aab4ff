"""Paths as the catalog stores them: text, absolute, not resolved."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import ColumnElement


def is_storable(path: Path | str) -> bool:
    """Whether a path can be stored: names that are not UTF-8, which some file systems allow, cannot."""
    return str(path).encode("utf-8", "replace").decode() == str(path)


def at_or_below(column: ColumnElement[str], path: str) -> ColumnElement[bool]:
    """Condition: a stored path is this one or below it. A range, so that the index on paths is used."""
    folder = path.rstrip(os.sep)
    return (column == path) | ((column >= folder + os.sep) & (column < folder + chr(ord(os.sep) + 1)))
