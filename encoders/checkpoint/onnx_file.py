"""What an ONNX file refers to, read without the onnx library and without its weights.

Source: the format's schema, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, and the wire format of protocol
buffers, https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import CheckpointError

_MODEL_GRAPH, _MODEL_FUNCTIONS = 7, 25
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_FUNCTION_NODE = 7
_NODE_ATTRIBUTE = 5
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = 5, 6, 10, 11
_ATTRIBUTE_SPARSE, _ATTRIBUTE_SPARSES = 22, 23
_SPARSE_VALUES, _SPARSE_INDICES = 1, 2
_TENSOR_NAME, _TENSOR_EXTERNAL = 8, 13
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

_NESTED = {
    "model": {_MODEL_GRAPH: "graph", _MODEL_FUNCTIONS: "function"},
    "graph": {_GRAPH_NODE: "node", _GRAPH_INITIALIZER: "tensor", _GRAPH_SPARSE: "sparse"},
    "function": {_FUNCTION_NODE: "node"},
    "sparse": {_SPARSE_VALUES: "tensor", _SPARSE_INDICES: "tensor"},
    "node": {_NODE_ATTRIBUTE: "attribute"},
    "attribute": {
        _ATTRIBUTE_TENSOR: "tensor",
        _ATTRIBUTE_GRAPH: "graph",
        _ATTRIBUTE_TENSORS: "tensor",
        _ATTRIBUTE_GRAPHS: "graph",
        _ATTRIBUTE_SPARSE: "sparse",
        _ATTRIBUTE_SPARSES: "sparse",
    },
    "tensor": {_TENSOR_EXTERNAL: "entry"},
}
"""The messages inside each message that can lead to a tensor, by their field numbers."""

DEEPEST = 32
"""Messages inside each other; real models have at most about ten."""


def external_weights(content: npt.NDArray[np.uint8], path: Path) -> list[tuple[str, str]]:
    """Return the weights that an ONNX file keeps in other files: their names, and the files.

    Args:
        content: of the file.
        path: of the file, for the message.

    Returns:
        Names, empty for constants, with files as the ONNX file writes them: relative to its folder.

    Raises:
        CheckpointError: it is not an ONNX file, or is cut short.
    """
    try:
        return list(_external(memoryview(content.data), "model", 0))
    except (ValueError, IndexError) as exc:
        raise CheckpointError(f"{path} is not a complete ONNX file; fetch it again") from exc


def external_files(content: npt.NDArray[np.uint8], path: Path) -> set[str]:
    """Return the files in which an ONNX file keeps weights; arguments and errors as for `external_weights`."""
    return {file for _, file in external_weights(content, path)}


def _external(message: memoryview, kind: str, depth: int) -> Iterator[tuple[str, str]]:
    if depth > DEEPEST:
        raise ValueError("nested too deeply")
    name, files = "", []
    for number, value in _fields(message):
        if kind == "tensor" and number == _TENSOR_NAME:
            name = bytes(value).decode("utf-8")
        inner = _NESTED[kind].get(number)
        if inner is None:
            continue
        if inner == "entry":
            entry = {key: bytes(content) for key, content in _fields(value)}
            if entry.get(_ENTRY_KEY) == b"location":
                files.append(entry.get(_ENTRY_VALUE, b"").decode("utf-8"))
        else:
            yield from _external(value, inner, depth + 1)
    for file in files:
        yield name, file


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Iterate over the fields of a message that hold bytes, and skip the others."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise ValueError("no field has the number 0")
        if wire == _VARINT:
            _, position = _varint(message, position)
        elif wire in (_FIXED64, _FIXED32):
            position += 8 if wire == _FIXED64 else 4
        elif wire == _BYTES:
            length, position = _varint(message, position)
            if position + length > len(message):
                raise ValueError("cut short")
            yield number, message[position : position + length]
            position += length
        else:
            raise ValueError(f"unknown wire type {wire}")
    if position != len(message):
        raise ValueError("cut short")


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Read a number, and return it with the position after it."""
    value = 0
    for shift in range(0, 64, 7):
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, position
    raise ValueError("a number of more than 64 bits")
