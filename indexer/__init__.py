"""What is stored: the catalog (SQLite), pictures read from files, vectors (FAISS), the indexing pipeline."""

from .catalog.catalog import Catalog
from .duplicates import find_duplicates
from .errors import IndexerError
from .ingest.pipeline import index_paths
from .ingest.roots import forget
from .ingest.watch import follow
from .ingest.writing import IndexReport
from .models import add_model, remove_model, switch_model
from .pictures.decode import open_image
from .vectors.index import VectorIndex

__all__ = [
    "Catalog",
    "IndexReport",
    "IndexerError",
    "VectorIndex",
    "add_model",
    "find_duplicates",
    "follow",
    "forget",
    "index_paths",
    "open_image",
    "remove_model",
    "switch_model",
]
