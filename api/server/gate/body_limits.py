"""How much clients may send: one in one request, and all of them together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from ..work.worker_pool import BusyError

SMALL = 1024**2
"""Bytes of a body that is no upload: it is read as a whole, and nothing else is done meanwhile."""

UPLOADS = 16
"""So many uploads of the largest size are held at a time, being sent or worked on; more would fill memory or disk."""

FORM = "multipart/form-data"


class BodyLimits:
    """Counts what arrives: a request need not tell its length, or tell it truly."""

    def __init__(self, largest: int) -> None:
        """Args: bytes of the largest body."""
        self._largest, self._room = largest, UPLOADS * largest

    def check(self, headers: Headers) -> None:
        """Refuse a body by what is said of it.

        Raises:
            HTTPException: status 400 where its end is not certain, 413 where it is too large.
        """
        length, coding = headers.get("content-length"), headers.getlist("transfer-encoding")
        if coding and (length is not None or coding != ["chunked"]):
            # Two servers in a row may each believe another one, and so take one request for two.
            detail = "send either Content-Length or Transfer-Encoding: chunked"
            raise HTTPException(400, detail, headers={"Connection": "close"})
        if length is not None and length.isdecimal() and (len(length) > 18 or int(length) > self._most(headers)):
            raise self._too_large(headers)

    @contextmanager
    def counted(self, headers: Headers, receive: Receive) -> Iterator[Receive]:
        """Count what is received until the request has been answered.

        What it gives raises:
            HTTPException: status 413 where it is more than one request may send, 503 where all together send too much.
        """
        most, received, held = self._most(headers), 0, 0

        async def counting() -> Message:
            nonlocal received, held
            message = await receive()
            size = len(message.get("body", b""))
            received += size
            if received > most:
                raise self._too_large(headers)
            if received > SMALL:
                self._room -= size
                held += size
                if self._room < 0:
                    busy = BusyError("uploads of other clients take all the room there is")
                    raise HTTPException(503, str(busy), {"Retry-After": str(busy.seconds)})
            return message

        try:
            yield counting
        finally:
            self._room += held

    def _most(self, headers: Headers) -> int:
        upload = headers.get("content-type", "").strip().lower().startswith(FORM)
        return self._largest if upload else min(SMALL, self._largest)

    def _too_large(self, headers: Headers) -> HTTPException:
        return HTTPException(413, f"the body is larger than the {self._most(headers):,} bytes that this server takes")
