"""Everything this room raises on purpose, and the roots of what the others raise.

ApiError
├── InputError      what the command line was given cannot be used
├── KeysError       the file of API keys cannot be read or written
└── SettingsError   a server would not be safe, or cannot start, with these settings
"""

from __future__ import annotations

from encoders import EncodersError
from indexer import IndexerError
from search import SearchError


class ApiError(Exception):
    """Root of this room's errors; the message names the thing and the way out."""


class InputError(ApiError):
    """What the command line was given cannot be used."""


class KeysError(ApiError):
    """The file of API keys cannot be read or written."""


class SettingsError(ApiError):
    """A server would not be safe, or cannot start, with these settings."""


EXPECTED = (ApiError, SearchError, IndexerError, EncodersError)
"""The root of every room: what a user is told in one sentence."""
