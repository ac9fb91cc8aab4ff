"""Indexing at a client's wish: one run at a time, in a thread of its own, over configured folders alone.

A run has its own catalog and shares the engine's model, so searches go on meanwhile and see each batch as it is
committed. Other processes are kept away by the index's own lock, as always.
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

from .roots import Root, place, roots_of, without_paths

REMEMBERED = 100
SHOWN_FAILURES = 1000

logger = logging.getLogger("crosslook.jobs")


class IndexingError(Exception):
    """A job runs already; it is named."""

    def __init__(self, running: Job) -> None:
        super().__init__(f"job {running.id} is indexing; wait until it has ended, or cancel it")
        self.running = running


class UnknownRootError(Exception):
    """A root that is not configured was asked for, or none is."""


class UnknownJobError(Exception):
    """No such job, or one that ended so long ago that it is forgotten."""


class State(StrEnum):
    """How far a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class FailedFile:
    """A file that could not be indexed: its root, its place below that, and why."""

    root: str | None
    path: str
    reason: str


@dataclass(frozen=True)
class JobProgress:
    """How far a job is; `rate` counts items a second of this phase. Replaced whole, so readers see no half of it."""

    phase: str | None = None
    done: int = 0
    total: int | None = None
    rate: float | None = None

    @property
    def seconds_left(self) -> float | None:
        """In this phase, at this rate."""
        return max(0, self.total - self.done) / self.rate if self.rate and self.total is not None else None


@dataclass
class Job:
    """An indexing run. Its own thread alone writes to it."""

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
    _began: tuple[float, int] = (0.0, 0)

    @property
    def active(self) -> bool:
        """Whether it has not ended."""
        return self.state in (State.QUEUED, State.RUNNING)

    def begin(self) -> None:
        """The thread has started; first comes the walk through the folders."""
        self.progress, self.started = JobProgress("scan"), datetime.now(UTC)
        self.state = State.RUNNING

    def advance(self, phase: str, done: int, total: int) -> None:
        """Update the progress, and the rate within this phase."""
        now, rate = self.clock(), None
        if phase != self.progress.phase:
            self._began = (now, done)
        since, first = self._began
        if done > first and now > since:
            rate = (done - first) / (now - since)
        self.progress = JobProgress(phase, done, total, rate)

    def end(self, state: State, reason: str | None = None) -> None:
        """Note how the run ended."""
        self.ended, self.reason = datetime.now(UTC), reason
        self.state = state  # last: who sees that it has ended sees the rest


class Jobs:
    """The jobs of one server, the last hundred of them remembered."""

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
        """The job that has not ended, if there is one."""
        with self._lock:
            last = next(reversed(self._jobs.values()), None)
        return last if last is not None and last.active else None

    def start(self, roots: Sequence[str] | None, *, prune: bool = False) -> Job:
        """Begin to index some roots, or all.

        Raises:
            UnknownRootError: no root has one of these ids, or none is configured.
            IndexingError: another job runs.
        """
        chosen = self._chosen(roots)
        with self._lock:
            if self.running is not None:
                raise IndexingError(self.running)
            job = Job(chosen, prune)
            self._jobs[job.id] = job
            if len(self._jobs) > REMEMBERED:
                self._jobs.popitem(last=False)
            if self._closed:
                job.stop.set()
            self._thread = threading.Thread(target=self._run, args=(job,), name="indexing", daemon=True)
            self._thread.start()
        return job

    def get(self, job_id: str) -> Job:
        """A job by its id.

        Raises:
            UnknownJobError: there is none.
        """
        with self._lock:
            if job_id not in self._jobs:
                raise UnknownJobError(f"no job has this id, or it is not among the last {REMEMBERED}; see /v1/jobs")
            return self._jobs[job_id]

    def all(self) -> list[Job]:
        """The jobs, the latest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    def close(self) -> None:
        """Cancel what runs, and wait until it has committed its batch."""
        with self._lock:
            self._closed = True
            thread, job = self._thread, self.running
        if job is not None:
            job.stop.set()
        if thread is not None:
            thread.join()

    def _chosen(self, ids: Sequence[str] | None) -> tuple[Root, ...]:
        if not self.roots:
            raise UnknownRootError("this server has no folders that it may index; whoever runs it can set `roots`")
        for number in ids or ():
            if number not in self.roots:
                raise UnknownRootError("there is no such root; their ids are at /v1/roots")
        return tuple(root for root in self.roots.values() if ids is None or root.id in ids)

    def _run(self, job: Job) -> None:
        """In the thread: nothing may leave a job unended, for no other could begin."""
        job.begin()
        logger.info("indexing started", extra={"job": job.id})
        try:
            job.end(self._index_into(job))
        except (IndexerError, EncodersError) as exc:
            job.end(State.FAILED, without_paths(str(exc), self._index, job.roots))
            logger.error("indexing failed: %s", exc, extra={"job": job.id})  # noqa: TRY400  foreseen: no traceback
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
        failed = ((place(f.path, job.roots), f.reason) for f in report.failed[:SHOWN_FAILURES])
        job.failures = tuple(
            FailedFile(root, path, without_paths(reason, self._index, job.roots)) for (root, path), reason in failed
        )
        return State.CANCELLED if report.stopped else State.DONE
