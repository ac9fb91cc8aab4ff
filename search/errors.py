"""The errors that `search` raises.

SearchError
├── QueryError             a query is invalid
│   ├── ImageNotFoundError     an image does not exist, or its file is gone
│   └── UnknownModelError      the index has no such model, or several of that name
└── EvaluationError        a dataset cannot be evaluated
"""

from __future__ import annotations


class SearchError(Exception):
    """Base class. Each message names the value or file, and says what to do."""


class QueryError(SearchError):
    """A query is invalid."""


class ImageNotFoundError(QueryError):
    """An image does not exist, or its file is gone."""


class UnknownModelError(QueryError):
    """The index has no such model, or several of that name."""


class EvaluationError(SearchError):
    """A dataset cannot be evaluated."""
