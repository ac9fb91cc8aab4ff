"""What `crosslook index` says about a run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from indexer import IndexReport
from indexer.ingest.rules import describe

from .options import DEFAULT_INDEX
from .output import count_of, message, print_facts

SHOWN_FAILURES, SHOWN_NAMES = 10, 5


def report_json(report: IndexReport) -> dict[str, Any]:
    """Return a report as JSON types."""
    failed = [{"path": f.path, "reason": f.reason} for f in report.failed]
    return asdict(report) | {"failed": failed, "seconds": round(report.seconds, 3)}


def print_report(report: IndexReport, directory: Path, *, new: bool) -> None:
    """Print what a run did, and what to do next.

    Args:
        report: the run's report.
        directory: the index.
        new: whether the run made the index.
    """
    counts = {
        "new": report.added,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "duplicates": report.duplicates,
        "failed": len(report.failed),
        "missing": report.missing,
        "excluded": report.excluded,
        "forgotten": report.removed,
    }
    facts = {name: str(count) for name, count in counts.items() if count or name == "new"}
    if report.captions_added:
        facts["captions"] = str(report.captions_added)
    if report.records:
        facts["metadata"] = str(report.records)
    if report.completed:
        facts["caught up"] = str(report.completed)
    print_facts(facts)
    _print_failures(report)
    if report.excluded:
        message("Excluded images are hidden, and shown again when nothing excludes them any more.", style="dim")
    if report.duplicates:
        message("List the duplicates with: crosslook duplicates", style="dim")
    for root in report.away:
        message(
            f"{root} is missing or contains no images now. Its images are hidden until it is back. "
            f"If it is gone for good: crosslook forget {root}",
            style="yellow",
        )
    if left_out := describe(report.left_out):
        message(f"Left out: {left_out}", style="dim")
    done = report.added + report.updated + report.unchanged + report.duplicates + len(report.failed)
    files = f"{done:,} of {count_of(report.seen, 'file')}" if report.stopped else count_of(report.seen, "file")
    message(f"{files} in {report.seconds:.1f} s → {directory}", style="dim")
    if new and not report.stopped:
        option = "" if directory == DEFAULT_INDEX else f" --index {directory}"
        message(f'Now try: crosslook search "a dog in the snow"{option}', style="dim")


def _print_failures(report: IndexReport) -> None:
    """Print what could not be indexed or read, and the captions that match no image, as far as there is room."""
    for failure in report.failed[: -SHOWN_FAILURES - 1 : -1]:  # those of earlier runs come first in the report
        message(f"{failure.path}: {failure.reason}", style="yellow")
    if len(report.failed) > SHOWN_FAILURES:
        message(f"… and {len(report.failed) - SHOWN_FAILURES} more; --json lists them all", style="yellow")
    for note in report.notes[:SHOWN_FAILURES]:
        message(f"{note.path}: {note.reason}; it was indexed all the same", style="yellow")
    if len(report.notes) > SHOWN_FAILURES:
        more = len(report.notes) - SHOWN_FAILURES
        message(
            f"… and {more} more such notes, which are not kept; a run with --json lists all its own", style="yellow"
        )
    if report.captions_unmatched:
        names = ", ".join(report.unmatched_images[:SHOWN_NAMES])
        more_names = ", …" if len(report.unmatched_images) > SHOWN_NAMES else ""
        message(
            f"Captions of images that are not in the index: {report.captions_unmatched:,} ({names}{more_names})",
            style="yellow",
        )
