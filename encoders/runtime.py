"""A model's parts in OpenVINO, several times as fast as torch on a CPU; where it is not installed, torch does the same.

A part is translated once and kept in the user's cache, so that later starts need neither torch's part nor the
translation. See docs/decisions/0011-openvino-runs-the-model.md.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from .features import Floats

FORM = 2
"""Of what is kept in the cache; another number, and nothing that is there is used."""

CHUNK = 8
"""Pictures in one inference; several inferences run side by side."""

CLOSE = 1e-3
"""So far at most may a translation be from torch."""

Array = npt.NDArray[Any]
Function = Callable[..., tuple[Tensor, ...]]


Part = tuple[Function, tuple[tuple[Tensor, ...], tuple[Tensor, ...]]]
"""What is to be translated: a function of tensors to tensors of type float32, and inputs of two sizes.

What the two differ in is left open; the second is held against torch.
"""


class Compiled:
    """A translated part. Threads may share it, and compute side by side."""

    def __init__(self, compiled: Any) -> None:  # noqa: ANN401  openvino's
        self._compiled = compiled
        self._own = threading.local()
        self._threads = ThreadPoolExecutor(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"), "openvino")

    def __call__(self, inputs: Sequence[Array]) -> list[Floats]:
        """The outputs, computed in this thread."""
        if not hasattr(self._own, "request"):
            self._own.request = self._compiled.create_infer_request()
        outputs = self._own.request.infer(list(inputs), share_inputs=True, share_outputs=True)
        return [output.copy() for output in outputs.values()]

    def in_chunks(self, rows: Array) -> list[Floats]:
        """The outputs of one long input, a few rows at a time, in several threads."""
        parts = [(np.ascontiguousarray(rows[start : start + CHUNK]),) for start in range(0, len(rows), CHUNK)]
        return [np.concatenate(outputs) for outputs in zip(*self._threads.map(self, parts), strict=True)]


class Runtime:
    """What is translated of one model. Threads may share it; one that needs a translation waits for it."""

    def __init__(self, fingerprint: str) -> None:
        self._fingerprint = fingerprint
        self._parts: dict[str, Compiled] = {}
        self._sought: set[tuple[str, bool]] = set()
        self._lock = threading.Lock()

    def part(self, name: str, describe: Callable[[], Part] | None) -> Compiled | None:
        """A part, from the cache, or translated and put there.

        Args:
            name: of the part.
            describe: what to translate; None where only the cache is worth looking at.

        Returns:
            None where OpenVINO is not installed or cannot run the part, or where only the cache was to be looked at.
        """
        with self._lock:
            if name not in self._parts and not {(name, True), (name, describe is not None)} & self._sought:
                self._sought.add((name, describe is not None))
                found = self._found(name, describe)
                if found is not None:
                    self._parts[name] = Compiled(found)
            return self._parts.get(name)

    def _found(self, name: str, describe: Callable[[], Part] | None) -> Any:  # noqa: ANN401  openvino's
        with _no_telemetry():
            try:
                import openvino  # noqa: PLC0415  a large library, for those who compute much
            except ImportError:
                return None
        version = openvino.get_version().split("-")[0]
        kept = _cache() / f"{self._fingerprint[:32]}-{name}-{FORM}-openvino-{version}"
        core = openvino.Core()
        compiled = _compiled(core, kept)
        if compiled is not None or describe is None:
            return compiled
        try:
            part = describe()
            model = _translated(part)
            compiled = core.compile_model(model, "CPU", _HOW)
            if not _agrees(compiled, part):
                return None
        except Exception:  # noqa: BLE001  whatever its frontend makes of a network it does not know, torch runs it
            return None
        _save(model, kept)
        return compiled


_HOW = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
"""Several inferences side by side. bf16 makes vectors depend on the processor."""


class _Module(nn.Module):
    """A function as its tracer wants it."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Call it."""
        return self.function(*inputs)


def _translated(part: Part) -> Any:  # noqa: ANN401  openvino's
    import openvino  # noqa: PLC0415  as above
    from openvino.frontend import FrontEndManager  # noqa: PLC0415
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder  # noqa: PLC0415

    function, (first, second) = part
    with warnings.catch_warnings(), torch.inference_mode(), _plain_attention():
        warnings.simplefilter("ignore")  # that tracing is deprecated; the new way takes several times as long
        decoder = TorchScriptPythonDecoder(_Module(function), example_input=first)
        frontend = FrontEndManager().load_by_framework("pytorch")
        model = frontend.convert(frontend.load(decoder))
    for place, one, other in zip(model.inputs, first, second, strict=True):
        shape = [a if a == b else -1 for a, b in zip(one.shape, other.shape, strict=True)]
        place.get_node().set_element_type(openvino.Type(one.numpy().dtype))
        place.get_node().set_partial_shape(openvino.PartialShape(shape))
    model.validate_nodes_and_infer_types()
    return model


def _agrees(compiled: Any, part: Part) -> bool:  # noqa: ANN401  openvino's
    """Whether it computes what torch does where the sizes are others than those it was traced with."""
    function, (_, inputs) = part
    with torch.inference_mode():
        expected = function(*inputs)
    found = Compiled(compiled)([tensor.numpy() for tensor in inputs])
    return all(
        a.shape == b.shape and bool(np.allclose(a, b.numpy(), atol=CLOSE)) for a, b in zip(found, expected, strict=True)
    )


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Attention in plain operations: torch's fused one has no translation."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(value=False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(value=before)


def _compiled(core: Any, kept: Path) -> Any:  # noqa: ANN401  openvino's
    """What the cache holds; None where there is nothing, or nothing whole."""
    path = kept / "model.xml"
    if not path.is_file():
        return None
    try:
        return core.compile_model(core.read_model(path), "CPU", _HOW)
    except RuntimeError:
        shutil.rmtree(kept, ignore_errors=True)
        return None


def _save(model: Any, kept: Path) -> None:  # noqa: ANN401  openvino's
    """Keep a translation, whole or not at all; where nothing can be written, the next start translates again."""
    import openvino  # noqa: PLC0415  as above

    with suppress(OSError, RuntimeError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as made:
            openvino.save_model(model, Path(made, "whole", "model.xml"), compress_to_fp16=False)
            Path(made, "whole").rename(kept)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crosslook" / "runtime"


@contextmanager
def _no_telemetry() -> Iterator[None]:
    """OpenVINO's tools report to a server how they are used, unless their reporter cannot be imported."""
    name = "openvino_telemetry"
    before = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]  # makes an import fail
    try:
        yield
    finally:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
