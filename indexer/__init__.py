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
    ModelError,
    SourceError,
)
from .models import (
    AddReport,
    ModelState,
    add_model,
    find_model,
    model_directory,
    model_states,
    remove_model,
    switch_model,
)
from .pipeline import Failure, IndexReport, index_paths
from .records import CaptionRecord, CatalogStats, EncoderRow, FailureRecord, ImageRecord, Kind
from .vectors import VectorIndex, gpu_count

__all__ = [
    "AddReport",
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
    "IndexNotFoundError",
    "IndexReport",
    "IndexerError",
    "Kind",
    "ModelError",
    "ModelState",
    "SourceError",
    "VectorIndex",
    "add_model",
    "find_model",
    "gpu_count",
    "index_paths",
    "model_directory",
    "model_states",
    "open_image",
    "remove_model",
    "supported_formats",
    "switch_model",
]
