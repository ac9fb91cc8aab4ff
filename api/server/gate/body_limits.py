"""Limits on request bodies: per request, and on all uploads together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from ..work.worker_pool import BusyError

MAX_OTHER_BODY = 1024**2
"""Maximum bytes of a body that is not an upload: it is parsed on the event loop."""

MAX_LARGE_UPLOADS = 16
"""How many uploads of the maximum size may be held at a time; more would fill memory or disk."""

FORM = "multipart/form-data"


class BodyLimits:
    """Counts received bytes, since a request may omit or misstate its length."""

    def __init__(self, largest: int) -> None:
        """Create the limits.

        Args:
            largest: maximum bytes of an upload.
        """
        self._largest, self._free = largest, MAX_LARGE_UPLOADS * largest

    def check(self, headers: Headers) -> None:
        """Check a body's length by the request's headers.

        Raises:
            HTTPException: status 400 if the headers are ambiguous, 413 if the body is too large.
        """
        length, coding = headers.get("content-length"), headers.getlist("transfer-encoding")
        if coding and (length is not None or coding != ["chunked"]):
            # A proxy might trust one header and this server the other: request smuggling.
            detail = "Send either Content-Length or Transfer-Encoding: chunked."
            raise HTTPException(400, detail, headers={"Connection": "close"})
        if length is not None and length.isdecimal() and (len(length) > 18 or int(length) > self._limit(headers)):
            raise self._too_large(headers)

    @contextmanager
    def counted(self, headers: Headers, receive: Receive) -> Iterator[Receive]:
        """Wrap `receive` to count the bytes of a request; they are released when the context ends.

        The wrapped `receive` raises HTTPException: status 413 if the body is too large, 503 if all uploads together
        are.
        """
        limit, received, held = self._limit(headers), 0, 0

        async def counting() -> Message:
            nonlocal received, held
            message = await receive()
            size = len(message.get("body", b""))
            received += size
            if received > limit:
                raise self._too_large(headers)
            if received > MAX_OTHER_BODY:
                self._free -= size
                held += size
                if self._free < 0:
                    busy = BusyError("Too many uploads at once.")
                    raise HTTPException(503, str(busy), {"Retry-After": str(busy.seconds)})
            return message

        try:
            yield counting
        finally:
            self._free += held

    def _limit(self, headers: Headers) -> int:
        upload = headers.get("content-type", "").strip().lower().startswith(FORM)
        return self._largest if upload else min(MAX_OTHER_BODY, self._largest)

    def _too_large(self, headers: Headers) -> HTTPException:
        return HTTPException(413, f"The body is too large; the limit is {self._limit(headers):,} bytes.")
