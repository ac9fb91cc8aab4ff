"""The graphs of a model: its parts for ONNX Runtime, beside the weights that they use. Reading them needs no torch.

A graph holds no weights of its own: its initializers refer to `model.safetensors`. `graphs.json` says which weights
they were made for. See docs/decisions/0017-onnx-runtime-runs-the-model.md.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from ..errors import CheckpointError, first_line
from .identity import WEIGHTS
from .onnx_file import external_files

GRAPHS = "graphs.json"
PARTS = ("image", "text", "reranker")
INT8 = "image.int8"
"""The image part in int8, beside the exact one; a model may have none."""
VERSION = 1


def graph_file(part: str) -> str:
    """Return the name of a part's file."""
    return f"{part}.onnx"


def remove_graphs(directory: Path) -> None:
    """Remove the graphs of a model whose weights are about to change."""
    for path in (directory / GRAPHS, *directory.glob(graph_file("*"))):
        path.unlink(missing_ok=True)


def read_graphs(directory: Path, weights_digest: str) -> dict[str, bytes] | None:
    """Read and check the graphs of a model.

    Args:
        directory: of the model.
        weights_digest: SHA-256 of the model's weights, in hexadecimal digits.

    Returns:
        The graphs by the names of their parts; None if the model has none, or has graphs of a later version.

    Raises:
        CheckpointError: a file is missing, cut short or altered, or belongs to other weights.
    """
    index = directory / GRAPHS
    try:
        document = json.loads(index.read_bytes())
        if document["version"] > VERSION:
            return None
        if document["weights_sha256"] != weights_digest:
            raise CheckpointError(f"{index} belongs to other weights; copy the model again")
        graphs: dict[str, bytes] = {}
        for part, digest in document["graphs"].items():
            graphs[part] = (directory / graph_file(part)).read_bytes()
            if hashlib.sha256(graphs[part]).hexdigest() != digest:
                raise CheckpointError(f"{directory / graph_file(part)} is cut short or altered; copy the model again")
            if external_files(np.frombuffer(graphs[part], np.uint8), index) != {WEIGHTS}:
                raise CheckpointError(f"{directory / graph_file(part)} keeps weights elsewhere, which is refused")
        if graphs.keys() - {INT8} != set(PARTS):
            raise CheckpointError(f"{index} lists other parts than {', '.join(PARTS)}; copy the model again")
    except FileNotFoundError as exc:
        if exc.filename == str(index):
            return None
        raise CheckpointError(f"{exc.filename} is missing; copy the model again") from exc
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise CheckpointError(f"{index} cannot be read ({first_line(exc)}); copy the model again") from exc
    return graphs
