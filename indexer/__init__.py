"""What is stored: scanning, decoding, the catalog (SQLite), vectors (FAISS), the indexing pipeline."""

from .catalog import Catalog, Ids
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
from .roots import Forgotten, forget
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
    "Forgotten",
    "Ids",
    "ImageRecord",
    "IndexNotFoundError",
    "IndexReport",
    "IndexerError",
    "Kind",
    "SourceError",
    "VectorIndex",
    "forget",
    "gpu_count",
    "index_paths",
    "open_image",
    "supported_formats",
]
