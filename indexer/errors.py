"""The errors that `indexer` raises.

IndexerError
├── SourceError            a path to index does not exist, or holds no images
├── DecodeError            a file is not an image, is damaged, or is too large
│   └── ReadError              the system refuses to read it; a later attempt may succeed
├── SidecarError           an XMP sidecar cannot be read, or is not one
├── WatchError             a folder cannot be watched
├── PlacesError            the table of places is missing or damaged
├── FilterError            a --where expression does not parse
├── PatternError           an --exclude pattern cannot be used
└── CatalogError           the catalog cannot be used
    ├── IndexNotFoundError     the folder holds no index
    ├── CatalogVersionError    written by a newer crosslook
    ├── IndexBusyError         another process is indexing into it
    ├── CatalogWriteError      the catalog can be read, but not written: read-only, locked, or the disk is full
    ├── EncoderMismatchError   its embeddings are from another model
    └── ModelError             a model has moved, or cannot be added, activated or removed
"""

from __future__ import annotations


class IndexerError(Exception):
    """Base class. Each message names the file or value, and says what to do."""


class SourceError(IndexerError):
    """A path to index does not exist, or holds no images."""


class DecodeError(IndexerError):
    """A file is not an image, is damaged, or is too large."""


class ReadError(DecodeError):
    """The system refuses to read a file; a later attempt may succeed."""


class SidecarError(IndexerError):
    """An XMP sidecar cannot be read, or is not one."""


class WatchError(IndexerError):
    """A folder cannot be watched for changes."""


class PlacesError(IndexerError):
    """The table of the world's places is missing or damaged: the installation is broken."""


class FilterError(IndexerError):
    """A `--where` expression does not parse."""


class PatternError(IndexerError):
    """A pattern of files to leave out cannot be used."""


class CatalogError(IndexerError):
    """The catalog cannot be used."""


class IndexNotFoundError(CatalogError):
    """The folder holds no index."""


class CatalogVersionError(CatalogError):
    """The catalog was written by a newer crosslook."""


class IndexBusyError(CatalogError):
    """Another process is indexing into the same index."""


class CatalogWriteError(CatalogError):
    """The catalog can be read, but not written: it is read-only or locked, or the disk is full."""


class EncoderMismatchError(CatalogError):
    """The embeddings of this index are from another model."""


class ModelError(CatalogError):
    """A model has moved, or cannot be added, activated or removed."""
