"""What is stored: scanning, decoding, the catalog (SQLite), vectors (FAISS), the indexing pipeline."""

from .body import gpu_count
from .catalog import Catalog, Ids, Stamp
from .choice import Choice
from .decode import open_image, reading_size, supported_formats
from .duplicates import LIKENESS, Copy, DuplicateGroup, find_duplicates
from .errors import (
    CatalogError,
    CatalogVersionError,
    DecodeError,
    EncoderMismatchError,
    FilterError,
    IndexBusyError,
    IndexerError,
    IndexNotFoundError,
    ModelError,
    SourceError,
    WatchError,
)
from .lock import indexing_lock
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
from .roots import Forgotten, forget
from .vectors import VectorIndex, vector_choice
from .watch import follow

__all__ = [
    "LIKENESS",
    "AddReport",
    "CaptionRecord",
    "Catalog",
    "CatalogError",
    "CatalogStats",
    "CatalogVersionError",
    "Choice",
    "Copy",
    "DecodeError",
    "DuplicateGroup",
    "EncoderMismatchError",
    "EncoderRow",
    "Failure",
    "FailureRecord",
    "FilterError",
    "Forgotten",
    "Ids",
    "ImageRecord",
    "IndexBusyError",
    "IndexNotFoundError",
    "IndexReport",
    "IndexerError",
    "Kind",
    "ModelError",
    "ModelState",
    "SourceError",
    "Stamp",
    "VectorIndex",
    "WatchError",
    "add_model",
    "find_duplicates",
    "find_model",
    "follow",
    "forget",
    "gpu_count",
    "index_paths",
    "indexing_lock",
    "model_directory",
    "model_states",
    "open_image",
    "reading_size",
    "remove_model",
    "supported_formats",
    "switch_model",
    "vector_choice",
]
