"""Device, mixed precision, and how the C library keeps memory."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

import torch

from .errors import EncodersError


def pick_device(name: str = "auto") -> str:
    """Return the device to run on; `auto` is the GPU if there is one, else the CPU.

    Raises:
        EncodersError: the device is not available.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as exc:
        raise EncodersError(f"device {name!r} is not available on this machine; use --device cpu") from exc
    return name


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether the hardware computes bf16; emulated bf16 is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    flags = torch.cpu.get_capabilities()
    return bool(flags.get("avx512_bf16") or flags.get("amx_bf16"))


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return a context for mixed precision: `bfloat16`, `float32`, or `auto`, which uses bf16 where it is fast."""
    enabled = precision == "bfloat16" or (precision == "auto" and has_fast_bfloat16(device))
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


def machine() -> dict[str, str | int | bool]:
    """Describe the hardware that models run on."""
    device = pick_device()
    return {
        "torch": str(torch.__version__),
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
        "threads": torch.get_num_threads(),
        "fast_bfloat16": has_fast_bfloat16(torch.device(device)),
    }


def keep_freed_memory() -> None:
    """Let the C library reuse freed memory instead of returning it to the system after every large tensor.

    By default glibc maps each large block anew, and the page faults cost more than the arithmetic: a training step
    took five times as long. All threads share two arenas; with more, each thread of a server keeps the most it ever
    needed, which took a third more memory at 32 clients. Does nothing with other C libraries.
    """
    mmap_max, trim_threshold, arena_max = -4, -1, -8  # M_MMAP_MAX, M_TRIM_THRESHOLD and M_ARENA_MAX of malloc.h
    mallopt = _glibc_function("mallopt")
    if mallopt is not None:
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, -1)
        mallopt(arena_max, 2)


def return_freed_memory() -> None:
    """Return memory that is free now to the system, after work that will not be repeated; later frees are kept."""
    malloc_trim = _glibc_function("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _glibc_function(name: str) -> Callable[..., int] | None:
    """Look up a function of glibc; None with another C library."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
