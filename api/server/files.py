"""Answers that are pictures: what a browser may keep of them, and whether it has them already."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import FileResponse, Response
from starlette.exceptions import HTTPException
from starlette.responses import MalformedRangeHeader, RangeNotSatisfiable
from starlette.types import Receive, Scope, Send

from .head import ONLY

KEPT = "private, no-cache"
"""Kept by this client alone, which asks each time whether it is still so: an id means another image in another index,
and two indexes may be served at one address, one after the other.
"""


def known(request: Request, etag: str) -> bool:
    """Whether the client has it, by its `If-None-Match`. Source: RFC 9110, section 13.1.2."""
    given = request.headers.get("if-none-match", "")
    tags = [tag.strip().removeprefix("W/") for tag in given.split(",")]
    return "*" in tags or etag in tags


def not_modified(headers: dict[str, str]) -> Response:
    """Status 304: what the client has is still so."""
    return Response(status_code=304, headers=headers)


class PictureFile(FileResponse):
    """A file whose ranges may be asked for; one that makes no sense is passed over, as RFC 9110 has it (14.2)."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; to HEAD the headers alone, and the file is not read."""
        await super().__call__({**scope, "method": "HEAD"} if scope.get(ONLY) else scope, receive, send)

    @classmethod
    def _parse_range_header(cls, http_range: str, file_size: int) -> list[tuple[int, int]]:
        try:
            return super()._parse_range_header(http_range, file_size)
        except MalformedRangeHeader:
            return []
        except RangeNotSatisfiable as exc:
            told = {"Content-Range": f"bytes */{exc.max_size}"}
            raise HTTPException(416, f"the file has {exc.max_size} bytes; ask for some of those", told) from exc
