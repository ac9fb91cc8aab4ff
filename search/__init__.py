"""One query from start to end: retrieve, rerank, explain; metrics and evaluation."""

from .answers import Answer, CaptionAnswer, CaptionHit, Hit
from .engine import ImageQuery, SearchEngine
from .errors import EvaluationError, ImageNotFoundError, QueryError, SearchError
from .evaluate import Evaluation, Recalls, evaluate
from .explain import Explanation
from .query import MAX_WORDS

__all__ = [
    "MAX_WORDS",
    "Answer",
    "CaptionAnswer",
    "CaptionHit",
    "Evaluation",
    "EvaluationError",
    "Explanation",
    "Hit",
    "ImageNotFoundError",
    "ImageQuery",
    "QueryError",
    "Recalls",
    "SearchEngine",
    "SearchError",
    "evaluate",
]
