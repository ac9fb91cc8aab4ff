"""Cursors: where the next page begins, in letters that say nothing to a client and that it cannot make itself.

Base64 of a JSON document with a code (HMAC) over it by a secret of this process, so what comes back is what was handed
out, unchanged. One that a server gave out before it was started anew is refused like any other that is not its own.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from typing import Any

_CODE = 16  # bytes; half of SHA-256, which is beyond guessing

REFUSAL = "the cursor is not one that this server gave out for this kind of request; start again without it"


class CursorError(Exception):
    """A cursor was changed, is for another kind of request, or comes from elsewhere."""


class Cursors:
    """Makes cursors, and reads its own again."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def make(self, kind: str, document: dict[str, Any]) -> str:
        """A cursor for a kind of request."""
        content = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
        return _letters(self._code(kind, content) + content)

    def read(self, kind: str, cursor: str) -> dict[str, Any]:
        """What `make` was given.

        Raises:
            CursorError: this is none of its cursors for that kind of request, letter by letter.
        """
        try:
            both = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), b"-_", validate=True)
        except ValueError as exc:
            raise CursorError(REFUSAL) from exc
        code, content = both[:_CODE], both[_CODE:]
        sound = hmac.compare_digest(code, self._code(kind, content))
        if not sound or _letters(both) != cursor:  # the last letter has bits that decoding passes over
            raise CursorError(REFUSAL)
        document: dict[str, Any] = json.loads(content)
        return document

    def _code(self, kind: str, content: bytes) -> bytes:
        return hmac.digest(self._secret, kind.encode() + b"\0" + content, hashlib.sha256)[:_CODE]


def _letters(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
