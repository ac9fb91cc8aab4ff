"""What uvicorn's protocol leaves open: what is no HTTP gets a problem document, and what does not arrive ends."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..problems import problem
from .headers import security_headers

ARRIVING = (h11.IDLE, h11.SEND_BODY)

logger = logging.getLogger("crosslook")


class Protocol(H11Protocol):
    """h11, which limits how long headers are, with a limit to how long a request takes to arrive."""

    seconds: ClassVar[float] = 60.0
    """For a request's head and body together, from the connection or the answer before."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Wait for a request, for so long."""
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more comes."""
        self._forget()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Look whether the request is there as a whole."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._watch()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  says no more than the status
        """Refuse what was sent, and close the connection: this comes before any request is made out."""
        self._refuse(400, "this is no HTTP request, or its address and headers are longer than 64 KB")

    def _watch(self) -> None:
        if self.conn.their_state not in ARRIVING or self.transport.is_closing():
            self._forget()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.seconds, self._late)

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        """Close the connection; say why, where there is a request and nothing was answered yet."""
        self._timer = None
        if self.transport.is_closing():
            return
        begun = self.conn.their_state is h11.SEND_BODY or bool(self.conn.trailing_data[0])
        if begun:
            logger.info("a request took longer than %g s to arrive", self.seconds)
        if begun and self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._refuse(408, f"the request took longer than {self.seconds:g} s to arrive")
        else:
            self.transport.close()
        if self.cycle is not None:  # a client that left, to whoever still waits for the body
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _refuse(self, status: int, detail: str) -> None:
        answer = problem(status, detail, security_headers("/v1") | {"Cache-Control": "no-store", "Connection": "close"})
        reason = HTTPStatus(status).phrase.encode()
        response = h11.Response(status_code=status, headers=answer.raw_headers, reason=reason)
        for event in (response, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


def limited(seconds: float) -> type[Protocol]:
    """The protocol with another limit."""
    return type("Limited", (Protocol,), {"seconds": seconds})
