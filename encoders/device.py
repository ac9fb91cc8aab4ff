"""Where tensors live, and whether this machine has bf16 arithmetic worth using."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

import torch

from .errors import EncodersError


def pick_device(wish: str = "auto") -> str:
    """The device to run on: what was asked for, or the GPU where there is one.

    Raises:
        EncodersError: the device asked for is not there.
    """
    if wish == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=wish)
    except (RuntimeError, AssertionError) as exc:
        raise EncodersError(f"device {wish!r} is not available on this machine; use --device cpu") from exc
    return wish


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bf16 is computed by the hardware rather than emulated, which would be slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    flags = torch.cpu.get_capabilities()
    return bool(flags.get("avx512_bf16") or flags.get("amx_bf16"))


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Mixed precision: `bfloat16`, `float32`, or `auto`, which uses bf16 where it is fast."""
    enabled = precision == "bfloat16" or (precision == "auto" and has_fast_bfloat16(device))
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)


def machine() -> dict[str, str | int | bool]:
    """What this machine offers to a model."""
    device = pick_device()
    return {
        "torch": str(torch.__version__),
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
        "threads": torch.get_num_threads(),
        "fast_bfloat16": has_fast_bfloat16(torch.device(device)),
    }


def keep_freed_memory() -> None:
    """Let the C library reuse freed memory instead of returning it to the system after every large tensor.

    By default glibc maps each large block anew, and the page faults cost more than the arithmetic on it: a
    training step took five times as long. What is kept is shared by all threads: else each of a server's would keep as
    much as it ever needed, a quarter of the memory at 32 clients. Nothing happens where the C library is another.
    """
    mmap_max, trim_threshold, arena_max = -4, -1, -8  # M_MMAP_MAX, M_TRIM_THRESHOLD and M_ARENA_MAX of malloc.h
    mallopt = _of_the_c_library("mallopt")
    if mallopt is not None:
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, -1)
        mallopt(arena_max, 2)


def return_freed_memory() -> None:
    """Return to the system what is free now, after work that does not come again; kept is what is freed later on."""
    malloc_trim = _of_the_c_library("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _of_the_c_library(name: str) -> Callable[..., int] | None:
    """A function of glibc; None where the C library is another."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
