"""Errors of this package.

ApiError
├── InputError      an invalid command-line argument
├── KeysError       the API key file cannot be read or written
├── SettingsError   settings with which a server is unsafe or cannot start
├── in client.py: ProblemError (an error response), UnreachableError (no response)
└── in server/work, mapped to responses by server/problems.py: BusyError, CursorError, GoneError, IndexingError,
    UnknownJobError, UnknownRootError
"""

from __future__ import annotations


class ApiError(Exception):
    """Root of this package's errors; the message says what is wrong and what to do."""


class InputError(ApiError):
    """A command-line argument is invalid."""


class KeysError(ApiError):
    """The API key file cannot be read or written."""


class SettingsError(ApiError):
    """A server is unsafe or cannot start with these settings."""
