"""The command that serves the HTTP application."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from search import SearchEngine

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

    with SearchEngine.open(index, model=model_directory(model), device=device) as engine:
        _warm(engine)
        shown = f"[{host}]" if ":" in host else host
        message(f"serving {Path(index).resolve()} at http://{shown}:{port} (Ctrl-C ends it)", style="green")
        uvicorn.run(create_app(engine, settings), host=host, port=port, log_level="warning", server_header=False)


def _warm(engine: SearchEngine) -> None:
    """Load the model before the first client waits for it."""
    engine.search_images("a first look", k=1, depth=1)
