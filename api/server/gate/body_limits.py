"""Limits on request bodies: of one request, and of all requests together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from ..work.worker_pool import BusyError

SMALL = 1024**2
"""Most bytes of a body that is not an upload: it is parsed on the event loop."""

UPLOADS = 16
"""Uploads of the largest size that are held at a time; more would fill memory or disk."""

FORM = "multipart/form-data"


class BodyLimits:
    """Counts received bytes, since a request may omit or misstate its length."""

    def __init__(self, largest: int) -> None:
        """Set the limits.

        Args:
            largest: bytes of the largest body.
        """
        self._largest, self._room = largest, UPLOADS * largest

    def check(self, headers: Headers) -> None:
        """Check a body's length by the request's headers.

        Raises:
            HTTPException: status 400 if the headers are ambiguous, 413 if the body is too large.
        """
        length, coding = headers.get("content-length"), headers.getlist("transfer-encoding")
        if coding and (length is not None or coding != ["chunked"]):
            # A proxy and this server might each believe a different one: request smuggling.
            detail = "Send either Content-Length or Transfer-Encoding: chunked."
            raise HTTPException(400, detail, headers={"Connection": "close"})
        if length is not None and length.isdecimal() and (len(length) > 18 or int(length) > self._most(headers)):
            raise self._too_large(headers)

    @contextmanager
    def counted(self, headers: Headers, receive: Receive) -> Iterator[Receive]:
        """Wrap `receive` to count a request's bytes until it has been answered.

        The wrapped `receive` raises HTTPException: status 413 if the body is too large, 503 if all uploads together
        are.
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
                    busy = BusyError("Too many uploads at once.")
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
        return HTTPException(413, f"The body is too large; the limit is {self._most(headers):,} bytes.")
