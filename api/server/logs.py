"""The server's log: a line for each request and event on stderr, to read or to collect.

Whatever is logged while a request is worked on, in its threads too, carries the request's id.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

FACTS = ("method", "route", "status", "ms", "key", "query", "job", "state")
"""What lines may tell beside the event; other libraries' extras are for their own formatters."""

SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(allow=FACTS),
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
)
"""What every line gets, whichever library wrote it."""


def formatter(log_format: str, *, colours: bool = False) -> logging.Formatter:
    """A formatter for the standard library's logging: `text` or `json`."""
    last: tuple[Processor, ...]
    if log_format == "json":
        last = (structlog.processors.format_exc_info, structlog.processors.JSONRenderer())
    else:
        plain = structlog.dev.plain_traceback  # the colourful one shows local variables, queries among them
        last = (
            _one_line,
            structlog.dev.ConsoleRenderer(
                colors=colours, timestamp_key="time", exception_formatter=plain, sort_keys=False
            ),
        )
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    return structlog.stdlib.ProcessorFormatter(processors=(remove, *last), foreign_pre_chain=SHARED)


def _one_line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Write line ends as such, or a file's name could add a line of its own; with facts the renderer does so."""
    text = str(event["event"])
    if not text.isprintable():
        event["event"] = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return event


def log_to(stream: TextIO = sys.stderr, *, log_format: str, level: str) -> logging.Handler:
    """Send this process's log to a stream: crosslook's from `level` on, of other libraries warnings.

    Returns:
        The handler, for whoever wants to take it away again.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter(log_format, colours=stream.isatty()))
    logging.getLogger().addHandler(handler)
    logging.getLogger("crosslook").setLevel(level.upper())
    return handler
