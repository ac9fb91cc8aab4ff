"""uvicorn's protocol with a receive timeout, and with problem documents for malformed requests."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..problems import problem
from .headers import security_headers

RECEIVING = (h11.IDLE, h11.SEND_BODY)

logger = logging.getLogger("crosslook")


class Protocol(H11Protocol):
    """The h11 protocol with a time limit for receiving a request."""

    seconds: ClassVar[float] = 60.0
    """Limit for head and body together, counted from the connection or the previous response."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's signature
        """Start the timeout for the first request."""
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timeout."""
        self._cancel_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Cancel the timeout once the request is complete."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Start the timeout for the next request."""
        super().on_response_complete()
        self._watch()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  says no more than the status
        """Refuse input that cannot be parsed as a request, and close the connection."""
        self._refuse(400, "Not a valid HTTP request, or its URL and headers exceed 64 KB.")

    def _watch(self) -> None:
        if self.conn.their_state not in RECEIVING or self.transport.is_closing():
            self._cancel_timer()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.seconds, self._time_out)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_out(self) -> None:
        """Close the connection, with status 408 if a request has begun and its response has not."""
        self._timer = None
        if self.transport.is_closing():
            return
        begun = self.conn.their_state is h11.SEND_BODY or bool(self.conn.trailing_data[0])
        if begun:
            logger.info("a request took longer than %g s to arrive", self.seconds)
        if begun and self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._refuse(408, f"The request took longer than {self.seconds:g} s to arrive.")
        else:
            self.transport.close()
        if self.cycle is not None:  # wakes a handler that is still waiting for the body
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _refuse(self, status: int, detail: str) -> None:
        answer = problem(status, detail, security_headers("/v1") | {"Cache-Control": "no-store", "Connection": "close"})
        reason = HTTPStatus(status).phrase.encode()
        response = h11.Response(status_code=status, headers=answer.raw_headers, reason=reason)
        for event in (response, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


def protocol_with_timeout(seconds: float) -> type[Protocol]:
    """A protocol class with this time limit."""
    return type("Limited", (Protocol,), {"seconds": seconds})
