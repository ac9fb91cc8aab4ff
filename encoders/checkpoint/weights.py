"""The weights of a model as they are stored: large matrices in a byte a value, see decision 9. No torch."""

from __future__ import annotations

import json
import math
import struct
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import CheckpointError, first_line
from .identity import DESCRIPTION, WeightsFile

LARGE, BLOCK = 2**16, 32
SCALES, ROW_SCALE = ".scales", ".row_scale"
"""Ends of the names of int8 matrices' scales: one for each block of a row, and, up to version 2, one for each row."""

TYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "I8": np.dtype("i1"),
    "I64": np.dtype("<i8"),
}
"""The types in which weights are stored, by their names in the format."""

LARGEST_HEADER = 100_000_000
"""The format's own limit."""

Array = npt.NDArray[Any]


class StoredTensor(NamedTuple):
    """Where a weights file stores a tensor: type as safetensors names it, shape, first byte and number of bytes."""

    type: str
    shape: tuple[int, ...]
    offset: int
    length: int


def stored_tensors(file: WeightsFile) -> dict[str, StoredTensor]:
    """Read where a weights file stores each tensor.

    Source: the format's description, https://huggingface.co/docs/safetensors.

    Raises:
        CheckpointError: the file cannot be read, or was overwritten.
    """
    return _header(_content(file), file)


def read_packed_weights(file: WeightsFile, prefix: str) -> dict[str, Array]:
    """Map the weights whose names start with `prefix`, as `pack_weights` packed them; what is not used is not read.

    Raises:
        CheckpointError: the file cannot be read, or was overwritten.
    """
    content = _content(file)
    try:
        return {
            name: content[tensor.offset : tensor.offset + tensor.length].view(TYPES[tensor.type]).reshape(tensor.shape)
            for name, tensor in _header(content, file).items()
            if name.startswith(prefix)
        }
    except (KeyError, TypeError, ValueError) as exc:
        raise _unfit(file, exc) from exc


def _content(file: WeightsFile) -> npt.NDArray[np.uint8]:
    try:
        content = np.asarray(np.memmap(file.path_to_open(), np.uint8, mode="r"))
    except (OSError, ValueError) as exc:
        raise _unfit(file, exc) from exc
    file.check()
    return content


def _header(content: npt.NDArray[np.uint8], file: WeightsFile) -> dict[str, StoredTensor]:
    try:
        (size,) = struct.unpack("<Q", content[:8].tobytes())
        if size > LARGEST_HEADER:
            raise ValueError(f"a header of {size:,} bytes")  # noqa: TRY301  handled like any other damage
        header = json.loads(content[8 : 8 + size].tobytes())
        start = 8 + size
        return {
            name: StoredTensor(entry["dtype"], tuple(entry["shape"]), start + first, last - first)
            for name, entry in header.items()
            if name != "__metadata__"
            for first, last in [entry["data_offsets"]]
        }
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise _unfit(file, exc) from exc


def _unfit(file: WeightsFile, exc: BaseException) -> CheckpointError:
    return CheckpointError(f"{file.path}: its weights do not fit {DESCRIPTION} ({first_line(exc)})")


def pack_weights(weights: dict[str, Array]) -> dict[str, Array]:
    """Quantise large matrices to int8, each `BLOCK` values of a row with one scale; the rest to half precision."""
    packed: dict[str, Array] = {}
    for name, value in weights.items():
        is_float = np.issubdtype(value.dtype, np.floating)
        if is_float and value.ndim > 1 and value.size >= LARGE:
            blocks = _blocks(value)
            scales = np.maximum(np.abs(blocks).max(2, keepdims=True), np.float32(1e-12)) / np.float32(127)
            packed[name] = _from_blocks(np.rint(blocks / scales), value.shape).astype(np.int8)
            packed[name + SCALES] = scales.squeeze(2)
        else:
            packed[name] = value.astype(np.float16) if is_float else value
    return {name: np.ascontiguousarray(value).reshape(value.shape) for name, value in packed.items()}


def unpack_weights(packed: dict[str, Array]) -> dict[str, Array]:
    """Restore in float32 what `pack_weights` packed; large matrices to within half a quantisation step."""
    weights: dict[str, Array] = {}
    for name, value in packed.items():
        if name + SCALES in packed:
            weights[name] = _from_blocks(_blocks(value) * packed[name + SCALES][:, :, None], value.shape)
        elif name + ROW_SCALE in packed:
            weights[name] = value * packed[name + ROW_SCALE].reshape(-1, *[1] * (value.ndim - 1))
        elif not name.endswith((SCALES, ROW_SCALE)):
            weights[name] = np.array(value, np.float32 if np.issubdtype(value.dtype, np.floating) else value.dtype)
    return weights


def _blocks(value: Array) -> Array:
    """Cut the rows of a matrix or convolution into blocks, the last one padded: (R, …) → (R, blocks, `BLOCK`)."""
    rows = value.reshape(len(value), -1).astype(np.float32)
    return np.pad(rows, ((0, 0), (0, -rows.shape[1] % BLOCK))).reshape(len(rows), -1, BLOCK)


def _from_blocks(blocks: Array, shape: tuple[int, ...]) -> Array:
    """Undo `_blocks`."""
    return np.ascontiguousarray(blocks.reshape(len(blocks), -1)[:, : math.prod(shape[1:])]).reshape(shape)
