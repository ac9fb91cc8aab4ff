"""What is stored: scanning, decoding, the catalog (SQLite), vectors (FAISS), the indexing pipeline."""

from .body import gpu_count
from .catalog import Catalog, Ids, Stamp
from .choice import Choice
from .decode import open_image, supported_formats
from .errors import (
    CatalogError,
    CatalogVersionError,
    DecodeError,
    EncoderMismatchError,
    FilterError,
    IndexerError,
    IndexNotFoundError,
    SourceError,
)
from .pipeline import Failure, IndexReport, index_paths
from .records import CaptionRecord, CatalogStats, EncoderRow, FailureRecord, ImageRecord, Kind
from .vectors import VectorIndex, vector_choice

__all__ = [
    "CaptionRecord",
    "Catalog",
    "CatalogError",
    "CatalogStats",
    "CatalogVersionError",
    "Choice",
    "DecodeError",
    "EncoderMismatchError",
    "EncoderRow",
    "Failure",
    "FailureRecord",
    "FilterError",
    "Ids",
    "ImageRecord",
    "IndexNotFoundError",
    "IndexReport",
    "IndexerError",
    "Kind",
    "SourceError",
    "Stamp",
    "VectorIndex",
    "gpu_count",
    "index_paths",
    "open_image",
    "supported_formats",
    "vector_choice",
]
