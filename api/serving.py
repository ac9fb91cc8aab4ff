"""The command that serves the HTTP application."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image

from search import SearchEngine

from .errors import SettingsError
from .options import DEFAULT_INDEX, Device, Index, Model, model_directory
from .output import message


def serve(
    host: Annotated[str | None, typer.Option("--host", help="Address [127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help="Port [8000].")] = None,
    root: Annotated[
        list[Path] | None, typer.Option("--root", metavar="DIR", help="A folder clients may index; may be given again.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Settings in TOML [$CROSSLOOK_CONFIG]."),
    ] = None,
    index: Index = DEFAULT_INDEX,
    model: Model = None,
    device: Device = "auto",
) -> None:
    """Serve the index over HTTP; OpenAPI is at /openapi.json."""
    from .server.settings import read_settings  # noqa: PLC0415  only a server pays for it

    settings = read_settings({"host": host, "port": port, "roots": root or None}, config=config)
    import uvicorn  # noqa: PLC0415  as above

    from .server import create_app  # noqa: PLC0415

    with (
        _listen(settings.host, settings.port) as listener,
        SearchEngine.open(index, model=model_directory(model), device=device, workers=os.cpu_count() or 1) as engine,
    ):
        _warm(engine)
        shown = f"[{settings.host}]" if ":" in settings.host else settings.host
        message(
            f"serving {index.resolve()} at http://{shown}:{listener.getsockname()[1]} (Ctrl-C ends it)", style="green"
        )
        server = uvicorn.Config(
            create_app(engine, settings),
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=settings.shutdown_seconds,
        )
        uvicorn.Server(server).run(sockets=[listener])


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
