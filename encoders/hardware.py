"""The hardware that models run on, described without loading torch."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

CPU_FLAGS = Path("/proc/cpuinfo")
CUDA_LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def nvidia_gpus() -> tuple[str, ...]:
    """Return the names of the GPUs that NVIDIA's driver offers; none without a driver.

    Source: CUDA Driver API, https://docs.nvidia.com/cuda/cuda-driver-api/.
    """
    try:
        driver = ctypes.CDLL(CUDA_LIBRARY)
    except OSError:
        return ()
    count = ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return ()
    return tuple(_gpu_name(driver, device) for device in range(count.value))


@cache
def has_vnni() -> bool:
    """Whether the processor has instructions that sum products of bytes in 32 bits.

    Detected on x86 Linux only. Without them ONNX Runtime sums pairs of products in 16 bits, which saturates; elsewhere
    nobody measured whether int8 is faster.
    """
    try:
        flags = CPU_FLAGS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return any(flag in flags for flag in ("avx512_vnni", "avx_vnni"))


def machine() -> dict[str, str | int | list[str] | None]:
    """Describe what models run on; a package that is not installed is None."""
    return {
        "onnxruntime": package_version("onnxruntime"),
        "torch": package_version("torch"),
        "gpus": list(nvidia_gpus()),
        "cores": available_cores(),
    }


def package_version(package: str) -> str | None:
    """Return the version of an installed package; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _gpu_name(driver: ctypes.CDLL, device: int) -> str:
    name = ctypes.create_string_buffer(256)
    return name.value.decode() if not driver.cuDeviceGetName(name, len(name), device) else f"GPU {device}"
