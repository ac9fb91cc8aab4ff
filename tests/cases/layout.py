"""A folder with more than sixty kinds of file, as people's collections have them, and what becomes of each.

`python -m tests.cases.layout FOLDER` writes it, to look at with `crosslook index FOLDER`.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from PIL import Image

from tests.indexer.pictures.hostile import encoded, photograph
from tests.indexer.pictures.raws import dng, psd

Fate = Literal["indexed", "noted", "copy", "failed", "left out", "other kind", "ignored"]


class Kind(NamedTuple):
    """A file of the folder: its path, content, and what becomes of it."""

    path: str
    content: bytes
    fate: Fate


READ = {
    "JPEG": ("jpg", "jpeg", "jpe", "jfif", "jif", "JPG"),
    "MPO": ("mpo",),
    "PNG": ("png", "apng"),
    "GIF": ("gif",),
    "BMP": ("bmp", "dib"),
    "WEBP": ("webp",),
    "TIFF": ("tif", "tiff"),
    "AVIF": ("avif",),
    "HEIF": ("heic", "hif", "heif"),
}
"""Suffixes by format, all of which are indexed."""

OTHER_KINDS = ("mov", "mp4", "avi", "svg", "pdf", "eps", "psb", "xcf", "jp2", "exr")
IGNORED = ("txt", "json", "db", "ini", "zip", "xmp", "docx", "html")
DEFAULTS = {
    "@eaDir": "@eaDir",
    "#recycle": "#recycle",
    ".@__thumb": ".@__thumb",
    "$RECYCLE.BIN": "$RECYCLE.BIN",
    "Previews.lrdata": "*.lrdata",
    "__MACOSX": "__MACOSX",
    ".Trash-1000": ".Trash-*",
}
"""Folders of other programs, and the default that leaves each out."""


def kinds() -> Iterator[Kind]:
    """The files, each picture different from the others."""
    number = 0

    def picture(form: str = "PNG") -> bytes:
        nonlocal number
        number += 1
        image = photograph()
        image.putpixel((number % 64, number // 64), (255, number % 256, 0))
        lossless = {"lossless": True} if form == "WEBP" else {"quality": 95} if form in ("JPEG", "MPO") else {}
        return encoded(image, form, **lossless)

    for form, suffixes in READ.items():
        yield from (Kind(f"album/{form} {suffix}.{suffix}", picture(form), "indexed") for suffix in suffixes)
    yield Kind("album/raw.dng", dng(encoded(photograph((480, 400)), "JPEG")), "indexed")
    yield Kind("album/layers.psd", psd(photograph((40, 30))), "indexed")
    yield Kind("album/Отпуск Крым 2019.png", picture(), "indexed")
    yield Kind("album/海边度假照片.png", picture(), "indexed")
    yield Kind("album/no suffix", picture(), "ignored")
    truncated = encoded(photograph((640, 480)), "JPEG")
    yield Kind("album/no end.jpg", truncated[:-2], "noted")
    same = picture()
    yield Kind("album/original.png", same, "indexed")
    yield Kind("album/original (1).png", same, "copy")
    yield Kind("album/half.jpg", truncated[: len(truncated) // 3], "failed")
    yield Kind("album/empty.jpg", b"", "failed")
    yield Kind("album/notes.jpg", b"these are notes, whatever the name says", "failed")
    yield Kind("album/video.jpg", b"\0\0\0\x18ftypmp42" + bytes(64), "failed")
    yield Kind("album/IMG_1.JPG", picture("JPEG"), "indexed")
    yield Kind("album/IMG_1.CR2", bytes(64), "left out")
    yield Kind("album/.hidden.jpg", picture("JPEG"), "left out")
    yield from (Kind(f"album/{suffix}.{suffix}", bytes(64), "other kind") for suffix in OTHER_KINDS)
    yield from (Kind(f"album/{suffix}.{suffix}", bytes(64), "ignored") for suffix in IGNORED)
    yield from (Kind(f"{folder}/small.jpg", picture("JPEG"), "left out") for folder in DEFAULTS)
    yield Kind("WhatsApp/.Statuses/seen.jpg", picture("JPEG"), "left out")
    yield Kind("messenger/.nomedia", b"", "ignored")
    yield Kind("messenger/sticker.webp", picture("WEBP"), "left out")
    yield Kind("Photos.photoslibrary/originals/1.jpg", picture("JPEG"), "indexed")
    yield Kind("Photos.photoslibrary/resources/derivatives/1.jpg", picture("JPEG"), "left out")
    yield Kind("drafts/.crosslookignore", b"*.tmp.png\n", "ignored")
    yield Kind("drafts/page.tmp.png", picture(), "left out")
    yield Kind("drafts/page.png", picture(), "indexed")


def lay_out(folder: Path) -> list[Kind]:
    """Write the files into a folder, with a link to a folder, a link back, a hard link and a pipe; return the kinds."""
    laid = list(kinds())
    for kind in laid:
        path = folder / kind.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(kind.content)
    outside = folder.with_name(f"{folder.name} outside")
    outside.mkdir(exist_ok=True)
    Image.new("RGB", (48, 40), "purple").save(outside / "linked.png")
    (folder / "link").symlink_to(outside, target_is_directory=True)
    (folder / "album" / "back").symlink_to(folder, target_is_directory=True)
    os.link(folder / "album" / "original.png", folder / "album" / "other name.png")
    os.mkfifo(folder / "album" / "pipe.jpg")
    return laid


if __name__ == "__main__":
    target = Path(sys.argv[1])
    shutil.rmtree(target, ignore_errors=True)
    for kind in lay_out(target):
        sys.stdout.write(f"{kind.fate:10}  {kind.path}\n")
