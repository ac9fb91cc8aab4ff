"""The HTTP service: `create_app` builds the application from an open engine and `Settings`.

A request passes `gate/` (access, limits, headers, request log) before a module of `routes/` answers it. `work/` holds
what routes share: worker threads, caches, jobs, cursors. `api/contract/` declares the request and response documents.
"""

from .app import create_app
from .settings import Settings

__all__ = ["Settings", "create_app"]
