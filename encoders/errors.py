"""Errors of `encoders`.

EncodersError
├── CheckpointError      a model's files are missing, cut short, altered, or in an unknown format
├── DatasetError         a dataset cannot be read at all, or holds nothing usable
├── BackboneError        no backbone has that name, or its library or weights are not available
└── TrainingError        training cannot start, continue or resume
"""

from __future__ import annotations


class EncodersError(Exception):
    """Root of this package's errors; the message says what failed and what to do."""


class CheckpointError(EncodersError):
    """A model's files are missing, cut short, altered, or in an unknown format."""


class DatasetError(EncodersError):
    """A dataset cannot be read at all, or holds nothing usable."""


class BackboneError(EncodersError):
    """No backbone has that name, or its library or pretrained weights are not available."""


class TrainingError(EncodersError):
    """Training cannot start, continue or resume."""


def first_line(exc: BaseException) -> str:
    """Return the first line of an error's message, or its type if it has none."""
    return (str(exc).splitlines() or [type(exc).__name__])[0]


def cause(exc: BaseException) -> str:
    """Return an error in one line: its type and the first line of its message."""
    return f"{type(exc).__name__}: {(str(exc).splitlines() or ['no reason given'])[0]}"
