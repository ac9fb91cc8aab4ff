"""`crosslook serve` before it serves."""

from __future__ import annotations

import socket

from tests.api.conftest import Run


def test_a_port_that_is_taken_is_one_sentence(run: Run) -> None:
    """Before the model loads, with status 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "--port", port)
    assert done.status == 1
    assert f"cannot serve at 127.0.0.1, port {port}: " in done.err
    assert "give another --port" in done.err
    assert done.err.count("\n") == 1


def test_a_server_without_an_index_says_how_to_make_one(run: Run) -> None:
    """Nothing is made by serving."""
    done = run("serve", "--port", "0")
    assert done.status == 1
    assert "make one with: crosslook index" in done.err
