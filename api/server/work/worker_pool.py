"""Blocking work in threads: so many at once, a few more that wait, and beyond that a plain refusal.

The event loop never blocks, and never promises what it cannot keep: who waits too long goes away and asks again, which
makes an overloaded server slower still. So a full server says at once when to come back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import anyio
from anyio.to_thread import run_sync
from fastapi import Request
from starlette.exceptions import HTTPException

RETRY_SECONDS = 1

R = TypeVar("R")


class BusyError(Exception):
    """There is no room for a request now; says why, and after how many seconds to ask again."""

    def __init__(self, why: str = "as many requests wait as may", seconds: int = RETRY_SECONDS) -> None:
        super().__init__(f"{why}; ask again in {seconds} s")
        self.seconds = seconds


class GoneError(Exception):
    """The client went away before it was answered."""


class WorkerPool:
    """Threads that requests share, and who waits for one."""

    def __init__(self, threads: int, waiting: int, observe: Callable[[object], None] = lambda _: None) -> None:
        """Args: how many work and wait, and who is told of every outcome."""
        self._threads, self._most = threads, threads + waiting
        self._observe = observe
        self._limiter: anyio.CapacityLimiter | None = None
        self.accepted = 0

    @property
    def waiting(self) -> int:
        """Requests that wait for a thread."""
        return max(0, self.accepted - self._threads)

    async def run(self, request: Request, function: Callable[[], R]) -> R:
        """Run a function in a thread, and give up where its client goes away before it is its turn.

        Raises:
            BusyError: as many requests wait as may.
            GoneError: the client went away.
        """
        if self.accepted >= self._most:
            raise BusyError
        if self._limiter is None:  # belongs to the loop that serves
            self._limiter = anyio.CapacityLimiter(self._threads)
        self.accepted += 1
        try:
            return await self._unless_gone(request, function, self._limiter)
        finally:
            self.accepted -= 1

    async def _unless_gone(self, request: Request, function: Callable[[], R], limiter: anyio.CapacityLimiter) -> R:
        outcome: list[R] = []
        error: list[Exception] = []

        async def work() -> None:
            try:
                outcome.append(await run_sync(function, limiter=limiter))
            except Exception as exc:  # noqa: BLE001  raised below, without the group around it
                error.append(exc)
            group.cancel_scope.cancel()

        async def watch() -> None:
            try:
                while (await request.receive())["type"] != "http.disconnect":
                    pass
            except HTTPException as exc:  # the guard: a body that nobody reads is larger than it takes
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
