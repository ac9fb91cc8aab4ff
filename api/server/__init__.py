"""The HTTP service: `create_app` builds the application over an open engine and `Settings`.

A request passes `gate/` (access, limits, headers, the log) before a module of `routes/` answers it; `work/` holds what
routes share: worker threads, caches, jobs, cursors. What goes over the wire is declared in `api/contract/`.
"""

from .app import create_app
from .settings import Settings

__all__ = ["Settings", "create_app"]
