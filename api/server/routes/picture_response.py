"""Pictures as responses: their media types, what a browser may cache, byte ranges.

A file is served as the format it had when it was indexed, not as its name says, and only while it still begins like
one: since then somebody may have put a web page, or a link to a private file, in its place.
"""

from __future__ import annotations

from pathlib import Path

from fastapi import Request
from fastapi.responses import FileResponse, Response
from starlette.exceptions import HTTPException
from starlette.responses import MalformedRangeHeader, RangeNotSatisfiable
from starlette.types import Receive, Scope, Send

from indexer.pictures.formats import FORMATS
from search.errors import ImageNotFoundError

from ..gate.head import ONLY

KEPT = "private, no-cache"
"""Cached by this client alone and revalidated each time: an image id means another image in another index, and two
indexes may be served at one address, one after the other.
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


def media_type(path: Path, kind: str, image_id: int) -> str:
    """What to serve an indexed image's file as.

    Args:
        path: the file.
        kind: the format it was indexed with.
        image_id: for the message, which tells no path.

    Raises:
        ImageNotFoundError: the file is gone, or no longer such a picture.
    """
    if not path.is_file():  # a pipe would never end
        raise ImageNotFoundError(f"the file of image {image_id} is gone; index its folder again")
    picture = FORMATS[kind]
    try:
        with path.open("rb") as file:
            begins = file.read(16)
    except OSError as exc:
        raise ImageNotFoundError(f"the file of image {image_id} cannot be read") from exc
    if picture.signature.match(begins) is None:
        raise ImageNotFoundError(f"the file of image {image_id} is another by now; index its folder again")
    return picture.media_type
