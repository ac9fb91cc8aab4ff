"""Writing a model's graphs for ONNX Runtime, from torch: see `checkpoint/graphs.py`."""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor

from .architecture import PAIR, ModelConfig
from .checkpoint.description import Description, read_description
from .checkpoint.files import load_part
from .checkpoint.graphs import GRAPHS, INT8, VERSION, graph_file, read_graphs
from .checkpoint.identity import BASE_MODEL, WEIGHTS
from .checkpoint.weights import BLOCK, ROW_SCALE, SCALES, StoredTensor, stored_tensors
from .durable import publish
from .features import Pixels
from .network.parts import PARTS
from .progress import Progress, no_progress
from .quantization import quantize_image_part

if TYPE_CHECKING:
    import onnx

OPSET = 21
"""The first ONNX version whose DequantizeLinear takes one scale for each block."""

INPUTS = {"image": ["pixels"], "text": ["ids", "mask", "attended"], "reranker": ["regions", "tokens", "mask"]}
OUTPUTS = {
    "image": ["vectors", "regions"],
    "text": ["vectors", "states"],
    "reranker": ["logits", "global_matches", "attention"],
}
DYNAMIC = {"image": [[0]], "text": [[0, 1]] * 3, "reranker": [[0, 1], [0, 1], [0, 1]]}
"""The dimensions of each input that change from run to run."""

OLDEST = 2
"""The oldest version of a model's format that has graphs."""

STORED = {"F16": "FLOAT16", "F32": "FLOAT", "I8": "INT8"}
"""ONNX's names of the types of stored weights."""


def write_graphs(
    directory: Path, progress: Progress = no_progress, photographs: Callable[[int], Pixels] | None = None
) -> bool:
    """Write the graphs of the model in a directory. Where it has the base model's architecture, exact ones are copies.

    Args:
        directory: of the model.
        progress: called as the work proceeds.
        photographs: reads some pictures at a size S: (N, S, S, 3). With them the image part is written in int8 as
            well, if it can be; whatever fails then, the exact graphs are there.

    Returns:
        Whether the model has graphs now. One with a recurrent text tower, or of the format's first version, has none,
        and torch runs it.

    Raises:
        CheckpointError: the directory holds no usable model.
    """
    description = read_description(directory)
    if description.config.text_tower not in ("transformer", PAIR) or description.version < OLDEST:
        return False
    stored = stored_tensors(description.weights)
    graphs = _graphs_of_base(description.config, stored)
    for number, part in enumerate(PARTS):
        progress("writing graphs", number, len(PARTS))
        if part not in graphs:
            graphs[part] = _export(description, part, stored)
    _publish(directory, description, graphs)
    if photographs is not None and description.config.backbone != PAIR:
        pictures = photographs(description.config.input_size)
        quantized = quantize_image_part(graphs["image"], description, pictures)
        if quantized is not None:
            _publish(directory, description, graphs | {INT8: quantized})
    progress("writing graphs", len(PARTS), len(PARTS))
    return True


def _publish(directory: Path, description: Description, graphs: Mapping[str, bytes]) -> None:
    """Write graphs, and last the file that lists them."""
    document = {
        "version": VERSION,
        "weights_sha256": description.weights.digest,
        "graphs": {part: hashlib.sha256(graph).hexdigest() for part, graph in graphs.items()},
    }
    files = {graph_file(part): graph for part, graph in graphs.items()}
    for name, content in (files | {GRAPHS: (json.dumps(document, indent=1) + "\n").encode()}).items():
        temporary = directory / f"{name}.tmp"
        temporary.write_bytes(content)
        publish(temporary, directory / name)


def _graphs_of_base(config: ModelConfig, stored: Mapping[str, StoredTensor]) -> dict[str, bytes]:
    """Return the base model's exact graphs if they fit this model: they depend on its architecture only."""
    from onnx import load_from_string  # noqa: PLC0415  only an export needs it

    base = read_description(BASE_MODEL)
    forms = [{name: tensor[:2] for name, tensor in each.items()} for each in (stored_tensors(base.weights), stored)]
    if base.config != config or forms[0] != forms[1]:
        return {}
    graphs: dict[str, bytes] = {}
    for part, graph in (read_graphs(BASE_MODEL, base.weights.digest) or {}).items():
        if part == INT8:  # whose scales are those of its weights
            continue
        model = load_from_string(graph)
        for tensor in model.graph.initializer:
            if tensor.name in stored:
                _locate(tensor, stored[tensor.name])
        graphs[part] = model.SerializeToString()
    return graphs


def _locate(proto: onnx.TensorProto, tensor: StoredTensor) -> None:
    """Say where the values of an initializer are."""
    del proto.external_data[:]
    for key, value in (("location", WEIGHTS), ("offset", tensor.offset), ("length", tensor.length)):
        proto.external_data.add(key=key, value=str(value))


def _export(description: Description, part: str, stored: Mapping[str, StoredTensor]) -> bytes:
    """Export one part, its weights replaced by references to the file that stores them."""
    module = load_part(description, f"{part}.", lambda: PARTS[part](description.config))
    examples = _examples(part, description.config)
    changing = [[0, 1]] if part == "image" and description.config.backbone == PAIR else DYNAMIC[part]
    dimensions = [dict.fromkeys(axes, torch.export.Dim.DYNAMIC) for axes in changing]
    with torch.no_grad(), plain_attention(), quiet():
        outputs = OUTPUTS[part][: len(module(*examples))]
        traced = torch.export.export(module, examples, dynamic_shapes=tuple(dimensions))
        program = torch.onnx.export(
            traced,
            dynamo=True,
            optimize=False,  # it would fold weights into each other
            verbose=False,
            opset_version=OPSET,
            input_names=INPUTS[part],
            output_names=outputs,
        )
    model = _simplified(cast("torch.onnx.ONNXProgram", program).model_proto)
    _refer_to_stored_weights(model, stored)
    _check_weights(model, part, stored)
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del model.metadata_props[:], model.graph.metadata_props[:], model.graph.value_info[:]
    return bytes(model.SerializeToString())


def _examples(part: str, config: ModelConfig) -> tuple[Tensor, ...]:
    """Inputs of a part; none of the dynamic dimensions is 0 or 1, which the export would take for constants."""
    if part == "image" and config.backbone == PAIR:
        return (torch.rand(2, 5, max(config.dimension, config.region_width)),)
    if part == "image":
        return (torch.zeros(2, config.input_size, config.input_size, 3, dtype=torch.uint8),)
    mask = torch.ones(3, 5, dtype=torch.bool)
    if part == "text" and config.text_tower == PAIR:
        return torch.rand(3, 5, max(config.dimension, config.token_width)), mask, mask.clone()
    if part == "text":
        return torch.ones(3, 5, dtype=torch.int64), mask, mask.clone()
    return torch.rand(3, 4, config.channels), torch.rand(3, 5, config.channels), mask


def _simplified(model: onnx.ModelProto) -> onnx.ModelProto:
    """Compute what does not depend on inputs or weights, and drop what nothing uses."""
    from onnxscript import ir, optimizer  # noqa: PLC0415  only an export needs it

    weights = [tensor for tensor in model.graph.initializer if "." in tensor.name]  # the others are constants
    constants = [tensor for tensor in model.graph.initializer if "." not in tensor.name]
    inputs = list(model.graph.input)
    _replace(model.graph.initializer, constants)
    model.graph.input.extend(_as_inputs(weights))
    simplified = ir.to_proto(optimizer.optimize(ir.from_proto(model), num_iterations=4))
    _replace(simplified.graph.input, inputs)
    used = {name for node in simplified.graph.node for name in node.input}
    simplified.graph.initializer.extend(tensor for tensor in weights if tensor.name in used)
    return simplified


def _as_inputs(weights: Sequence[onnx.TensorProto]) -> Iterator[onnx.ValueInfoProto]:
    from onnx import helper  # noqa: PLC0415  as above

    return (helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims) for tensor in weights)


def _refer_to_stored_weights(model: onnx.ModelProto, stored: Mapping[str, StoredTensor]) -> None:
    """Replace each weight by the stored one, and the few operations that unpack it."""
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415  as above

    graph = model.graph
    names = sorted(tensor.name for tensor in graph.initializer if tensor.name in stored)
    _replace(graph.initializer, [tensor for tensor in graph.initializer if tensor.name not in stored])
    unpacking: list[onnx.NodeProto] = []

    def refer(name: str) -> str:
        tensor = stored[name]
        proto = TensorProto(name=name, data_type=getattr(TensorProto, STORED[tensor.type]), dims=tensor.shape)
        proto.data_location = TensorProto.EXTERNAL
        _locate(proto, tensor)
        graph.initializer.append(proto)
        return name

    def reshape(name: str, output: str, shape: Sequence[int]) -> str:
        graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), f"{output} shape"))
        unpacking.append(helper.make_node("Reshape", [name, f"{output} shape"], [output]))
        return output

    for name in names:
        unpacked, shape = f"{name} unpacked", stored[name].shape
        users = [node for node in graph.node if name in node.input]
        only = users[0].op_type if len(users) == 1 and users[0].input[0] == name else None
        refer(name)
        if stored[name].type != "I8":
            unpacking.append(helper.make_node("Cast", [name], [unpacked], to=TensorProto.FLOAT))
        else:
            scales = refer(name + (SCALES if name + SCALES in stored else ROW_SCALE))
            if only == "Gather":
                nodes = _unpacked_found(name, scales, users[0])
                position = list(graph.node).index(users[0])
                _replace(graph.node, [*graph.node[:position], *nodes, *graph.node[position + 1 :]])
                continue
            if only == "Transpose" and len(shape) == 2:
                unpacking += _unpacked_columns(name, scales, users[0].output[0])
                graph.node.remove(users[0])
                continue
            if len(shape) == 2:
                unpacking.append(_unpacked_rows(name, scales, unpacked))
            else:
                flat = reshape(name, f"{name} flat", [shape[0], -1])
                unpacking.append(_unpacked_rows(flat, scales, f"{flat} unpacked"))
                reshape(f"{flat} unpacked", unpacked, shape)
        for node in users:
            _replace(node.input, [unpacked if value == name else value for value in node.input])
    _replace(graph.node, [*unpacking, *graph.node])


def _unpacked_rows(matrix: str, scales: str, output: str) -> onnx.NodeProto:
    """Unpack a matrix of int8: (R, W) → (R, W)."""
    from onnx import helper  # noqa: PLC0415  as above

    axis: dict[str, Any] = {"axis": 1, "block_size": BLOCK} if scales.endswith(SCALES) else {"axis": 0}
    return helper.make_node("DequantizeLinear", [matrix, scales], [output], **axis)


def _unpacked_columns(matrix: str, scales: str, output: str) -> list[onnx.NodeProto]:
    """Turn a packed matrix and unpack it: (R, W) → (W, R). Turning the unpacked one takes four times the memory."""
    from onnx import helper  # noqa: PLC0415  as above

    turned, by_block = f"{matrix} turned", scales.endswith(SCALES)
    nodes = [helper.make_node("Transpose", [matrix], [turned])]
    if by_block:
        nodes.append(helper.make_node("Transpose", [scales], [f"{scales} turned"]))
        scales = f"{scales} turned"
    axis: dict[str, Any] = {"axis": 0, "block_size": BLOCK} if by_block else {"axis": 1}
    return [*nodes, helper.make_node("DequantizeLinear", [turned, scales], [output], **axis)]


def _unpacked_found(matrix: str, scales: str, gather: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Look words up in a packed embedding, and unpack only their rows: (…) → (…, W)."""
    from onnx import TensorProto, helper  # noqa: PLC0415  as above

    ids, output, found, found_scales = gather.input[1], gather.output[0], f"{matrix} found", f"{scales} found"
    nodes = [helper.make_node("Gather", [matrix, ids], [found])]
    if scales.endswith(SCALES):
        nodes.append(helper.make_node("Gather", [scales, ids], [found_scales]))
        unpack = helper.make_node("DequantizeLinear", [found, found_scales], [output], axis=-1, block_size=BLOCK)
        return [*nodes, unpack]
    column = helper.make_tensor(f"{matrix} column", TensorProto.INT64, [2], [-1, 1])
    return [
        helper.make_node("Constant", [], [f"{matrix} column"], value=column),
        helper.make_node("Reshape", [scales, f"{matrix} column"], [f"{scales} column"]),
        helper.make_node("Gather", [f"{scales} column", ids], [found_scales]),
        *nodes,
        helper.make_node("Cast", [found], [f"{found} unscaled"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{found} unscaled", found_scales], [output]),
    ]


def _check_weights(model: onnx.ModelProto, part: str, stored: Mapping[str, StoredTensor]) -> None:
    """Check that the graph uses every stored weight of its part, as `GraphParts` supplies them."""
    used = {tensor.name for tensor in model.graph.initializer if tensor.name in stored}
    expected = {name for name, tensor in stored.items() if name.startswith(f"{part}.") and tensor.type in STORED}
    if used != expected:
        raise RuntimeError(f"the graph of {part} and its weights differ in {sorted(used ^ expected)[:3]}")


def _replace(field: Any, values: Sequence[Any]) -> None:  # noqa: ANN401  protobuf's repeated fields
    values = list(values)
    del field[:]
    field.extend(values)


@contextmanager
def plain_attention() -> Iterator[None]:
    """Compute attention with plain operations: torch's fused kernel has no counterpart in ONNX."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(value=False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(value=enabled)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the exporter's warnings about its own workings from the user."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
