"""Small upright versions of indexed pictures, kept on disk under a limit; the least recently used go first.

A cache like any other: what is damaged is made anew, and where nothing can be written, every picture is made each time.
"""

from __future__ import annotations

import hashlib
import io
import os
import threading
from contextlib import suppress
from pathlib import Path

from PIL import Image

from ..catalog.browse import ImageDetails
from ..errors import DecodeError, ReadError
from .decode import open_image

QUALITY = 80
KEPT = 0.9
"""Share of the limit that is left after a clean-up, so that not every further picture asks for one."""

_SUM = 16  # bytes of a checksum behind the picture, which viewers pass over


class Thumbnails:
    """Thumbnails as WebP in `directory/HASH/SIZE.webp`. Threads, and processes, may share a directory."""

    def __init__(self, directory: Path, limit: int) -> None:
        """Use a directory of one's own, which is made when it is first needed.

        Args:
            directory: where thumbnails are kept.
            limit: bytes that they may take together; with 0 none are kept.
        """
        self.directory, self.limit = directory, limit
        self._used: int | None = None  # None until it is looked up
        self._lock = threading.Lock()

    @classmethod
    def of_user(cls, limit: int) -> Thumbnails:
        """Those in the user's cache."""
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return cls(caches / "crosslook" / "thumbnails", limit)

    def get(self, image: ImageDetails, size: int) -> tuple[bytes, bool]:
        """A thumbnail, and whether it shows what was indexed: the file may have been changed since.

        Args:
            image: whose.
            size: pixels of the longer side at most; a smaller picture keeps its size.

        Raises:
            ReadError: none of its files is there.
            DecodeError: none of them is a picture any more.
        """
        there = [(place, status) for place in image.places if (status := place.status()) is not None]
        if not there:
            raise ReadError(f"the file of image {image.id} is gone; index its folder again")
        same = [place for place, status in there if place.unchanged(status)]
        file = self.directory / image.content_hash / f"{size}.webp"
        if same and (kept := self._kept(file)) is not None:
            return kept, True
        error = DecodeError("it cannot be read")
        for place in same or [place for place, _ in there]:
            try:
                made = thumbnail(place.path, size)
            except DecodeError as exc:
                error = exc
                continue
            if same:
                self._keep(file, made)
            return made, bool(same)
        raise DecodeError(f"image {image.id}: {error}") from error

    def _kept(self, file: Path) -> bytes | None:
        """What is kept in a file, if it is sound; it is now the most recently used."""
        try:
            content = file.read_bytes()
        except OSError:
            return None
        picture, found = content[:-_SUM], content[-_SUM:]
        if not picture or _checksum(picture) != found:
            return None
        with suppress(OSError):
            os.utime(file)
        return picture

    def _keep(self, file: Path, picture: bytes) -> None:
        """Write a thumbnail whole or not at all; a disk that refuses costs only the cache."""
        if len(picture) + _SUM > self.limit:
            return
        temporary = file.with_suffix(f".{os.getpid()}-{threading.get_ident()}.tmp")
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            file.parent.mkdir(mode=0o700, exist_ok=True)
            temporary.write_bytes(picture + _checksum(picture))
            temporary.replace(file)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            return
        with self._lock:
            self._used = self._looked_up() if self._used is None else self._used + len(picture) + _SUM
            if self._used > self.limit:
                self._used = self._cleaned()

    def _looked_up(self) -> int:
        return sum(size for _, size, _ in self._files())

    def _cleaned(self) -> int:
        """Remove the least recently used until there is room; return what is left."""
        files = sorted(self._files(), key=lambda found: found[0])
        used = sum(size for _, size, _ in files)
        for _, size, file in files:
            if used <= KEPT * self.limit:
                break
            with suppress(OSError):
                file.unlink(missing_ok=True)
                used -= size
                file.parent.rmdir()  # refused while it holds others
        return used

    def _files(self) -> list[tuple[int, int, Path]]:
        """Time of last use, bytes and path of everything that is kept, left-overs of killed processes included."""
        found = []
        for file in self.directory.glob("*/*"):
            with suppress(OSError):
                status = file.stat()
                found.append((status.st_mtime_ns, status.st_size, file))
        return found


def thumbnail(path: Path, size: int) -> bytes:
    """A picture as WebP, upright, its proportions kept, its longer side `size` pixels or what it has.

    Raises:
        DecodeError: it cannot be read.
    """
    picture = open_image(path, at_least=size)
    picture.thumbnail((size, size), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=QUALITY)
    return buffer.getvalue()


def _checksum(picture: bytes) -> bytes:
    return hashlib.blake2b(picture, digest_size=_SUM).digest()
