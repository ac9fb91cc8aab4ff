"""Terminal output: results go to stdout, everything else to stderr."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as ProgressBars
from rich.table import Table
from rich.text import Text

from .streams import is_unicode

if TYPE_CHECKING:  # not imported for a message
    from encoders.progress import Progress
    from search import CaptionHit, Hit

BAR_CELLS = 10
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_GREEN, _YELLOW = 0.5, 0.2  # match probabilities from which a bar has this colour
PIPE_WIDTH = 1000  # columns: piped output is never wrapped

LINE_SECONDS = 10.0
"""Interval of progress lines when stderr is not a terminal."""


def print_table(table: Table) -> None:
    """Print a table on stdout, as wide as the terminal; in a pipe unwrapped and without trailing spaces."""
    if sys.stdout.isatty():
        Console(highlight=False).print(table)
        return
    console = Console(width=PIPE_WIDTH, highlight=False)
    with console.capture() as captured:
        console.print(table)
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def message(text: str, *, style: str = "") -> None:
    """Print a message on stderr, without wrapping or markup."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text(text, style=style))


def count_of(count: int, noun: str) -> str:
    """Write a count and its noun: "1 file", "1,001 files"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def print_json(document: Any) -> None:  # noqa: ANN401  any JSON
    """Print a JSON document on stdout; in ASCII if it cannot hold any character."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=not is_unicode()) + "\n")


class _Rate(ProgressColumn):
    """Items per second."""

    def render(self, task: Task) -> Text:
        """The rate; empty while unknown."""
        return Text("" if task.speed is None else f"{task.speed:.1f}/s", style="progress.data.speed")


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Progress]:
    """Show a progress bar per phase on stderr; if stderr is not a terminal, a line every `LINE_SECONDS`."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    last_line = time.monotonic()
    with ProgressBars(*columns, console=console, disable=quiet or not console.is_terminal) as bars:

        def advance(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(phase, total=total)
            bars.update(tasks[phase], completed=done, total=total)
            nonlocal last_line
            if bars.disable and not quiet and time.monotonic() - last_line >= LINE_SECONDS:
                last_line = time.monotonic()
                message(f"{phase}: {done:,} of {total:,}")

        yield advance


def print_hits(hits: Sequence[Hit], timings_ms: dict[str, float]) -> None:
    """Print image hits as a table, with paths as terminal links."""
    if not hits:
        message("No matching images.", style="yellow")
        return
    table = columns()
    for hit in hits:
        table.add_row(str(hit.rank), *_score(hit.score, hit.match_probability), path_link(hit.path) + _words(hit))
    print_table(table)
    _timings(len(hits), timings_ms)


def print_captions(hits: Sequence[CaptionHit], timings_ms: dict[str, float]) -> None:
    """Print caption hits as a table."""
    if not hits:
        message("No matching captions.", style="yellow")
        return
    table = columns()
    for hit in hits:
        source = Text(f" ({hit.source})", style="dim")
        table.add_row(str(hit.rank), *_score(hit.score, hit.match_probability), Text(hit.text) + source)
    print_table(table)
    _timings(len(hits), timings_ms)


def print_facts(facts: dict[str, str]) -> None:
    """Print names and values as a table."""
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        table.add_row(Text(name, style="dim"), Text(value))
    print_table(table)


def bar(share: float) -> str:
    """A bar of `BAR_CELLS` cells for a share in [0, 1], drawn to an eighth of a cell."""
    eighths = round(min(max(share, 0.0), 1.0) * BAR_CELLS * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(BAR_CELLS)


def size(count: float) -> str:
    """A human-readable size in bytes, decimal units."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def columns() -> Table:
    """A table of four columns: a rank or kind, two figures or a bar, and text that folds."""
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style="dim")
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _score(score: float, probability: float | None) -> tuple[Text, Text]:
    """The bar and the number of a hit: its match probability, or the cosine if there was no reranking."""
    if probability is None:
        return Text(bar(score), style="cyan"), Text(f"{score:.3f}")
    style = "green" if probability >= _GREEN else "yellow" if probability >= _YELLOW else "red"
    return Text(bar(probability), style=style), Text(f"{probability:.1%}")


def path_link(path: Path | None) -> Text:
    """A path as a link, relative where that is shorter."""
    if path is None:
        return Text("missing", style="dim")
    try:
        shown = min(str(path), os.path.relpath(path), key=len)
    except ValueError:  # another drive
        shown = str(path)
    return Text(_printable(shown), style=f"link {path.as_uri()}")


def _words(hit: Hit) -> Text:
    """The query words that a hit matched, and where."""
    sources = ", ".join(source for source in hit.sources if source != "vector")
    return Text(f" ({sources}: {_printable(', '.join(hit.matched))})" if hit.matched else "", style="dim")


def _printable(text: str) -> str:
    """Replace control characters, which a terminal would interpret, and undecodable bytes of file names."""
    return "".join(c if c.isprintable() else "�" for c in text)


def _timings(count: int, timings_ms: dict[str, float]) -> None:
    stages = " · ".join(f"{name} {value:.0f}" for name, value in timings_ms.items() if name != "total")
    message(f"{count} in {timings_ms['total']:.0f} ms ({stages})", style="dim")
