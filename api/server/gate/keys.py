"""API keys: who may ask from elsewhere, kept beside the index as digests.

A key is 256 random bits, so nobody finds it by trying, and its SHA-256 needs neither salt nor stretching: those protect
secrets that people choose, of which a table can be made. The key itself is shown once and stored nowhere.

The file is looked at with every request: a key that was revoked a moment ago is refused, and no server has to restart.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import tempfile
from collections.abc import Iterable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from indexer.ingest.lock import file_lock

from ...errors import InputError, KeysError

FILE, LOCK = "keys.json", "keys.lock"
PREFIX = "cl_"
KEY_BYTES = 32

Access = Literal["read", "write"]


class Key(BaseModel):
    """What is stored of a key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern="^[0-9a-f]{8}$")
    name: str = Field(min_length=1, max_length=64)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    scopes: tuple[Access, ...] = Field(min_length=1)
    created: datetime

    def allows(self, access: Access) -> bool:
        """Whether its holder may; who may write may read."""
        return access in self.scopes or "write" in self.scopes


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    keys: tuple[Key, ...] = ()


class KeyStore:
    """The keys of one index."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._path = directory, directory / FILE
        self._stamp: tuple[int, int, int] | None = None
        self._keys: tuple[Key, ...] = ()

    def all(self) -> tuple[Key, ...]:
        """All keys, oldest first; none where there is no file.

        Raises:
            KeysError: the file is damaged or cannot be read.
        """
        try:
            found = self._path.stat()
            stamp = found.st_mtime_ns, found.st_size, found.st_ino
            if stamp != self._stamp:
                self._keys = _parse(self._path, self._path.read_bytes())
                self._stamp = stamp  # of before it was read: what is written meanwhile is read next time
        except FileNotFoundError:
            self._keys, self._stamp = (), None
        except OSError as exc:
            self._stamp = None
            raise KeysError(f"{self._path} cannot be read: {exc.strerror or exc}") from exc
        return self._keys

    def find(self, secret: str) -> Key | None:
        """The stored key that a client's key is, if any. Every one is compared, so time tells nothing.

        Raises:
            KeysError: the file is damaged or cannot be read.
        """
        digest, found = _digest(secret), None
        for key in self.all():
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found

    def add(self, name: str, scopes: Iterable[Access]) -> tuple[Key, str]:
        """Make a key, and return what is stored and the key itself, which nobody can tell again.

        Raises:
            InputError: the name is taken, or is none.
            KeysError: the file is damaged, or cannot be written.
            IndexBusyError: another process changes keys at this moment.
        """
        if not (name.isprintable() and name.strip() and len(name) <= 64):
            raise InputError(f"{name!r} is no name for a key; take 1 to 64 printable characters")
        with self._alone():
            keys = self.all()
            if any(name in (key.name, key.id) for key in keys):
                raise InputError(f"there is a key {name} already; take another name, or revoke that one")
            secret = PREFIX + secrets.token_urlsafe(KEY_BYTES)
            key = Key(
                id=secrets.token_hex(4),
                name=name,
                sha256=_digest(secret),
                scopes=tuple(sorted(set(scopes))),
                created=datetime.now(UTC).replace(microsecond=0),
            )
            self._write((*keys, key))
        return key, secret

    def revoke(self, name_or_id: str) -> Key:
        """Forget a key; the next request with it is refused.

        Raises:
            InputError: there is no such key.
            KeysError, IndexBusyError: as `add`.
        """
        with self._alone():
            keys = self.all()
            gone = next((key for key in keys if name_or_id in (key.name, key.id)), None)
            if gone is None:
                raise InputError(
                    f"there is no key {name_or_id}; there are: {', '.join(k.name for k in keys) or 'none'}"
                )
            self._write(tuple(key for key in keys if key is not gone))
        return gone

    def _alone(self) -> AbstractContextManager[None]:
        return file_lock(self._directory, LOCK, "having its keys changed")

    def _write(self, keys: tuple[Key, ...]) -> None:
        """Under a temporary name, which only its owner can read, and then renamed: no reader sees half a file."""
        try:
            file, name = tempfile.mkstemp(dir=self._directory, prefix=FILE + ".")
            try:
                with os.fdopen(file, "w", encoding="utf-8") as out:
                    json.dump(_File(keys=keys).model_dump(mode="json"), out, indent=2)
                    out.flush()
                    os.fsync(out.fileno())
                Path(name).replace(self._path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as exc:
            raise KeysError(f"{self._path} cannot be written: {exc.strerror or exc}") from exc


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _parse(path: Path, data: bytes) -> tuple[Key, ...]:
    try:
        return _File.model_validate_json(data).keys
    except ValidationError as exc:
        raise KeysError(
            f"{path} is damaged, so every key is refused; restore it, or delete it and make keys anew with: "
            "crosslook keys add NAME"
        ) from exc
