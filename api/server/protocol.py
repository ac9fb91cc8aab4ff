"""What is no HTTP, or has longer headers than the server reads, is answered with a problem document as well."""

from __future__ import annotations

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from .headers import security_headers
from .problems import problem


class Protocol(H11Protocol):
    """uvicorn's own, but for its refusal, which comes before any request is made out."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  says no more than the status
        """Refuse what was sent, and close the connection."""
        detail = "this is no HTTP request, or its address and headers are longer than 64 KB"
        answer = problem(400, detail, security_headers("/v1") | {"Cache-Control": "no-store", "Connection": "close"})
        response = h11.Response(status_code=400, headers=answer.raw_headers, reason=b"Bad Request")
        for event in (response, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
