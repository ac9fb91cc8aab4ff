"""A model's parts in OpenVINO, several times as fast as torch on a CPU; where it is not installed, torch runs them.

A part is translated once and cached in the user's cache folder, together with torch's outputs for an example, so later
starts need neither torch's part nor the translation. Translations that no start used for `LONGEST_UNUSED` days are
deleted, and the least recently used where all take more than `LARGEST_CACHE` bytes, whenever one is added.
See docs/decisions/0011-openvino-runs-the-model.md.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import sys
import tempfile
import threading
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import platformdirs
import torch
from torch import Tensor, nn

from ..checkpoint.identity import first_line
from ..device import return_freed_memory
from ..errors import CheckpointError
from ..features import Floats

CHUNK = 8
"""Pictures in one inference; several inferences run side by side."""

TOLERANCE = 1e-3
"""Largest difference between a translation's outputs and torch's."""

LONGEST_UNUSED = 90
"""Days after which a translation that no start has used is deleted."""

LARGEST_CACHE = 2_000_000_000
"""Bytes of all translations together; the base model's three take 165 MB."""

Array = npt.NDArray[Any]
Function = Callable[..., tuple[Tensor, ...]]


Translatable = tuple[Function, tuple[tuple[Tensor, ...], tuple[Tensor, ...]]]
"""A function of tensors to float32 tensors, and example inputs of two sizes.

Dimensions in which the two examples differ are dynamic; the second one's outputs are compared with torch's.
"""

logger = logging.getLogger("crosslook.runtime")


class CompiledPart:
    """A translated part, ready to run. Thread-safe; threads compute side by side."""

    def __init__(self, compiled: Any) -> None:  # noqa: ANN401  openvino's
        self._compiled = compiled
        self._requests = threading.local()
        self._threads = ThreadPoolExecutor(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"), "openvino")

    def __call__(self, inputs: Sequence[Array]) -> list[Floats]:
        """Compute the outputs in this thread."""
        if not hasattr(self._requests, "request"):
            self._requests.request = self._compiled.create_infer_request()
        outputs = self._requests.request.infer(list(inputs), share_inputs=True, share_outputs=True)
        return [output.copy() for output in outputs.values()]

    def in_chunks(self, rows: Array) -> list[Floats]:
        """Compute the outputs for the rows of one input, `CHUNK` at a time, in several threads."""
        parts = [(np.ascontiguousarray(rows[start : start + CHUNK]),) for start in range(0, len(rows), CHUNK)]
        return [np.concatenate(outputs) for outputs in zip(*self._threads.map(self, parts), strict=True)]

    def agrees(self, example: Sequence[Array]) -> bool:
        """Whether the outputs for an example's inputs are torch's, which follow the inputs in `example`."""
        count = len(self._compiled.inputs)
        pairs = zip(self(example[:count]), example[count:], strict=True)
        return all(a.shape == b.shape and bool(np.allclose(a, b, atol=TOLERANCE)) for a, b in pairs)


class Runtime:
    """The translated parts of one model. Thread-safe; a thread that needs a translation waits for it."""

    def __init__(self, fingerprint: str) -> None:
        self._fingerprint = fingerprint
        self._parts: dict[str, CompiledPart] = {}
        self._tried: set[tuple[str, bool]] = set()

    def part(self, name: str, describe: Callable[[], Translatable] | None) -> CompiledPart | None:
        """Return a part from the cache, or translate it and add it to the cache.

        Args:
            name: of the part.
            describe: gives what to translate; None to look only into the cache.

        Returns:
            None where OpenVINO is not installed or cannot run the part, or where the cache alone was asked and has
            none.
        """
        attempt = (name, describe is not None)
        if not {(name, True), attempt} & self._tried:  # a part that is ready waits for no other
            with _ONE_AT_A_TIME:
                if not {(name, True), attempt} & self._tried:
                    compiled = None if name in self._parts else self._cached_or_translated(name, describe)
                    if compiled is not None:
                        self._parts[name] = compiled
                    self._tried.add(attempt)
        return self._parts.get(name)

    def _cached_or_translated(self, name: str, describe: Callable[[], Translatable] | None) -> CompiledPart | None:
        with _no_telemetry():
            try:
                import openvino  # noqa: PLC0415  a large library, for those who compute much
            except ImportError:
                return None
        version = openvino.get_version().split("-")[0]
        entry = _CacheEntry(f"{self._fingerprint[:32]}-{name}-", f"{_source_digest()[:16]}-openvino-{version}")
        core = openvino.Core()
        compiled = entry.load(core)
        if compiled is not None or describe is None:
            return compiled
        try:
            function, (first, second) = describe()
            model = _translate(function, first, second)
            compiled = CompiledPart(core.compile_model(model, "CPU", _OPTIONS))
            with torch.inference_mode():
                example = [tensor.numpy() for tensor in (*second, *function(*second))]
            if not compiled.agrees(example):
                raise ValueError("its outputs differ from torch's")  # noqa: TRY301  as whatever else goes wrong
        except CheckpointError:
            raise
        except Exception as exc:  # noqa: BLE001  whatever its frontend makes of a network it does not know, torch runs it
            logger.info("torch runs the %s part, which could not be translated: %s", name, first_line(exc))
            return None
        entry.save(model, example)
        del model, function, first, second, example
        return_freed_memory()  # several times the size of the part
        return compiled


_ONE_AT_A_TIME = threading.Lock()
"""Translating briefly changes state of the whole process: which modules can be imported, and how torch attends.

The first inference of a process, on the example, must also run alone: OpenVINO's binding then fills a table without
holding the interpreter's lock, and two threads would deadlock.
"""

_OPTIONS = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
"""Several inferences side by side; in float32, since with bf16 vectors would depend on the processor."""


class _Module(nn.Module):
    """A function as the module that `convert_model` takes."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Call it."""
        return self.function(*inputs)


def _translate(function: Function, first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> Any:  # noqa: ANN401  openvino's
    import openvino  # noqa: PLC0415  as above

    shapes = [
        [a if a == b else -1 for a, b in zip(one.shape, other.shape, strict=True)]
        for one, other in zip(first, second, strict=True)
    ]
    inputs = [(openvino.PartialShape(s), openvino.Type(x.numpy().dtype)) for s, x in zip(shapes, first, strict=True)]
    with warnings.catch_warnings(), torch.inference_mode(), _plain_attention(), _no_telemetry():
        warnings.simplefilter("ignore")  # that tracing is deprecated; torch.export takes several times as long
        return openvino.convert_model(_Module(function), example_input=first, input=inputs)


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Compute attention in plain operations: torch's fused one cannot be translated."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(value=False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(value=before)


def cache_folder() -> Path | None:
    """The folder of all translations; None for a user without a home."""
    try:
        return platformdirs.user_cache_path("crosslook", appauthor=False) / "runtime"
    except RuntimeError:
        return None


class _CacheEntry:
    """A part's translation in the user's cache, or its place there.

    Args:
        part: prefix of the names of all translations of the part.
        version: the rest of this one's name: the code and the OpenVINO that made it.
    """

    def __init__(self, part: str, version: str) -> None:
        self._part, self._version = part, version

    def load(self, core: Any) -> CompiledPart | None:  # noqa: ANN401  openvino's
        """Return the translation; None where there is none, or it is damaged or another user's."""
        cache = cache_folder()
        if cache is None:
            return None
        entry = cache / (self._part + self._version)
        try:
            if hasattr(os, "getuid") and entry.stat().st_uid != os.getuid():
                return None
            compiled = CompiledPart(core.compile_model(core.read_model(entry / "model.xml"), "CPU", _OPTIONS))
            with np.load(entry / "example.npz", allow_pickle=False) as file:
                agrees = compiled.agrees(list(file.values()))
        except (RuntimeError, OSError, ValueError, EOFError, zipfile.BadZipFile):
            return None
        if not agrees:
            return None
        with suppress(OSError):
            os.utime(entry)  # the time of its last use
        return compiled

    def save(self, model: Any, example: Sequence[Array]) -> None:  # noqa: ANN401  openvino's
        """Replace older translations of the part; without a writable cache the next start translates again."""
        import openvino  # noqa: PLC0415  as above

        cache = cache_folder()
        if cache is None:
            return
        try:
            cache.mkdir(parents=True, exist_ok=True)
            for old in cache.glob(f"{self._part}*"):  # also what a killed process left unfinished
                shutil.rmtree(old, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix=self._part, dir=cache) as temporary:
                openvino.save_model(model, Path(temporary, "whole", "model.xml"), compress_to_fp16=False)
                np.savez(Path(temporary, "whole", "example.npz"), *example)
                Path(temporary, "whole").rename(cache / (self._part + self._version))
            _delete_unused(cache)
        except (OSError, RuntimeError) as exc:
            logger.info("a translation could not be cached; the next start translates again: %s", first_line(exc))


def _delete_unused(cache: Path) -> None:
    """Delete translations that no start used for long, and the least recently used beyond the largest size.

    Another process may delete the same ones, or load one meanwhile: it then translates again.
    """
    entries: list[tuple[float, int, Path]] = []
    for folder in cache.iterdir():
        with suppress(OSError):  # deleted meanwhile
            size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            entries.append((folder.stat().st_mtime, size, folder))
    total = 0
    for used, size, folder in sorted(entries, reverse=True):
        total += size
        if total > LARGEST_CACHE or time.time() - used > LONGEST_UNUSED * 24 * 3600:
            shutil.rmtree(folder, ignore_errors=True)


@cache
def _source_digest() -> str:
    """A digest of this room's code: a translation is of the network as it is written now."""
    files = sorted(Path(__file__).parents[1].rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


@contextmanager
def _no_telemetry() -> Iterator[None]:
    """Keep OpenVINO's tools from reporting their use to a server: they do so unless their reporter is missing."""
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
