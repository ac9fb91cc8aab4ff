"""Input that is not an HTTP request."""

from __future__ import annotations

import json

import pytest

from tests.api.server.conftest import Raw, status_of


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"GET /healthz\r\n\r\n",
        b"GET /v1/images?cursor=" + b"x" * 300_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_a_malformed_request_gets_a_problem_document(raw: Raw, sent: bytes) -> None:
    """It gets status 400 with the security headers, and the connection is closed."""
    answer = raw(sent)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert status_of(answer) == 400
    assert b"content-type: application/problem+json" in head.lower()
    assert b"x-content-type-options: nosniff" in head.lower()
    assert b"connection: close" in head.lower()
    document = json.loads(body)
    assert (document["type"], document["status"]) == ("urn:crosslook:problem:bad-request", 400)
