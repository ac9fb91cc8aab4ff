"""Indexing jobs started by clients: one at a time, in a thread, over the configured folders only.

A job has its own catalog and shares the engine's model, so searches continue and see each batch once it is committed.
The index lock excludes other processes.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from encoders import EncodersError
from indexer import Catalog, IndexerError, IndexReport, index_paths
from search import SearchEngine

from ...errors import ApiError
from .roots import Root, locate, redact_paths, roots_of

MAX_JOBS = 100
MAX_FAILURES = 1000

logger = logging.getLogger("crosslook.jobs")


class IndexingError(ApiError):
    """Another job is running."""

    def __init__(self, running: Job) -> None:
        super().__init__(f"Job {running.id} is already indexing. Wait until it ends, or cancel it.")
        self.running = running


class UnknownRootError(ApiError):
    """A requested root is not configured, or none is."""


class UnknownJobError(ApiError):
    """No job has this id, or it is no longer remembered."""


class State(StrEnum):
    """State of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class FailedFile:
    """A file that could not be indexed: its root, its path relative to that, and the reason."""

    root: str | None
    path: str
    reason: str


@dataclass(frozen=True)
class JobProgress:
    """Progress of a job; `rate` is items per second in this phase. Immutable, so readers never see a partial update."""

    phase: str | None = None
    done: int = 0
    total: int | None = None
    rate: float | None = None

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds left in this phase."""
        return max(0, self.total - self.done) / self.rate if self.rate and self.total is not None else None


@dataclass
class Job:
    """An indexing job. Only its own thread writes to it."""

    roots: tuple[Root, ...]
    prune: bool
    clock: Callable[[], float] = time.monotonic
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    state: State = State.QUEUED
    progress: JobProgress = JobProgress()
    started: datetime | None = None
    ended: datetime | None = None
    report: IndexReport | None = None
    failures: tuple[FailedFile, ...] = ()
    reason: str | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    _phase_start: tuple[float, int] = (0.0, 0)

    @property
    def active(self) -> bool:
        """Whether the job is queued or running."""
        return self.state in (State.QUEUED, State.RUNNING)

    def begin(self) -> None:
        """Mark the job as running, in phase `scan`."""
        self.progress, self.started = JobProgress("scan"), datetime.now(UTC)
        self.state = State.RUNNING

    def advance(self, phase: str, done: int, total: int) -> None:
        """Update the progress and the rate of this phase."""
        now, rate = self.clock(), None
        if phase != self.progress.phase:
            self._phase_start = (now, done)
        start, done_at_start = self._phase_start
        if done > done_at_start and now > start:
            rate = (done - done_at_start) / (now - start)
        self.progress = JobProgress(phase, done, total, rate)

    def end(self, state: State, reason: str | None = None) -> None:
        """Record how the job ended."""
        self.ended, self.reason = datetime.now(UTC), reason
        self.state = state  # last: readers of an ended job see the other fields


class Jobs:
    """The jobs of one server; the last hundred are remembered."""

    def __init__(self, engine: SearchEngine, folders: Sequence[Path]) -> None:
        self.roots = roots_of(folders)
        self._engine = engine
        self._index = Path(os.path.abspath(engine.catalog.directory))
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def running(self) -> Job | None:
        """The queued or running job, if any."""
        with self._lock:
            last = next(reversed(self._jobs.values()), None)
        return last if last is not None and last.active else None

    def start(self, roots: Sequence[str] | None, *, prune: bool = False) -> Job:
        """Start indexing some roots, or all.

        Raises:
            UnknownRootError: a root id is unknown, or no root is configured.
            IndexingError: another job is running.
        """
        selected = self._select_roots(roots)
        with self._lock:
            if self.running is not None:
                raise IndexingError(self.running)
            job = Job(selected, prune)
            self._jobs[job.id] = job
            if len(self._jobs) > MAX_JOBS:
                self._jobs.popitem(last=False)
            if self._closed:
                job.stop.set()
            self._thread = threading.Thread(target=self._run, args=(job,), name="indexing", daemon=True)
            self._thread.start()
        return job

    def get(self, job_id: str) -> Job:
        """A job by its id.

        Raises:
            UnknownJobError: no remembered job has this id.
        """
        with self._lock:
            if job_id not in self._jobs:
                raise UnknownJobError(f"No job has this id among the last {MAX_JOBS}. See /v1/jobs.")
            return self._jobs[job_id]

    def all(self) -> list[Job]:
        """All remembered jobs, latest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    def close(self) -> None:
        """Cancel the running job, and wait until it has committed its batch."""
        with self._lock:
            self._closed = True
            thread, job = self._thread, self.running
        if job is not None:
            job.stop.set()
        if thread is not None:
            thread.join()

    def _select_roots(self, ids: Sequence[str] | None) -> tuple[Root, ...]:
        if not self.roots:
            raise UnknownRootError("This server has no folders to index. Its operator can set `roots`.")
        for root_id in ids or ():
            if root_id not in self.roots:
                raise UnknownRootError("No such root. See /v1/roots for the ids.")
        return tuple(root for root in self.roots.values() if ids is None or root.id in ids)

    def _run(self, job: Job) -> None:
        """Run a job in its thread. It must always end, or no other could start."""
        job.begin()
        logger.info("indexing started", extra={"job": job.id})
        try:
            job.end(self._index_into(job))
        except (IndexerError, EncodersError) as exc:
            job.end(State.FAILED, redact_paths(str(exc), self._index, job.roots))
            logger.error("indexing failed: %s", exc, extra={"job": job.id})  # noqa: TRY400  expected: no traceback
        except Exception:
            job.end(State.FAILED, "Internal error. Search the server log for this job id.")
            logger.exception("indexing failed", extra={"job": job.id})
        else:
            logger.info("indexing ended", extra={"job": job.id, "state": job.state.value})

    def _index_into(self, job: Job) -> State:
        if job.stop.is_set():
            return State.CANCELLED
        encoder = self._engine.encoder
        paths = [root.path for root in job.roots]
        with Catalog.open(self._index) as catalog:
            report = index_paths(catalog, encoder, paths, prune=job.prune, progress=job.advance, stop=job.stop)
        job.report = report
        failed = ((locate(f.path, job.roots), f.reason) for f in report.failed[:MAX_FAILURES])
        job.failures = tuple(
            FailedFile(root, path, redact_paths(reason, self._index, job.roots)) for (root, path), reason in failed
        )
        return State.CANCELLED if report.stopped else State.DONE
