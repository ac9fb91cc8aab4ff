"""What is stored: the catalog (SQLite), pictures read from files, vectors (FAISS), the indexing pipeline."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

_MODULES = {
    "Catalog": ".catalog.catalog",
    "IndexReport": ".ingest.writing",
    "IndexerError": ".errors",
    "VectorIndex": ".vectors.index",
    "add_model": ".models",
    "find_duplicates": ".duplicates",
    "follow": ".ingest.watch",
    "forget": ".ingest.roots",
    "index_paths": ".ingest.pipeline",
    "open_image": ".pictures.decode",
    "remove_model": ".models",
    "switch_model": ".models",
}


def __getattr__(name: str) -> object:
    """Import what is used, when it is used: a search needs no indexing."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name], __name__), name)
