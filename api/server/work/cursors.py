"""Pagination cursors: the start of the next page, as signed text that clients can neither forge nor change.

The signing key belongs to this process, so a cursor from before a restart is refused.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from itsdangerous import BadData, URLSafeSerializer

from ...errors import ApiError

REFUSAL = "Invalid cursor: not issued by this server for this kind of request. Start again without it."


class CursorError(ApiError):
    """A cursor was changed, is for another kind of request, or was not issued by this process."""


class Cursors:
    """Issues cursors and reads them back."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def make(self, kind: str, document: dict[str, Any]) -> str:
        """Make a cursor for a kind of request."""
        cursor: str = self._serializer(kind).dumps(document)
        return cursor

    def read(self, kind: str, cursor: str) -> dict[str, Any]:
        """The document of a cursor.

        Raises:
            CursorError: the cursor is not exactly one that `make` returned for this kind of request.
        """
        try:
            document: dict[str, Any] = self._serializer(kind).loads(cursor)
        except (BadData, UnicodeEncodeError) as exc:
            raise CursorError(REFUSAL) from exc
        if self.make(kind, document) != cursor:  # decoding ignores some bits of the signature's last letter
            raise CursorError(REFUSAL)
        return document

    def _serializer(self, kind: str) -> URLSafeSerializer:
        return URLSafeSerializer(self._secret, salt=kind, signer_kwargs={"digest_method": hashlib.sha256})
