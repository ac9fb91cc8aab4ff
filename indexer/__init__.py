"""What is stored: scanning, decoding, the catalog (SQLite), vectors (FAISS), the indexing pipeline."""

from .body import gpu_count
from .browse import Browsed, ImageDetails, browse, image_details
from .catalog import Catalog
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
    ReadError,
    SourceError,
    WatchError,
)
from .facets import Counts, Facets, facets
from .lock import file_lock, indexing_lock
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
from .records import CaptionRecord, CatalogStats, EncoderRow, FailureRecord, Ids, ImageRecord, Kind, Stamp
from .roots import Forgotten, forget
from .thumbnails import Thumbnails
from .vector_files import vector_choice
from .vectors import VectorIndex
from .watch import follow

__all__ = [
    "LIKENESS",
    "AddReport",
    "Browsed",
    "CaptionRecord",
    "Catalog",
    "CatalogError",
    "CatalogStats",
    "CatalogVersionError",
    "Choice",
    "Copy",
    "Counts",
    "DecodeError",
    "DuplicateGroup",
    "EncoderMismatchError",
    "EncoderRow",
    "Facets",
    "Failure",
    "FailureRecord",
    "FilterError",
    "Forgotten",
    "Ids",
    "ImageDetails",
    "ImageRecord",
    "IndexBusyError",
    "IndexNotFoundError",
    "IndexReport",
    "IndexerError",
    "Kind",
    "ModelError",
    "ModelState",
    "ReadError",
    "SourceError",
    "Stamp",
    "Thumbnails",
    "VectorIndex",
    "WatchError",
    "add_model",
    "browse",
    "facets",
    "file_lock",
    "find_duplicates",
    "find_model",
    "follow",
    "forget",
    "gpu_count",
    "image_details",
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
