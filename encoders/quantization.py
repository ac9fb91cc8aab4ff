"""A model's image part in int8: twice as fast on processors with VNNI (docs/decisions/0020-pictures-in-int8.md).

Convolutions multiply int8 weights, one scale a channel, with uint8 activations, whose ranges are measured on
photographs. The graph holds scales and biases; the int8 weights are computed from the stored ones as it is loaded.

Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
https://arxiv.org/abs/1712.05877; the form is ONNX's, QuantizeLinear and DequantizeLinear around each operation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from .checkpoint.description import Description
from .checkpoint.weights import BLOCK, Array, read_packed_weights, unpack_weights
from .features import Floats, Pixels
from .inference.graph_parts import GraphParts
from .preprocess import to_square

if TYPE_CHECKING:
    import onnx

PHOTOGRAPHS = 200
"""Enough to measure ranges."""
LARGEST_BIAS = 2**30
"""Half of an int32, which leaves room for the products. Where weights are nearly 0, the scale is raised to fit it."""
FLOAT = 1
"""ONNX's number for float32."""
UNPACKED = " unpacked"
"""What `export.py` appends to the name of a weight once it is unpacked."""


class Range(NamedTuple):
    """The smallest and the largest value of an activation, which include zero."""

    low: float
    high: float

    @property
    def scale(self) -> float:
        """The width of one of 255 steps."""
        return max(self.high - self.low, 1e-6) / 255

    @property
    def zero_point(self) -> int:
        """The step that stands for zero."""
        return round(-self.low / self.scale)


class _Convolution(NamedTuple):
    """A convolution with its batch norm, and the ReLU or ReLU6 behind it, which the range of its output replaces."""

    node: onnx.NodeProto
    norm: onnx.NodeProto
    activation: onnx.NodeProto | None

    @property
    def output(self) -> str:
        return str((self.activation or self.norm).output[0])


def sample_photographs(paths: Sequence[Path], open_picture: Callable[[Path], Image.Image], size: int) -> Pixels:
    """Read pictures evenly from a list, as squares: (at most `PHOTOGRAPHS`, size, size, 3)."""
    count = min(PHOTOGRAPHS, len(paths))
    return np.stack([to_square(open_picture(paths[i * len(paths) // count]), size) for i in range(count)])


def quantize_image_part(graph: bytes, description: Description, photographs: Pixels) -> bytes | None:
    """Quantise the convolutions of an image part.

    Args:
        graph: that of the image part, as `export.py` writes it.
        description: of the model, to whose weights the graph refers.
        photographs: (N, S, S, 3), uint8; a few hundred of the kind that the model will see.

    Returns:
        A graph with the same inputs and outputs; None if the CNN has more between its convolutions than batch norms,
        ReLUs directly behind these, and sums: MobileNetV2 and EfficientNet-lite have no more, ResNet has.
    """
    from onnx import load_from_string  # noqa: PLC0415  only an export needs it

    model = load_from_string(graph)
    convolutions = _convolutions(model.graph)
    if not convolutions:
        return None
    quantized = {c.output for c in convolutions} | {convolutions[0].node.input[0]}
    sums = _sums(model.graph, quantized)
    quantized |= {node.output[0] for node in sums}
    if not quantized.issuperset(c.node.input[0] for c in convolutions):
        return None
    ranges = _measure(model, quantized, description, photographs)
    stored = unpack_weights(read_packed_weights(description.weights, "image."))
    _Rewriter(model.graph, ranges, stored).run(convolutions, sums)
    return bytes(model.SerializeToString())


def _convolutions(graph: onnx.GraphProto) -> list[_Convolution]:
    """All convolutions; none if one has a bias or no batch norm."""
    users = _users(graph)
    found = []
    for node in graph.node:
        if node.op_type == "Conv":
            norms = users.get(node.output[0], [])
            if len(node.input) > 2 or [norm.op_type for norm in norms] != ["BatchNormalization"]:
                return []
            behind = users.get(norms[0].output[0], [])
            activation = behind[0] if len(behind) == 1 and behind[0].op_type in ("Clip", "Relu") else None
            found.append(_Convolution(node, norms[0], activation))
    return found


def _sums(graph: onnx.GraphProto, quantized: set[str]) -> list[onnx.NodeProto]:
    """The sums of quantised activations, and of such sums."""
    known, sums = set(quantized), []
    for node in graph.node:
        if node.op_type == "Add" and known.issuperset(node.input):
            known.add(node.output[0])
            sums.append(node)
    return sums


def _users(graph: onnx.GraphProto) -> dict[str, list[onnx.NodeProto]]:
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    return users


def _measure(
    model: onnx.ModelProto, names: set[str], description: Description, photographs: Pixels
) -> dict[str, Range]:
    """Measure the ranges of some activations over photographs."""
    from onnx import helper  # noqa: PLC0415  as above

    observed = type(model)()
    observed.CopyFrom(model)
    ordered = sorted(names)
    observed.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in ordered)
    parts = GraphParts(description, {"image": observed.SerializeToString()})
    lows, highs = np.zeros(len(ordered)), np.zeros(len(ordered))
    for start in range(0, len(photographs), parts.image_batch):
        values = parts.run("image", [photographs[start : start + parts.image_batch]])[-len(ordered) :]
        lows = np.minimum(lows, [value.min() for value in values])
        highs = np.maximum(highs, [value.max() for value in values])
    return {name: Range(float(low), float(high)) for name, low, high in zip(ordered, lows, highs, strict=True)}


class _Rewriter:
    """Rewrites a graph. Weights are unpacked by plain operations: ONNX Runtime leaves DequantizeLinear for later."""

    def __init__(self, graph: onnx.GraphProto, ranges: Mapping[str, Range], weights: Mapping[str, Array]) -> None:
        self._graph, self._ranges, self._weights = graph, ranges, weights
        self._nodes: list[onnx.NodeProto] = []

    def run(self, convolutions: Sequence[_Convolution], sums: Sequence[onnx.NodeProto]) -> None:
        """Replace convolutions, their batch norms and ReLUs, the sums, and DequantizeLinear."""
        of_node = {c.node.output[0]: c for c in convolutions}
        gone = {part.output[0] for c in convolutions for part in (c.norm, c.activation) if part is not None}
        added = {node.output[0] for node in sums}
        for node in list(self._graph.node):
            output = node.output[0]
            if output in of_node:
                self._convolution(of_node[output])
            elif output in added:
                inputs = [f"{name} quantized" for name in node.input]
                self._add("Add", inputs, f"{output} exact")
                self._quantize(f"{output} exact", output)
            elif node.op_type == "DequantizeLinear":
                self._unpack(node)
            elif output not in gone:
                self._nodes.append(node)
                if output in self._ranges:
                    self._quantize(output, output)
        kept = {name for node in self._nodes for name in node.input} | {o.name for o in self._graph.output}
        del self._graph.node[:]
        self._graph.node.extend(node for node in self._nodes if kept.intersection(node.output))
        used = {name for node in self._graph.node for name in node.input}
        initializers = [tensor for tensor in self._graph.initializer if tensor.name in used]
        del self._graph.initializer[:]
        self._graph.initializer.extend(initializers)

    def _convolution(self, convolution: _Convolution) -> None:
        node, norm = convolution.node, convolution.norm
        name, output = node.input[1].removesuffix(UNPACKED), convolution.output
        epsilon = next(a.f for a in norm.attribute if a.name == "epsilon")
        gamma, beta, mean, variance = (self._weights[x.removesuffix(UNPACKED)] for x in norm.input[1:5])
        factors: Floats = (gamma / np.sqrt(variance + epsilon)).astype(np.float32)
        bias = beta - mean * factors
        largest = np.abs(self._weights[name] * factors.reshape(-1, 1, 1, 1)).reshape(len(factors), -1).max(axis=1)
        step = np.float32(self._ranges[node.input[0]].scale)
        scales = np.maximum(largest / 127, np.abs(bias) / step / LARGEST_BIAS)
        scales = np.maximum(scales, 1e-12).astype(np.float32)
        factors_name = self._constant(f"{name} factors", factors.reshape(-1, 1, 1, 1))
        scales_name = self._constant(f"{name} steps", scales)
        self._add("Mul", [node.input[1], factors_name], f"{name} folded")
        zero = self._constant(f"{name} zero", np.zeros(len(scales), np.int8))
        self._add("QuantizeLinear", [f"{name} folded", scales_name, zero], f"{name} int8", axis=0)
        self._add("DequantizeLinear", [f"{name} int8", scales_name, zero], f"{name} quantized", axis=0)
        bias_steps = self._constant(f"{name} bias steps", step * scales)
        bias_name = self._constant(f"{name} bias", np.rint(bias / (step * scales)).astype(np.int32))
        self._add("DequantizeLinear", [bias_name, bias_steps], f"{name} bias quantized", axis=0)
        inputs = [f"{node.input[0]} quantized", f"{name} quantized", f"{name} bias quantized"]
        self._add("Conv", inputs, f"{output} exact")
        self._nodes[-1].attribute.extend(node.attribute)
        self._quantize(f"{output} exact", output)

    def _quantize(self, exact: str, name: str) -> None:
        """Round an activation to its steps; its old name is that of the result, for whatever is not quantised."""
        range_ = self._ranges[name]
        scale = self._constant(f"{name} step", np.float32(range_.scale))
        zero = self._constant(f"{name} zero", np.uint8(range_.zero_point))
        self._add("QuantizeLinear", [exact, scale, zero], f"{name} uint8")
        self._add("DequantizeLinear", [f"{name} uint8", scale, zero], f"{name} quantized")
        if exact != name:
            self._add("DequantizeLinear", [f"{name} uint8", scale, zero], name)

    def _unpack(self, node: onnx.NodeProto) -> None:
        """Unpack a matrix of int8 with a scale for each block of a row, which may be turned."""
        (matrix, scales), output = node.input, node.output[0]
        stored = self._weights[matrix.removesuffix(" flat").removesuffix(" turned")]
        axis = next(a.i for a in node.attribute if a.name == "axis")
        blocks = self._constant(f"{output} blocks", np.arange(stored.size // len(stored)) // BLOCK)
        self._add("Gather", [scales, blocks], f"{output} scales", axis=axis)
        self._add("Cast", [matrix], f"{output} unscaled", to=FLOAT)
        self._add("Mul", [f"{output} unscaled", f"{output} scales"], output)

    def _constant(self, name: str, value: npt.ArrayLike) -> str:
        from onnx import numpy_helper  # noqa: PLC0415  as above

        self._graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def _add(self, operation: str, inputs: Sequence[str], output: str, **attributes: Any) -> None:  # noqa: ANN401
        from onnx import helper  # noqa: PLC0415  as above

        self._nodes.append(helper.make_node(operation, inputs, [output], **attributes))
