"""Hide the files that a scan did not list, or remove those that are gone for good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, Table, delete

from ..catalog import schema
from ..catalog.catalog import Catalog
from ..catalog.contents import recorded_failures
from ..catalog.images import forget_aliases, forget_images, mark_missing, orphaned_images
from ..catalog.records import FailureRecord, LocationRecord, chunks
from .annotations import annotate
from .roots import Survey
from .scan import ImageFile
from .writing import IndexReport


def hide_missing(
    catalog: Catalog,
    files: Sequence[ImageFile],
    known: Mapping[str, LocationRecord],
    survey: Survey,
    report: IndexReport,
    *,
    prune: bool,
) -> set[int]:
    """Hide the files that are missing, excluded or unreadable; with `prune`, remove those that are gone for good.

    A path that turned out to be another name of a listed file is removed.

    Args:
        catalog: an open index.
        files: the files that were listed.
        known: the catalog's files by path, before the run.
        survey: what the scan says about the others.
        report: receives the counts.
        prune: whether to remove files.

    Returns:
        The ids of the images of which a file was hidden or removed. Those that are left have been annotated anew, in
        the same transaction.
    """
    absent = [record for path, record in known.items() if survey.is_missing(path)]
    aliases = {record.path for record in absent if survey.is_alias(record.path)}
    lost = {record.path for record in absent if survey.is_lost(record.path)}
    excluded = {record.path for record in absent if survey.is_excluded(record.path)} - lost - aliases
    missing = [record for record in absent if record.path not in excluded | aliases]
    failures = recorded_failures(catalog)
    unreadable = _unreadable(failures, files, known)
    obsolete = [failure.path for failure in failures if _is_obsolete(failure.path, survey)]
    report.missing, report.excluded = len(missing), len(excluded)
    away = {survey.owner(record.path) or "" for record in missing if record.path not in lost}
    report.away = sorted(away & survey.roots)
    if not (absent or unreadable or obsolete):
        return set()
    with catalog.transaction() as connection:
        removed = aliases - set(forget_aliases(connection, sorted(aliases)))
        if prune:
            removed |= lost | {record.path for record in unreadable}
            delete_rows(connection, schema.location, sorted(removed - aliases))
            delete_rows(connection, schema.root, sorted(lost & survey.roots))
            report.removed = len(forget_images(connection, orphaned_images(connection)))
        changed = {record.image_id for record in absent + unreadable if record.path in removed}
        hidden = [record for record in absent + unreadable if record.path not in removed]
        now = datetime.now(UTC).isoformat(timespec="seconds")
        for out in (False, True):  # unless they are hidden for this reason already
            records = [r for r in hidden if (r.path in excluded) is out and (r.missing, r.excluded) != (True, out)]
            mark_missing(connection, [record.path for record in records], now, excluded=out)
            changed.update(record.image_id for record in records)
        delete_rows(connection, schema.failure, obsolete)
        annotate(connection, sorted(changed))
    return changed


def delete_rows(connection: Connection, table: Table, paths: Sequence[str]) -> None:
    """Delete the rows of a table for some paths."""
    for part in chunks(paths):
        connection.execute(delete(table).where(table.c.path.in_(part)))


def _is_obsolete(path: str, survey: Survey) -> bool:
    """Whether a failure concerns a file that is gone, or no longer listed."""
    return survey.is_missing(path) and (survey.is_lost(path) or survey.is_excluded(path) or survey.is_alias(path))


def _unreadable(
    failures: Sequence[FailureRecord], files: Sequence[ImageFile], known: Mapping[str, LocationRecord]
) -> list[LocationRecord]:
    """The indexed files that were overwritten with something that is not an image.

    This excludes files that the system refused to read: their failures have no modification time.
    """
    present = {file.path: (file.size, file.mtime_ns) for file in files}
    return [
        known[failure.path]
        for failure in failures
        if failure.path in known and present.get(failure.path) == (failure.size, failure.mtime_ns)
    ]
