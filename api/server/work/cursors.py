"""Pagination cursors: where the next page begins, as signed text that clients can neither make nor change.

The key belongs to this process: a cursor from before a restart is refused like any other foreign one.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from itsdangerous import BadData, URLSafeSerializer

REFUSAL = "the cursor is not one that this server gave out for this kind of request; start again without it"


class CursorError(Exception):
    """A cursor was changed, is for another kind of request, or comes from elsewhere."""


class Cursors:
    """Makes cursors, and reads its own again."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def make(self, kind: str, document: dict[str, Any]) -> str:
        """A cursor for a kind of request."""
        cursor: str = self._serializer(kind).dumps(document)
        return cursor

    def read(self, kind: str, cursor: str) -> dict[str, Any]:
        """What `make` was given.

        Raises:
            CursorError: this is none of its cursors for that kind of request, letter by letter.
        """
        try:
            document: dict[str, Any] = self._serializer(kind).loads(cursor)
        except (BadData, UnicodeEncodeError) as exc:
            raise CursorError(REFUSAL) from exc
        if self.make(kind, document) != cursor:  # the signature's last letter has bits that decoding ignores
            raise CursorError(REFUSAL)
        return document

    def _serializer(self, kind: str) -> URLSafeSerializer:
        return URLSafeSerializer(self._secret, salt=kind, signer_kwargs={"digest_method": hashlib.sha256})
