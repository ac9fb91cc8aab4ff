"""The CNN in OpenVINO, several times as fast as torch on a CPU; where it is not installed, torch does the same.

The model is translated once and kept in the user's cache, so that later starts need neither torch's CNN nor the
translation. See docs/decisions/0011-openvino-runs-the-cnn.md.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .features import ImageFeatures, Pixels
from .model import ImageSide

CHUNK = 8
"""Pictures in one inference; several inferences run side by side."""


class ImageRuntime:
    """A translated image side. Threads may share it; they take turns."""

    def __init__(self, compiled: Any) -> None:  # noqa: ANN401  openvino's
        import openvino  # noqa: PLC0415  loads a large library that searches do not need

        self._queue = openvino.AsyncInferQueue(compiled)
        self._queue.set_callback(_keep)
        self._lock = threading.Lock()

    def __call__(self, pixels: Pixels) -> ImageFeatures:
        """Encode prepared pictures (B, S, S, 3)."""
        parts = [pixels[start : start + CHUNK] for start in range(0, len(pixels), CHUNK)]
        found: list[tuple[Any, Any]] = [(None, None)] * len(parts)
        with self._lock:
            for number, part in enumerate(parts):
                self._queue.start_async([np.ascontiguousarray(part)], (found, number))
            self._queue.wait_all()
        vectors, regions = zip(*found, strict=True)
        return ImageFeatures(np.concatenate(vectors), np.concatenate(regions))


def _keep(request: Any, place: tuple[list[tuple[Any, Any]], int]) -> None:  # noqa: ANN401  openvino's
    found, number = place
    found[number] = tuple(request.get_output_tensor(output).data.copy() for output in (0, 1))


class _Plain(nn.Module):
    """Pixels as they are stored in, and plain tensors out."""

    def __init__(self, side: ImageSide) -> None:
        super().__init__()
        self.side = side

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S, S, 3) in [0, 255] → vectors (B, D), regions (B, P, C)."""
        encoded = self.side(pixels.permute(0, 3, 1, 2).float() / 255)
        return encoded.vectors, encoded.states


def load_runtime(fingerprint: str, size: int, build: Callable[[], ImageSide] | None) -> ImageRuntime | None:
    """The image side of a model, from the cache, or translated and put there.

    Args:
        fingerprint: the model's.
        size: side of its input in pixels.
        build: gives the side to translate; None where only the cache is worth looking at.

    Returns:
        None where OpenVINO is not installed, cannot run the model, or nothing is cached and nothing to be translated.
    """
    with _no_telemetry():
        try:
            import openvino  # noqa: PLC0415  as above
        except ImportError:
            return None
    kept = _cache() / f"{fingerprint[:32]}-openvino-{openvino.get_version().split('-')[0]}"
    core = openvino.Core()
    compiled = _compiled(core, kept)
    if compiled is None and build is not None:
        try:
            model = _translated(build(), size)
        except Exception:  # noqa: BLE001  whatever its frontend makes of a backbone it does not know, torch runs it
            return None
        _save(model, kept)
        try:
            compiled = core.compile_model(model, "CPU", _HOW)
        except RuntimeError:
            return None
    return None if compiled is None else ImageRuntime(compiled)


_HOW = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
"""Several pictures side by side. bf16 is slower, and makes vectors depend on the processor."""


def _translated(side: ImageSide, size: int) -> Any:  # noqa: ANN401  openvino's
    import openvino  # noqa: PLC0415  as above
    from openvino.frontend import FrontEndManager  # noqa: PLC0415
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder  # noqa: PLC0415

    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # that tracing is deprecated; the new way takes several times as long
        example = torch.zeros(2, size, size, 3, dtype=torch.uint8)
        decoder = TorchScriptPythonDecoder(_Plain(side.eval()), example_input=example)
        frontend = FrontEndManager().load_by_framework("pytorch")
        model = frontend.convert(frontend.load(decoder))
    node = model.inputs[0].get_node()
    node.set_element_type(openvino.Type.u8)
    node.set_partial_shape(openvino.PartialShape([-1, size, size, 3]))
    model.validate_nodes_and_infer_types()
    return model


def _compiled(core: Any, kept: Path) -> Any:  # noqa: ANN401  openvino's
    """What the cache holds; None where there is nothing, or nothing whole."""
    path = kept / "image.xml"
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
            openvino.save_model(model, Path(made, "whole", "image.xml"), compress_to_fp16=False)
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
