"""How the C library keeps memory that a model's arithmetic has freed. Does nothing with libraries other than glibc."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # M_… of malloc.h


def keep_freed_memory() -> None:
    """Let the C library reuse freed memory instead of returning it to the system after every large tensor of torch.

    By default glibc maps each large block anew, and the page faults cost more than the arithmetic: a training step
    took five times as long. Arenas are shared, as by `share_arenas`.
    """
    mallopt = _glibc_function("mallopt")
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, -1)
    share_arenas()


def share_arenas() -> None:
    """Let all threads share two arenas: with one each, every thread of a server keeps the most it ever needed."""
    mallopt = _glibc_function("mallopt")
    if mallopt is not None:
        mallopt(_ARENA_MAX, 2)


def return_freed_memory() -> None:
    """Return memory that is free now to the system, after work that will not be repeated; later frees are kept."""
    malloc_trim = _glibc_function("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _glibc_function(name: str) -> Callable[..., int] | None:
    """Look up a function of glibc; None with another C library."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
