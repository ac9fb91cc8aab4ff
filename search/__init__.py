"""Search an index: retrieve, rerank, explain. Evaluate and compare models."""

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
