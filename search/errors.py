"""Everything this room raises on purpose.

SearchError
├── QueryError             the query cannot be answered as it stands
│   ├── ImageNotFoundError     there is no such image
│   └── UnknownModelError      the index holds no such model
└── EvaluationError        a dataset cannot be evaluated
"""

from __future__ import annotations


class SearchError(Exception):
    """Root of this room's errors; the message names the thing and the way out."""


class QueryError(SearchError):
    """The query cannot be answered as it stands."""


class ImageNotFoundError(QueryError):
    """There is no such image, or its file is gone."""


class UnknownModelError(QueryError):
    """The index holds no such model, or more than one of that name."""


class EvaluationError(SearchError):
    """A dataset cannot be evaluated."""
