"""The device that torch runs on, and mixed precision."""

from __future__ import annotations

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
