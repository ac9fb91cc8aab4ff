"""One query from start to end: retrieve, rerank, explain; and how good a model is."""

from .answers import Answer, CaptionAnswer, CaptionHit, Hit
from .engine import ImageQuery, SearchEngine
from .errors import SearchError
from .evaluation.compare import compare_models
from .evaluation.evaluate import Evaluation, evaluate
from .explain import Explanation

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
