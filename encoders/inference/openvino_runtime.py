"""A model's parts in OpenVINO, several times as fast as torch on a CPU; where it is not installed, torch does the same.

A part is translated once and kept in the user's cache, with what torch makes of an example, so that later starts need
neither torch's part nor the translation. See docs/decisions/0011-openvino-runs-the-model.md.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import sys
import tempfile
import threading
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..checkpoint.identity import first_line
from ..device import return_freed_memory
from ..features import Floats

CHUNK = 8
"""Pictures in one inference; several inferences run side by side."""

CLOSE = 1e-3
"""So far at most may a translation be from torch."""

Array = npt.NDArray[Any]
Function = Callable[..., tuple[Tensor, ...]]


Translatable = tuple[Function, tuple[tuple[Tensor, ...], tuple[Tensor, ...]]]
"""What is to be translated: a function of tensors to tensors of type float32, and inputs of two sizes.

What the two differ in is left open; what comes of the second is held against torch.
"""

logger = logging.getLogger("crosslook.runtime")


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

    def agrees(self, example: Sequence[Array]) -> bool:
        """Whether it makes of an example's inputs what torch made of them: its outputs, which stand behind them."""
        count = len(self._compiled.inputs)
        pairs = zip(self(example[:count]), example[count:], strict=True)
        return all(a.shape == b.shape and bool(np.allclose(a, b, atol=CLOSE)) for a, b in pairs)


class Runtime:
    """What is translated of one model. Threads may share it; one that needs a translation waits for it."""

    def __init__(self, fingerprint: str) -> None:
        self._fingerprint = fingerprint
        self._parts: dict[str, Compiled] = {}
        self._sought: set[tuple[str, bool]] = set()

    def part(self, name: str, describe: Callable[[], Translatable] | None) -> Compiled | None:
        """A part, from the cache, or translated and put there.

        Args:
            name: of the part.
            describe: what to translate; None where only the cache is worth looking at.

        Returns:
            None where OpenVINO is not installed or cannot run the part, or where only the cache was to be looked at.
        """
        wanted = (name, describe is not None)
        if not {(name, True), wanted} & self._sought:  # what is there waits for nothing
            with _ONE_AT_A_TIME:
                if not {(name, True), wanted} & self._sought:
                    found = None if name in self._parts else self._found(name, describe)
                    if found is not None:
                        self._parts[name] = found
                    self._sought.add(wanted)
        return self._parts.get(name)

    def _found(self, name: str, describe: Callable[[], Translatable] | None) -> Compiled | None:
        with _no_telemetry():
            try:
                import openvino  # noqa: PLC0415  a large library, for those who compute much
            except ImportError:
                return None
        version = openvino.get_version().split("-")[0]
        kept = _Kept(f"{self._fingerprint[:32]}-{name}-", f"{_sources()[:16]}-openvino-{version}")
        core = openvino.Core()
        compiled = kept.load(core)
        if compiled is not None or describe is None:
            return compiled
        try:
            function, (first, second) = describe()
            model = _translated(function, first, second)
            compiled = Compiled(core.compile_model(model, "CPU", _HOW))
            with torch.inference_mode():
                example = [tensor.numpy() for tensor in (*second, *function(*second))]
            if not compiled.agrees(example):
                raise ValueError("it computes something else")  # noqa: TRY301  as whatever else goes wrong
        except Exception as exc:  # noqa: BLE001  whatever its frontend makes of a network it does not know, torch runs it
            logger.info("torch runs the %s part, of which there is no translation: %s", name, first_line(exc))
            return None
        kept.save(model, example)
        del model, function, first, second, example
        return_freed_memory()  # several times the size of the part
        return compiled


_ONE_AT_A_TIME = threading.Lock()
"""Translating changes for a moment what the whole process sees: which modules are there, and how torch attends.

And the first inference of a process, the look at the example, must have no other beside it: OpenVINO's binding fills a
table then, lets go of the interpreter's lock meanwhile, and two threads wait for each other for good.
"""

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


def _translated(function: Function, first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> Any:  # noqa: ANN401  openvino's
    import openvino  # noqa: PLC0415  as above
    from openvino.frontend import FrontEndManager  # noqa: PLC0415
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder  # noqa: PLC0415

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


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Attention in plain operations: torch's fused one has no translation."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(value=False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(value=before)


class _Kept:
    """A part's folder in the user's cache; none for a user without a home."""

    def __init__(self, part: str, made_by: str) -> None:
        self._part, self._made_by = part, made_by
        try:
            cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        except RuntimeError:
            cache = Path(os.devnull)
        self._folder = cache / "crosslook" / "runtime"

    def load(self, core: Any) -> Compiled | None:  # noqa: ANN401  openvino's
        """What it holds; None where there is nothing, nothing whole, or what somebody else put there."""
        kept = self._folder / (self._part + self._made_by)
        try:
            if hasattr(os, "getuid") and kept.stat().st_uid != os.getuid():
                return None
            compiled = Compiled(core.compile_model(core.read_model(kept / "model.xml"), "CPU", _HOW))
            with np.load(kept / "example.npz", allow_pickle=False) as file:
                if compiled.agrees(list(file.values())):
                    return compiled
        except (RuntimeError, OSError, ValueError, EOFError, zipfile.BadZipFile):
            pass
        return None

    def save(self, model: Any, example: Sequence[Array]) -> None:  # noqa: ANN401  openvino's
        """Put a translation in the place of older ones; where that cannot be, the next start translates again."""
        import openvino  # noqa: PLC0415  as above

        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for old in self._folder.glob(f"{self._part}*"):  # also what a killed process left unfinished
                shutil.rmtree(old, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix=self._part, dir=self._folder) as made:
                openvino.save_model(model, Path(made, "whole", "model.xml"), compress_to_fp16=False)
                np.savez(Path(made, "whole", "example.npz"), *example)
                Path(made, "whole").rename(self._folder / (self._part + self._made_by))
        except (OSError, RuntimeError) as exc:
            logger.info("a translation could not be kept, and is made anew with the next start: %s", first_line(exc))


@cache
def _sources() -> str:
    """A digest of this room's code: a translation is of the network as it is written now."""
    files = sorted(Path(__file__).parents[1].rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


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
