"""The command that serves the HTTP application."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from PIL import Image

from search import SearchEngine

from .errors import SettingsError
from .options import DEFAULT_INDEX, Device, Index, Model, model_directory
from .output import message

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

    from .server.settings import Settings


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
    _check_keys(settings, index)
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
        server = server_config(create_app(engine, settings), settings)
        uvicorn.Server(server).run(sockets=[listener])


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How uvicorn runs: it names nobody, and believes no header about who asks."""
    import uvicorn  # noqa: PLC0415  only a server pays for it

    return uvicorn.Config(
        app,
        log_level="warning",
        http="h11",  # limits how long headers are, which httptools, where installed, does not
        server_header=False,
        proxy_headers=False,  # the setting `proxies` says whom to believe, and the guard listens
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )


def _check_keys(settings: Settings, index: Path) -> None:
    """Refuse to serve those who would need a key where there is none.

    Raises:
        SettingsError: there is none.
        KeysError: the file of keys is damaged or cannot be read.
    """
    from .server.keys import KeyStore  # noqa: PLC0415  only a server pays for it

    if settings.asks_keys and not KeyStore(index).all():
        where = "require_keys is set" if settings.local else f"other machines can reach {settings.host}"
        raise SettingsError(
            f"{where}, and there is no API key yet; make one with: crosslook keys add NAME --index {index}"
        )


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
