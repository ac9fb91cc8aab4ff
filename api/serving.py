"""The command that serves the HTTP application."""

from __future__ import annotations

import socket
from typing import Annotated

import typer
from PIL import Image

from search import SearchEngine

from .errors import SettingsError
from .options import DEFAULT_INDEX, Device, Index, Model, model_directory
from .output import message
from .settings import settings_for


def serve(
    host: Annotated[
        str, typer.Option("--host", help="Address; any but this machine's own wants CROSSLOOK_API_KEY.")
    ] = ("127.0.0.1"),
    port: Annotated[int, typer.Option("--port", min=0, max=65535)] = 8000,
    index: Index = DEFAULT_INDEX,
    model: Model = None,
    device: Device = "auto",
) -> None:
    """Serve the index over HTTP; OpenAPI is at /openapi.json."""
    settings = settings_for(host)
    import uvicorn  # noqa: PLC0415  only a server pays for it

    from .http import create_app  # noqa: PLC0415

    with (
        _listen(host, port) as listener,
        SearchEngine.open(index, model=model_directory(model), device=device) as engine,
    ):
        _warm(engine)
        shown = f"[{host}]" if ":" in host else host
        message(
            f"serving {index.resolve()} at http://{shown}:{listener.getsockname()[1]} (Ctrl-C ends it)", style="green"
        )
        config = uvicorn.Config(create_app(engine, settings), log_level="warning", server_header=False)
        uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    """Take the address before anything is loaded.

    Raises:
        SettingsError: it is taken, or not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as exc:
        raise SettingsError(f"cannot serve at {host}, port {port}: {exc.strerror or exc}; give another --port") from exc


def _warm(engine: SearchEngine) -> None:
    """Load every part of the model before the first client waits for it."""
    engine.search_images("a first look", k=1, depth=1)
    engine.find_captions(Image.new("RGB", (64, 64)), k=1, depth=1)
