"""One query from start to end: retrieve, rerank, explain; metrics and evaluation."""

from .answers import Answer, CaptionAnswer, CaptionHit, Hit, Place
from .compare import Compared, Comparison, compare_models
from .engine import ImageQuery, SearchEngine, load_model
from .errors import EvaluationError, ImageNotFoundError, QueryError, SearchError, UnknownModelError
from .evaluate import Evaluation, Recalls, evaluate
from .explain import Explanation
from .following import FollowingEngine
from .query import MAX_WORDS

__all__ = [
    "MAX_WORDS",
    "Answer",
    "CaptionAnswer",
    "CaptionHit",
    "Compared",
    "Comparison",
    "Evaluation",
    "EvaluationError",
    "Explanation",
    "FollowingEngine",
    "Hit",
    "ImageNotFoundError",
    "ImageQuery",
    "Place",
    "QueryError",
    "Recalls",
    "SearchEngine",
    "SearchError",
    "UnknownModelError",
    "compare_models",
    "evaluate",
    "load_model",
]
