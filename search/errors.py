"""Everything this room raises on purpose.

SearchError
├── QueryError             the query cannot be answered as it stands
│   └── ImageNotFoundError     there is no such image
└── EvaluationError        a dataset cannot be evaluated
"""

from __future__ import annotations


class SearchError(Exception):
    """Root of this room's errors; the message names the thing and the way out."""


class QueryError(SearchError):
    """The query cannot be answered as it stands."""


class ImageNotFoundError(QueryError):
    """There is no such image, or its file is gone."""


class EvaluationError(SearchError):
    """A dataset cannot be evaluated."""
