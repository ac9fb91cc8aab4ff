"""The web page at `/` and its files at `/static/`, read once on import; none of it is in OpenAPI.

A request's path is a key in a table and never reaches the file system. Starlette's `StaticFiles` is not used: its ETag
comes from size and modification time, which an update may leave unchanged, and is strong although the file is also
sent compressed; its media types depend on the machine; and Cache-Control and errors would need a subclass.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from ..gate.headers import PAGE, STATIC
from .picture_response import etag_matches, not_modified

MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
"""Media types by file extension; files with another extension are not served."""

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class PageFile:
    """A file of the page; `etag` is weak because the file is also sent compressed."""

    content: bytes
    media_type: str
    etag: str


def _read(folder: Traversable, prefix: str = "") -> dict[str, PageFile]:
    """Read the files of a folder and its subfolders, by their path within it."""
    files: dict[str, PageFile] = {}
    for entry in folder.iterdir():
        name = prefix + entry.name
        media_type = MEDIA_TYPES.get(entry.name.rpartition(".")[2])
        if entry.is_dir():
            files |= _read(entry, f"{name}/")
        elif media_type is not None:
            content = entry.read_bytes()
            files[name] = PageFile(content, media_type, f'W/"{hashlib.sha256(content).hexdigest()[:32]}"')
    return files


INDEX = "index.html"
FILES = _read(resources.files("api") / "web")


@router.get(PAGE)
async def page(request: Request) -> Response:
    """Serve the page."""
    return _response(request, FILES[INDEX])


@router.get(f"{STATIC}{{name:path}}")
async def page_file(request: Request, name: str) -> Response:
    """Serve a file that the page loads."""
    file = FILES.get(name)
    if file is None or name == INDEX:
        raise HTTPException(404, "the page has no such file")
    return _response(request, file)


def _response(request: Request, file: PageFile) -> Response:
    """Send a file that browsers cache but revalidate each time, so that an update never mixes old and new files."""
    headers = {"ETag": file.etag, "Cache-Control": "no-cache"}
    if etag_matches(request, file.etag.removeprefix("W/")):
        return not_modified(headers)
    return Response(file.content, media_type=file.media_type, headers=headers)
