"""The fixtures of the command line and the server."""

from tests.api.conftest import client, engine, run
from tests.api.server.conftest import serve

__all__ = ["client", "engine", "run", "serve"]
