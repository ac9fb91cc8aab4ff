"""The command that serves the HTTP application."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from PIL import Image

from encoders import load_encoder
from indexer import Catalog
from indexer.catalog.connection import DATABASE
from search import SearchEngine

from ..errors import SettingsError
from .options import DEFAULT_INDEX, Device, Index, Model, model_directory
from .output import message

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

    from ..server.settings import Settings


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
    threads: Annotated[int | None, typer.Option("--threads", help="Requests worked on at the same time [32].")] = None,
    waiting: Annotated[
        int | None, typer.Option("--waiting", help="Requests that may wait beyond those; more are refused [64].")
    ] = None,
    upload_bytes: Annotated[int | None, typer.Option("--upload-bytes", help="Largest upload [33554432].")] = None,
    upload_pixels: Annotated[
        int | None, typer.Option("--upload-pixels", help="Largest picture in an upload [100000000].")
    ] = None,
    thumbnail_bytes: Annotated[
        int | None, typer.Option("--thumbnail-bytes", help="Thumbnails kept in the user's cache [2147483648].")
    ] = None,
    receive_seconds: Annotated[
        int | None, typer.Option("--receive-seconds", help="How long a request may take to arrive [60].")
    ] = None,
    rate: Annotated[
        int | None, typer.Option("--rate", help="Requests a minute from one key or address [0: any].")
    ] = None,
    require_keys: Annotated[
        bool | None, typer.Option("--require-keys/--no-require-keys", help="Ask for API keys locally, too [no].")
    ] = None,
    proxy: Annotated[
        list[str] | None,
        typer.Option("--proxy", metavar="ADDRESS", help="A proxy to believe about addresses; may be given again."),
    ] = None,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option("--cors-origin", metavar="ORIGIN", help="A web origin that may call; may be given again."),
    ] = None,
    log_format: Annotated[
        str | None, typer.Option("--log-format", metavar="text|json", help="How the log is written [text].")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option("--log-level", metavar="LEVEL", help="debug, info, warning or error [info].")
    ] = None,
    shutdown_seconds: Annotated[
        int | None, typer.Option("--shutdown-seconds", help="How long accepted requests may take to end [30].")
    ] = None,
    index: Index = DEFAULT_INDEX,
    model: Model = None,
    device: Device = "auto",
) -> None:
    """Serve the index over HTTP; OpenAPI is at /openapi.json, all settings are in docs/SERVING.md."""
    from ..server.settings import Settings, read_settings, unknown_names  # noqa: PLC0415  only a server pays for it

    flags = locals() | {"roots": root or None, "proxies": proxy or None, "cors_origins": cors_origin or None}
    settings = read_settings({name: flags[name] for name in Settings.model_fields}, config=config)
    for name in unknown_names():
        message(f"{name} is no setting, and changes nothing; docs/SERVING.md lists those there are", style="yellow")
    _check_keys(settings, index)
    for folder in settings.roots:
        if not folder.is_dir():
            message(f"{folder} is no folder now; it can be indexed once it is there", style="yellow")
    if settings.roots and not (index / DATABASE).exists():
        Catalog.open(index, create=True).close()  # the first indexing is asked for over HTTP
    from ..server.logs import log_to  # noqa: PLC0415  as above

    workers = max(2, os.cpu_count() or 1)  # more than one, even where they share a core: it is a server's model
    given = None if model is None else load_encoder(model_directory(model), device=device, workers=workers, lazy=True)
    with (
        _listen(settings.host, settings.port) as listener,
        SearchEngine.open(index, encoder=given, device=device, workers=workers) as engine,
    ):
        shown = f"[{settings.host}]" if ":" in settings.host else settings.host
        message(
            f"serving {index.resolve()} at http://{shown}:{listener.getsockname()[1]} (Ctrl-C ends it)", style="green"
        )
        log_to(log_format=settings.log_format, level=settings.log_level)
        run(engine, settings, listener)


def run(engine: SearchEngine, settings: Settings, listener: socket.socket) -> None:
    """Serve until the process is told to end; what was accepted is answered first."""
    from ..server import create_app  # noqa: PLC0415  only a server pays for it
    from ..server.shutdown import Server  # noqa: PLC0415  as above

    app = create_app(engine, settings, prepare=lambda: _warm(engine))
    for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn stops by itself, and then hands the signal on
        signal.signal(number, _end)
    try:
        Server(server_config(app, settings)).run(sockets=[listener])
    except SystemExit as exc:
        if app.state.service.readiness.loading:  # which may take long, and nothing is lost by leaving it
            os._exit(int(exc.code or 0))
        raise


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    """Let everything be closed; without this the process would end where it stands."""
    sys.exit(0 if number == signal.SIGTERM else 128 + number)


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How uvicorn runs: it names nobody, and believes no header about who asks."""
    import uvicorn  # noqa: PLC0415  only a server pays for it

    from ..server.gate.receive_timeout import limited  # noqa: PLC0415  as above

    return uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        http=limited(settings.receive_seconds),
        ws="none",
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
    from ..server.gate.keys import KeyStore  # noqa: PLC0415  only a server pays for it

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
        listener = socket.create_server((host, port), family=family)
    except OSError as exc:
        raise SettingsError(f"cannot serve at {host}, port {port}: {exc.strerror or exc}; give another --port") from exc
    # Connections inherit it. asyncio sets it only where the socket names its protocol, which this one does not; without
    # it the body of an answer waits 40 ms for the client to acknowledge its headers.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _warm(engine: SearchEngine) -> None:
    """Load every part of the model before the first client waits for it."""
    engine.search_images("a first look", k=1, depth=1)
    engine.find_captions(Image.new("RGB", (64, 64)), k=1, depth=1)
