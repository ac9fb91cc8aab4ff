"""Runs blocking work in threads, with a bounded queue.

A full queue refuses requests at once, with `Retry-After`: clients that wait too long give up and retry, which loads
the server further.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import anyio
from anyio.to_thread import run_sync
from fastapi import Request
from starlette.exceptions import HTTPException

from ...errors import ApiError

RETRY_SECONDS = 1

R = TypeVar("R")


class BusyError(ApiError):
    """The server is too busy; the message says why and when to retry."""

    def __init__(self, reason: str = "Too many requests are waiting.", seconds: int = RETRY_SECONDS) -> None:
        super().__init__(f"{reason} Retry in {seconds} s.")
        self.seconds = seconds


class GoneError(ApiError):
    """The client disconnected before the response."""


class WorkerPool:
    """Worker threads shared by all requests, and the queue for them."""

    def __init__(self, threads: int, waiting: int, observe: Callable[[object], None] = lambda _: None) -> None:
        """Create an idle pool.

        Args:
            threads: how many requests run at once.
            waiting: how many more may wait.
            observe: called with every result.
        """
        self._threads, self._capacity = threads, threads + waiting
        self._observe = observe
        self._limiter: anyio.CapacityLimiter | None = None
        self.accepted = 0

    @property
    def waiting(self) -> int:
        """Number of requests waiting for a thread."""
        return max(0, self.accepted - self._threads)

    async def run(self, request: Request, function: Callable[[], R]) -> R:
        """Run a function in a thread, unless the client disconnects before its turn.

        Raises:
            BusyError: the queue is full.
            GoneError: the client disconnected.
        """
        if self.accepted >= self._capacity:
            raise BusyError
        if self._limiter is None:  # created here because it belongs to the running event loop
            self._limiter = anyio.CapacityLimiter(self._threads)
        self.accepted += 1
        try:
            return await self._run_while_connected(request, function, self._limiter)
        finally:
            self.accepted -= 1

    async def _run_while_connected(
        self, request: Request, function: Callable[[], R], limiter: anyio.CapacityLimiter
    ) -> R:
        outcome: list[R] = []
        error: list[Exception] = []

        async def work() -> None:
            try:
                outcome.append(await run_sync(function, limiter=limiter))
            except Exception as exc:  # noqa: BLE001  raised below, outside the task group
                error.append(exc)
            group.cancel_scope.cancel()

        async def watch() -> None:
            try:
                while (await request.receive())["type"] != "http.disconnect":
                    pass
            except HTTPException as exc:  # from the guard: an unread body exceeds the limit
                error.append(exc)
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(work)
            group.start_soon(watch)
        if error:
            raise error[0]
        if not outcome:
            raise GoneError
        self._observe(outcome[0])
        return outcome[0]
