"""Upright thumbnails of indexed pictures, cached on disk up to a size limit with LRU eviction.

Damaged cache files are replaced. Where the cache cannot be written, each request creates its thumbnail again.
"""

from __future__ import annotations

import hashlib
import io
import os
import threading
from contextlib import suppress
from pathlib import Path

import platformdirs
from PIL import Image

from ..catalog.browse import ImageDetails
from ..errors import DecodeError, ReadError
from .decode import open_image

QUALITY = 80
EVICTION_TARGET = 0.9
"""Share of the limit that eviction leaves in use, so that not every further picture triggers another one."""

_CHECKSUM_BYTES = 16  # appended to the picture; viewers ignore them


class Thumbnails:
    """A cache of WebP thumbnails in `directory/HASH/SIZE.webp`, which threads and processes can share."""

    def __init__(self, directory: Path, limit: int) -> None:
        """Cache thumbnails in a directory, which is created when first needed.

        Args:
            directory: a directory that nothing else uses.
            limit: maximum bytes of the whole cache; 0 disables it.
        """
        self.directory, self.limit = directory, limit
        self._used: int | None = None  # bytes; None until measured
        self._lock = threading.Lock()

    @classmethod
    def of_user(cls, limit: int) -> Thumbnails:
        """Use the user's cache folder; without a home directory, disable the cache."""
        try:
            directory = platformdirs.user_cache_path("crosslook", appauthor=False) / "thumbnails"
        except RuntimeError:
            return cls(Path("thumbnails"), 0)
        return cls(directory, limit)

    def get(self, image: ImageDetails, size: int) -> tuple[bytes, bool]:
        """Return a thumbnail, and whether it shows the indexed content; the file may have changed since.

        Args:
            image: the indexed image.
            size: maximum pixels of the longer side; smaller pictures are not enlarged.

        Raises:
            ReadError: none of its files exists any more.
            DecodeError: none of its files can be decoded.
        """
        existing = [(place, status) for place in image.places if (status := place.status()) is not None]
        if not existing:
            raise ReadError(f"the file of image {image.id} is gone; index its folder again")
        unchanged = [place for place, status in existing if place.unchanged(status)]
        file = self.directory / image.content_hash / f"{size}.webp"
        if unchanged and (cached := self._read(file)) is not None:
            return cached, True
        error = DecodeError("cannot be read")
        for place in unchanged or [place for place, _ in existing]:
            try:
                content = thumbnail(place.path, size)
            except DecodeError as exc:
                error = exc
                continue
            if unchanged:
                self._write(file, content)
            return content, bool(unchanged)
        raise DecodeError(f"image {image.id}: {error}") from error

    def _read(self, file: Path) -> bytes | None:
        """Read a cached thumbnail and mark it as most recently used; None if it does not exist or is damaged."""
        if not self.limit:
            return None
        try:
            content = file.read_bytes()
        except OSError:
            return None
        picture, checksum = content[:-_CHECKSUM_BYTES], content[-_CHECKSUM_BYTES:]
        if not picture or _checksum(picture) != checksum:
            return None
        with suppress(OSError):
            os.utime(file)
        return picture

    def _write(self, file: Path, picture: bytes) -> None:
        """Cache a thumbnail atomically; errors of the disk are ignored."""
        if len(picture) + _CHECKSUM_BYTES > self.limit:
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
            self._used = self._measure() if self._used is None else self._used + len(picture) + _CHECKSUM_BYTES
            if self._used > self.limit:
                self._used = self._evict()

    def _measure(self) -> int:
        return sum(size for _, size, _ in self._files())

    def _evict(self) -> int:
        """Delete the least recently used files until the target is reached; return the bytes left in use."""
        files = sorted(self._files(), key=lambda entry: entry[0])
        used = sum(size for _, size, _ in files)
        for _, size, file in files:
            if used <= EVICTION_TARGET * self.limit:
                break
            with suppress(OSError):
                file.unlink(missing_ok=True)
                used -= size
                file.parent.rmdir()  # fails unless empty
        return used

    def _files(self) -> list[tuple[int, int, Path]]:
        """Time of last use, bytes and path of every cached file, including leftovers of killed processes."""
        entries = []
        for file in self.directory.glob("*/*"):
            with suppress(OSError):
                status = file.stat()
                entries.append((status.st_mtime_ns, status.st_size, file))
        return entries


def thumbnail(path: Path, size: int) -> bytes:
    """Encode a picture as an upright WebP whose longer side has at most `size` pixels.

    Raises:
        DecodeError: the picture cannot be read.
    """
    picture = open_image(path, at_least=size)
    picture.thumbnail((size, size), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=QUALITY)
    return buffer.getvalue()


def _checksum(picture: bytes) -> bytes:
    return hashlib.blake2b(picture, digest_size=_CHECKSUM_BYTES).digest()
