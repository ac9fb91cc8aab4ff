"""The server log: one line per request or event on stderr, as text or JSON.

Everything logged while handling a request, in worker threads too, carries the request id.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

EXTRA_FIELDS = ("method", "route", "status", "ms", "key", "query", "job", "state")
"""Extra fields that are logged; those of other libraries are dropped."""

SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(allow=EXTRA_FIELDS),
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
)
"""Processors for every line, whichever library logged it."""


def formatter(log_format: str, *, colours: bool = False) -> logging.Formatter:
    """A formatter for standard library logging, `text` or `json`."""
    last: tuple[Processor, ...]
    if log_format == "json":
        last = (structlog.processors.format_exc_info, structlog.processors.JSONRenderer())
    else:
        plain = structlog.dev.plain_traceback  # the rich one shows local variables, including queries
        last = (
            _one_line,
            structlog.dev.ConsoleRenderer(
                colors=colours, timestamp_key="time", exception_formatter=plain, sort_keys=False
            ),
        )
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    return structlog.stdlib.ProcessorFormatter(processors=(remove, *last), foreign_pre_chain=SHARED)


def _one_line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape unprintable characters in the event, so that a file name cannot inject a log line."""
    text = str(event["event"])
    if not text.isprintable():
        event["event"] = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return event


def log_to(stream: TextIO = sys.stderr, *, log_format: str, level: str) -> logging.Handler:
    """Log to a stream: crosslook's records from `level` on, and warnings of other libraries.

    Returns:
        The handler, so that it can be removed again.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter(log_format, colours=stream.isatty()))
    logging.getLogger().addHandler(handler)
    logging.getLogger("crosslook").setLevel(level.upper())
    return handler
