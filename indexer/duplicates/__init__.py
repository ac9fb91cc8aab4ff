"""Duplicates: copies of a file, versions of a picture, and several names of one file."""

from .find import find_duplicates
from .groups import Copy, CopyKind, DuplicateGroup, refreshed
from .looks import LIKENESS

__all__ = ["LIKENESS", "Copy", "CopyKind", "DuplicateGroup", "find_duplicates", "refreshed"]
