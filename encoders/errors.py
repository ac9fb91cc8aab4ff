"""Everything this room raises on purpose.

EncodersError
├── CheckpointError      a model's files are missing, cut short, altered, or of another format
├── DatasetError         a dataset cannot be read at all, or holds nothing usable
├── BackboneError        no backbone of that name, or its library or weights cannot be had here
└── TrainingError        training cannot start, go on, or resume
"""

from __future__ import annotations


class EncodersError(Exception):
    """Root of this room's errors; the message names the thing and the way out."""


class CheckpointError(EncodersError):
    """A model's files are missing, cut short, altered, or of another format."""


class DatasetError(EncodersError):
    """A dataset cannot be read at all, or holds nothing usable."""


class BackboneError(EncodersError):
    """No backbone has that name, or its library or pretrained weights cannot be had here."""


class TrainingError(EncodersError):
    """Training cannot start, go on, or resume."""
