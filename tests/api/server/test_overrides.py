"""The overridden methods of Starlette and uvicorn, some of them private, exist with the same parameters."""

from __future__ import annotations

import inspect
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from starlette.responses import FileResponse, MalformedRangeHeader, RangeNotSatisfiable
from uvicorn import Server as UvicornServer
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.server.gate.receive_timeout import Protocol
from api.server.routes.picture_response import PictureFile
from api.server.shutdown import Server

OVERRIDDEN: dict[tuple[type, type], set[str]] = {
    (PictureFile, FileResponse): {"__call__", "_parse_range_header"},
    (Protocol, H11Protocol): {
        "connection_made",
        "connection_lost",
        "data_received",
        "on_response_complete",
        "send_400_response",
    },
    (Server, UvicornServer): {"handle_exit", "shutdown"},
}


@pytest.mark.parametrize(("ours", "theirs"), OVERRIDDEN)
def test_overridden_methods_exist_with_the_same_parameters(ours: type, theirs: type) -> None:
    """Otherwise a new version would silently no longer call our method."""
    names = OVERRIDDEN[ours, theirs]
    assert {name for name, value in vars(ours).items() if callable(getattr(value, "__func__", value))} >= names
    for name in names:
        mine, upstream = (inspect.signature(getattr(each, name)) for each in (ours, theirs))
        assert list(mine.parameters) == list(upstream.parameters), name


def test_bad_ranges_raise_the_errors_that_are_caught() -> None:
    """Starlette's range parser raises the errors that PictureFile catches."""
    with pytest.raises(MalformedRangeHeader):
        FileResponse._parse_range_header("bytes", 10)
    with pytest.raises(RangeNotSatisfiable) as refusal:
        FileResponse._parse_range_header("bytes=20-30", 10)
    assert refusal.value.max_size == 10
    assert FileResponse._parse_range_header("bytes=0-4", 10) == [(0, 5)]


def test_private_state_of_the_protocol_exists() -> None:
    """The receive timeout uses existing attributes of uvicorn's protocol and request cycle."""
    attributes = inspect.getsource(H11Protocol)
    assert all(f"self.{name}" in attributes for name in ("conn", "transport", "loop", "cycle"))
    cycle = inspect.getsource(inspect.getmodule(H11Protocol).RequestResponseCycle)  # type: ignore[union-attr]
    assert all(f"self.{name}" in cycle for name in ("disconnected", "message_event"))


@pytest.mark.parametrize("library", ["starlette", "uvicorn"])
def test_overridden_libraries_have_an_upper_bound(library: str) -> None:
    """Both libraries have an upper bound above the installed version."""
    text = (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    (bound,) = (
        each
        for each in map(Requirement, tomllib.loads(text)["tool"]["crosslook"]["dependencies"])
        if each.name == library
    )
    assert any(part.operator == "<" for part in bound.specifier)
    assert bound.specifier.contains(version(library))
