"""A server that ends in time, whatever its threads do."""

from __future__ import annotations

import logging
import os
import socket
import threading

import uvicorn

GRACE_SECONDS = 5.0
"""For a job's commit, and for what has to be closed, beyond the time that requests have to end."""

logger = logging.getLogger("crosslook")


class Server(uvicorn.Server):
    """uvicorn's own gives up requests that take too long, but then waits for their threads, which nobody can stop."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the process, if need be, where it stands: what was committed is kept."""
        seconds = (self.config.timeout_graceful_shutdown or 0) + GRACE_SECONDS
        timer = threading.Timer(seconds, _leave)
        timer.daemon = True
        timer.start()
        await super().shutdown(sockets)


def _leave() -> None:
    logger.warning("ended while something was still at work")
    os._exit(0)
