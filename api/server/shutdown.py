"""Shutdown within a time limit, whatever the threads do, with the exit statuses of docs/SERVING.md."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from types import FrameType
from typing import NoReturn

import uvicorn

GRACE_SECONDS = 5.0
"""Time to commit a job's batch and close resources, after the time that requests have to finish."""

logger = logging.getLogger("crosslook")


def exit_status(number: int) -> int:
    """The exit status after a signal: 0 for SIGTERM, the regular way to stop a server, else 128 plus its number."""
    return 0 if number == signal.SIGTERM else 128 + number


def exit_on_signal(number: int, _frame: FrameType | None) -> NoReturn:
    """Exit by an exception, so that context managers close the engine; the default handler would kill the process."""
    sys.exit(exit_status(number))


class Server(uvicorn.Server):
    """A uvicorn server that does not wait for the threads of cancelled requests."""

    _signal: int = signal.SIGTERM

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop serving; a second Ctrl-C exits at once."""
        if self.should_exit and sig == signal.SIGINT:
            _exit_now(exit_status(sig))
        self._signal = sig
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Shut down, and exit when the time limit is reached; committed work is kept."""
        seconds = (self.config.timeout_graceful_shutdown or 0) + GRACE_SECONDS
        timer = threading.Timer(seconds, _exit_now, [exit_status(self._signal)])
        timer.daemon = True
        timer.start()
        await super().shutdown(sockets)


def _exit_now(status: int) -> None:
    logger.warning("exited while work was still in progress")
    os._exit(status)
