"""What is stored: scanning, decoding, the catalog (SQLite), vectors (FAISS), the indexing pipeline."""

from .catalog import Catalog, Ids
from .decode import open_image, supported_formats
from .errors import (
    CatalogError,
    CatalogVersionError,
    DecodeError,
    EncoderMismatchError,
    FilterError,
    IndexBusyError,
    IndexerError,
    IndexNotFoundError,
    SourceError,
)
from .lock import indexing_lock
from .pipeline import Failure, IndexReport, index_paths
from .records import CaptionRecord, CatalogStats, EncoderRow, FailureRecord, ImageRecord, Kind
from .vectors import VectorIndex, gpu_count

__all__ = [
    "CaptionRecord",
    "Catalog",
    "CatalogError",
    "CatalogStats",
    "CatalogVersionError",
    "DecodeError",
    "EncoderMismatchError",
    "EncoderRow",
    "Failure",
    "FailureRecord",
    "FilterError",
    "Ids",
    "ImageRecord",
    "IndexBusyError",
    "IndexNotFoundError",
    "IndexReport",
    "IndexerError",
    "Kind",
    "SourceError",
    "VectorIndex",
    "gpu_count",
    "index_paths",
    "indexing_lock",
    "open_image",
    "supported_formats",
]
