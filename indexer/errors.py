"""Everything this room raises on purpose.

IndexerError
├── SourceError            what should be indexed is not there, or holds no image
├── DecodeError            a file is not an image, is damaged, or is too large
│   └── ReadError              the system does not let it be read; it may another time
├── WatchError             changes below a folder cannot be followed
├── FilterError            a --where expression does not parse
└── CatalogError           the catalog cannot be used
    ├── IndexNotFoundError     there is no index in that folder
    ├── CatalogVersionError    a newer crosslook wrote it
    ├── IndexBusyError         another process is indexing there
    ├── CatalogWriteError      the catalog can be read, but not written: read-only, locked, or the disk is full
    ├── EncoderMismatchError   another model made its embeddings
    └── ModelError             a model is not where it was, or cannot be added, switched to or removed
"""

from __future__ import annotations


class IndexerError(Exception):
    """Root of this room's errors; the message names the thing and the way out."""


class SourceError(IndexerError):
    """What should be indexed is not there, or holds no image."""


class DecodeError(IndexerError):
    """A file is not an image, is damaged, or is too large."""


class ReadError(DecodeError):
    """The system does not let a file be read; it may another time."""


class WatchError(IndexerError):
    """Changes below a folder cannot be followed."""


class FilterError(IndexerError):
    """A `--where` expression does not parse."""


class CatalogError(IndexerError):
    """The catalog cannot be used."""


class IndexNotFoundError(CatalogError):
    """There is no index in that folder."""


class CatalogVersionError(CatalogError):
    """A newer crosslook wrote the catalog."""


class IndexBusyError(CatalogError):
    """Another process is indexing there."""


class CatalogWriteError(CatalogError):
    """The catalog can be read, but not written: it is read-only or locked, or the disk is full."""


class EncoderMismatchError(CatalogError):
    """Another model made the embeddings of this index."""


class ModelError(CatalogError):
    """A model is not where it was, or cannot be added, switched to or removed."""
