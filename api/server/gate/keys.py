"""API keys, stored as digests beside the index.

A key is 256 random bits and cannot be guessed, so its SHA-256 digest needs neither salt nor stretching, which protect
secrets that people choose. The key itself is shown once and stored nowhere.

The file is checked on every request, so a revoked key is refused at once, without restarting the server.
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
    """A stored key: its digest and metadata."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern="^[0-9a-f]{8}$")
    name: str = Field(min_length=1, max_length=64)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    scopes: tuple[Access, ...] = Field(min_length=1)
    created: datetime

    def allows(self, access: Access) -> bool:
        """Whether the key grants a scope; `write` includes `read`."""
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
        """All keys, oldest first; empty if there is no file.

        Raises:
            KeysError: the file is damaged or cannot be read.
        """
        try:
            status = self._path.stat()
            stamp = status.st_mtime_ns, status.st_size, status.st_ino
            if stamp != self._stamp:
                self._keys = _parse(self._path, self._path.read_bytes())
                self._stamp = stamp  # taken before reading, so that a concurrent write is read next time
        except FileNotFoundError:
            self._keys, self._stamp = (), None
        except OSError as exc:
            self._stamp = None
            raise KeysError(f"{self._path} cannot be read: {exc.strerror or exc}") from exc
        return self._keys

    def find(self, secret: str) -> Key | None:
        """The stored key that matches a secret, if any. Compares with every key, in constant time.

        Raises:
            KeysError: the file is damaged or cannot be read.
        """
        digest, match = _digest(secret), None
        for key in self.all():
            if hmac.compare_digest(key.sha256, digest):
                match = key
        return match

    def add(self, name: str, scopes: Iterable[Access]) -> tuple[Key, str]:
        """Create a key.

        Returns:
            The stored key, and the secret, which is not stored.

        Raises:
            InputError: the name is invalid or taken.
            KeysError: the file is damaged or cannot be written.
            IndexBusyError: another process is changing the keys.
        """
        if not (name.isprintable() and name.strip() and len(name) <= 64):
            raise InputError(f"invalid key name {name!r}; use 1 to 64 printable characters")
        with self._lock():
            keys = self.all()
            if any(name in (key.name, key.id) for key in keys):
                raise InputError(f"a key named {name} exists already; choose another name or revoke it")
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
        """Delete a key; the next request with it is refused.

        Raises:
            InputError: no such key.
            KeysError: the file is damaged or cannot be written.
            IndexBusyError: another process is changing the keys.
        """
        with self._lock():
            keys = self.all()
            revoked = next((key for key in keys if name_or_id in (key.name, key.id)), None)
            if revoked is None:
                names = ", ".join(key.name for key in keys) or "none"
                raise InputError(f"no key has the name or id {name_or_id}; existing keys: {names}")
            self._write(tuple(key for key in keys if key is not revoked))
        return revoked

    def _lock(self) -> AbstractContextManager[None]:
        return file_lock(self._directory, LOCK, "having its keys changed")

    def _write(self, keys: tuple[Key, ...]) -> None:
        """Write the file atomically: under a temporary name, readable only by its owner, then renamed."""
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
            f"{path} is damaged, so every key is refused; restore it, or delete it and create new keys with: "
            "crosslook keys add NAME"
        ) from exc
