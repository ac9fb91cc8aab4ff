"""A server that stops in time, whatever its threads do, with the exit status that docs/SERVING.md promises."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from types import FrameType

import uvicorn

GRACE_SECONDS = 5.0
"""For a job's commit, and for what has to be closed, beyond the time that requests have to end."""

logger = logging.getLogger("crosslook")


def exit_status(number: int) -> int:
    """The status of a process that a signal ended: 0 after SIGTERM, which is how a server is meant to end, else 130."""
    return 0 if number == signal.SIGTERM else 128 + number


class Server(uvicorn.Server):
    """Gives up requests that take too long, as uvicorn does, and does not wait for their threads either."""

    _number: int = signal.SIGTERM

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop serving; a second Ctrl-C ends the process at once."""
        if self.should_exit and sig == signal.SIGINT:
            _leave(exit_status(sig))
        self._number = sig
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the process within the time it has, whatever its threads do: what was committed is kept."""
        seconds = (self.config.timeout_graceful_shutdown or 0) + GRACE_SECONDS
        timer = threading.Timer(seconds, _leave, [exit_status(self._number)])
        timer.daemon = True
        timer.start()
        await super().shutdown(sockets)


def _leave(status: int) -> None:
    logger.warning("ended while something was still at work")
    os._exit(status)
