"""The serve command."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from PIL import Image
from typer.core import TyperOption

from encoders import load_encoder
from indexer import Catalog
from indexer.catalog.connection import DATABASE
from search import SearchEngine

from ..errors import SettingsError
from .command import Command
from .options import DEFAULT_INDEX, Device, Index, Model, model_directory
from .output import message

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

    from ..server.settings import Settings


Text = Annotated[str | None, typer.Option()]
Number = Annotated[int | None, typer.Option()]


class ServeCommand(Command):
    """`crosslook serve`, whose help takes the description and default of each flag from `Settings`."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401  typer exports neither type
        """Write the help."""
        from ..server.settings import Settings  # noqa: PLC0415  brings FastAPI

        for option in self.params:
            field = Settings.model_fields.get(option.name or "")
            if field is None or not isinstance(option, TyperOption):
                continue
            if isinstance(field.default, list):
                option.help = f"{field.description} May be repeated."
            else:
                option.help = field.description
                option.show_default = str(field.default)
        super().format_help(ctx, formatter)


def serve(
    host: Text = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535)] = None,
    root_path: Annotated[str | None, typer.Option(metavar="PATH")] = None,
    roots: Annotated[list[Path] | None, typer.Option("--root", metavar="DIR")] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings in TOML; by default the file in $CROSSLOOK_CONFIG.")
    ] = None,
    threads: Number = None,
    waiting: Number = None,
    upload_bytes: Number = None,
    thumbnail_bytes: Number = None,
    receive_seconds: Number = None,
    rate: Number = None,
    require_keys: Annotated[bool | None, typer.Option()] = None,
    proxies: Annotated[list[str] | None, typer.Option("--proxy", metavar="ADDRESS")] = None,
    cors_origins: Annotated[list[str] | None, typer.Option("--cors-origin", metavar="ORIGIN")] = None,
    log_format: Annotated[str | None, typer.Option(metavar="text|json")] = None,
    log_level: Annotated[str | None, typer.Option(metavar="debug|info|warning|error")] = None,
    shutdown_seconds: Number = None,
    index: Index = DEFAULT_INDEX,
    model: Model = None,
    device: Device = "auto",
) -> None:
    """Serve the index over HTTP; OpenAPI is at /openapi.json, all settings are in docs/SERVING.md."""
    flags = {name: None if value == [] else value for name, value in locals().items()}
    from ..server.settings import Settings, read_settings, unknown_names  # noqa: PLC0415  brings FastAPI

    settings = read_settings({name: flags[name] for name in Settings.model_fields}, config=config)
    for name in unknown_names():
        message(f"{name} is not a setting and is ignored; docs/SERVING.md lists the settings", style="yellow")
    _check_keys(settings, index)
    for folder in settings.roots:
        if not folder.is_dir():
            message(f"--root {folder} does not exist; it can be indexed once it does", style="yellow")
    if settings.roots and not (index / DATABASE).exists():
        Catalog.open(index, create=True).close()  # the first indexing job comes over HTTP
    from ..server.logs import log_to  # noqa: PLC0415  as above

    workers = max(2, os.cpu_count() or 1)  # at least two: requests overlap even on one core
    encoder = None if model is None else load_encoder(model_directory(model), device=device, workers=workers, lazy=True)
    with (
        _listen(settings.host, settings.port) as listener,
        SearchEngine.open(index, encoder=encoder, device=device, workers=workers) as engine,
    ):
        address = f"[{settings.host}]" if ":" in settings.host else settings.host
        url = f"http://{address}:{listener.getsockname()[1]}{settings.root_path}"
        message(f"serving {index.resolve()} at {url} (Ctrl-C stops it)", style="green")
        log_to(log_format=settings.log_format, level=settings.log_level)
        run(engine, settings, listener)


def run(engine: SearchEngine, settings: Settings, listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM; requests already accepted are answered first."""
    from ..server import create_app  # noqa: PLC0415  as above
    from ..server.shutdown import Server, exit_on_signal  # noqa: PLC0415  as above

    app = create_app(engine, settings, prepare=lambda: _warm(engine))
    for number in (signal.SIGINT, signal.SIGTERM):  # uvicorn raises the signal again after its shutdown
        signal.signal(number, exit_on_signal)
    try:
        Server(server_config(app, settings)).run(sockets=[listener])
    except SystemExit as exc:
        if app.state.service.readiness.loading:  # loading can take long and leaves nothing to clean up
            os._exit(int(exc.code or 0))
        raise


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """Configure uvicorn without a Server header, access log, or trust in forwarded addresses."""
    import uvicorn  # noqa: PLC0415  as above

    from ..server.gate.receive_timeout import protocol_with_timeout  # noqa: PLC0415  as above

    return uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        http=protocol_with_timeout(settings.receive_seconds),
        ws="none",
        server_header=False,
        proxy_headers=False,  # the guard reads them, and only from trusted proxies
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )


def _check_keys(settings: Settings, index: Path) -> None:
    """Check that a key exists if requests need one.

    Raises:
        SettingsError: no key exists yet.
        KeysError: the key file is damaged or cannot be read.
    """
    from ..server.gate.keys import KeyStore  # noqa: PLC0415  as above

    if settings.needs_keys and not KeyStore(index).all():
        reason = "require_keys is set" if settings.local else f"other machines can reach {settings.host}"
        raise SettingsError(
            f"{reason}, and there is no API key yet; make one with: crosslook keys add NAME --index {index}"
        )


def _listen(host: str, port: int) -> socket.socket:
    """Bind the address; done first, so that a port in use is reported before anything is loaded.

    Raises:
        SettingsError: the address is in use, or not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as exc:
        advice = "another --host" if isinstance(exc, socket.gaierror) else "another --port"
        raise SettingsError(f"cannot serve at {host}, port {port}: {exc.strerror or exc}; give {advice}") from exc
    # Accepted connections inherit TCP_NODELAY. asyncio sets it only on sockets with an explicit protocol, unlike this
    # one; without it a response body waits 40 ms until the client acknowledges the headers.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _warm(engine: SearchEngine) -> None:
    """Search once in both directions, so that no client waits for a part of the model to load."""
    engine.search_images("warm up", k=1, depth=1)
    engine.find_captions(Image.new("RGB", (64, 64)), k=1, depth=1)
