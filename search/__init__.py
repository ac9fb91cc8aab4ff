"""Search an index: retrieve, rerank, explain. Evaluate and compare models."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .answers import Answer, CaptionAnswer, CaptionHit, Hit
    from .engine import SearchEngine
    from .errors import SearchError
    from .evaluation.compare import compare_models
    from .evaluation.evaluate import Evaluation, evaluate
    from .explain import Explanation
    from .image_query import ImageQuery

__all__ = [
    "Answer",
    "CaptionAnswer",
    "CaptionHit",
    "Evaluation",
    "Explanation",
    "Hit",
    "ImageQuery",
    "SearchEngine",
    "SearchError",
    "compare_models",
    "evaluate",
]

_MODULES = {
    "Answer": ".answers",
    "CaptionAnswer": ".answers",
    "CaptionHit": ".answers",
    "Evaluation": ".evaluation.evaluate",
    "Explanation": ".explain",
    "Hit": ".answers",
    "ImageQuery": ".image_query",
    "SearchEngine": ".engine",
    "SearchError": ".errors",
    "compare_models": ".evaluation.compare",
    "evaluate": ".evaluation.evaluate",
}


def __getattr__(name: str) -> object:
    """Import what is used, when it is used: a search needs no indexing."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name], __name__), name)
