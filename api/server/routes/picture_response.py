"""Image file responses: media type, caching, byte ranges.

A file is served with the media type of its format at indexing time, whatever its name, and only while its first bytes
still match that format: it may have been replaced by a web page or a link to a private file since.
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

from ..gate.head import HEADERS_ONLY

CACHE_CONTROL = "private, no-cache"
"""Clients revalidate a cached picture each time: another index at the same address has other images under these ids."""


def etag_matches(request: Request, etag: str) -> bool:
    """Whether `If-None-Match` lists this ETag. Source: RFC 9110, section 13.1.2."""
    value = request.headers.get("if-none-match", "")
    tags = [tag.strip().removeprefix("W/") for tag in value.split(",")]
    return "*" in tags or etag in tags


def not_modified(headers: dict[str, str]) -> Response:
    """A 304 response."""
    return Response(status_code=304, headers=headers)


class PictureFile(FileResponse):
    """A file response with byte ranges; a malformed `Range` is ignored (RFC 9110, section 14.2)."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file; for HEAD only the headers, without reading the file."""
        await super().__call__({**scope, "method": "HEAD"} if scope.get(HEADERS_ONLY) else scope, receive, send)

    @classmethod
    def _parse_range_header(cls, http_range: str, file_size: int) -> list[tuple[int, int]]:
        try:
            return super()._parse_range_header(http_range, file_size)
        except MalformedRangeHeader:
            return []
        except RangeNotSatisfiable as exc:
            headers = {"Content-Range": f"bytes */{exc.max_size}"}
            raise HTTPException(416, f"Range not satisfiable; the file has {exc.max_size} bytes.", headers) from exc


def media_type(path: Path, kind: str, image_id: int) -> str:
    """The media type of an indexed image's file.

    Args:
        path: the file.
        kind: its format at indexing time.
        image_id: for the error message, which must not contain the path.

    Raises:
        ImageNotFoundError: the file is gone, or no longer of this format.
    """
    if not path.is_file():  # reading a pipe would never end
        raise ImageNotFoundError(f"the file of image {image_id} is gone; index its folder again")
    picture = FORMATS[kind]
    try:
        with path.open("rb") as file:
            first_bytes = file.read(16)
    except OSError as exc:
        raise ImageNotFoundError(f"the file of image {image_id} cannot be read") from exc
    if picture.signature.match(first_bytes) is None:
        raise ImageNotFoundError(f"the file of image {image_id} was replaced; index its folder again")
    return picture.media_type
