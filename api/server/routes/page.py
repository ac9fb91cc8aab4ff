"""The web page at `/`, and what it is made of at `/static/`.

All of it is read once, when this module is loaded, and found by its name in a table: no path from a request reaches
the file system. Nothing here is part of the API, so nothing is in OpenAPI.
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
from .picture_response import known, not_modified

KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
"""Files that are served, by how their names end."""

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class PageFile:
    """A file of the page; `etag` is weak, for it goes out compressed as well."""

    content: bytes
    kind: str
    etag: str


def _read(folder: Traversable, before: str = "") -> dict[str, PageFile]:
    """The files of a folder and of those in it, by their names within it."""
    found: dict[str, PageFile] = {}
    for entry in folder.iterdir():
        name = before + entry.name
        kind = KINDS.get(entry.name.rpartition(".")[2])
        if entry.is_dir():
            found |= _read(entry, f"{name}/")
        elif kind is not None:
            content = entry.read_bytes()
            found[name] = PageFile(content, kind, f'W/"{hashlib.sha256(content).hexdigest()[:32]}"')
    return found


INDEX = "index.html"
FILES = _read(resources.files("api") / "web")


@router.get(PAGE)
async def page(request: Request) -> Response:
    """The page."""
    return _answer(request, FILES[INDEX])


@router.get(f"{STATIC}{{name:path}}")
async def page_file(request: Request, name: str) -> Response:
    """A file that the page is made of."""
    found = FILES.get(name)
    if found is None or name == INDEX:
        raise HTTPException(404, "the page has no such file")
    return _answer(request, found)


def _answer(request: Request, file: PageFile) -> Response:
    """Browsers keep it, and ask each time whether it is still so: after an update nobody sees half of the old page."""
    headers = {"ETag": file.etag, "Cache-Control": "no-cache"}
    if known(request, file.etag.removeprefix("W/")):
        return not_modified(headers)
    return Response(file.content, media_type=file.kind, headers=headers)
