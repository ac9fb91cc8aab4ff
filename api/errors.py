"""Everything this room raises on purpose.

ApiError
├── InputError      what the command line was given cannot be used
├── KeysError       the file of API keys cannot be read or written
└── SettingsError   a server would not be safe, or cannot start, with these settings
"""

from __future__ import annotations


class ApiError(Exception):
    """Root of this room's errors; the message names the thing and the way out."""


class InputError(ApiError):
    """What the command line was given cannot be used."""


class KeysError(ApiError):
    """The file of API keys cannot be read or written."""


class SettingsError(ApiError):
    """A server would not be safe, or cannot start, with these settings."""
