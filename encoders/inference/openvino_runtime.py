"""Running parts of a model in OpenVINO, several times as fast as torch on a CPU. Without OpenVINO, torch runs them.

A part is translated once and stored in the user's cache folder with torch's outputs for an example, so that later
starts neither build the torch module nor translate it. Adding a translation deletes those unused for `LONGEST_UNUSED`
days, and the least recently used ones while all take more than `LARGEST_CACHE` bytes.
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

from ..device import return_freed_memory
from ..errors import CheckpointError, first_line
from ..features import Floats

CHUNK = 8
"""Pictures in one inference; several inferences run in parallel."""

TOLERANCE = 1e-3
"""Largest accepted difference between a translation's outputs and torch's."""

LONGEST_UNUSED = 90
"""Days after which an unused translation is deleted."""

LARGEST_CACHE = 2_000_000_000
"""Limit for the bytes of all translations; the base model's three take 165 MB."""

Array = npt.NDArray[Any]
Function = Callable[..., tuple[Tensor, ...]]


Translatable = tuple[Function, tuple[tuple[Tensor, ...], tuple[Tensor, ...]]]
"""A function of tensors to float32 tensors, and example inputs of two sizes.

Dimensions in which the two examples differ are dynamic; the second one's outputs are compared with torch's.
"""

logger = logging.getLogger("crosslook.runtime")


class CompiledPart:
    """A translated part, ready to run. Thread-safe; threads compute in parallel."""

    def __init__(self, compiled: Any) -> None:  # noqa: ANN401  openvino's
        self._compiled = compiled
        self._requests = threading.local()
        self._threads = ThreadPoolExecutor(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"), "openvino")

    def __call__(self, inputs: Sequence[Array]) -> list[Floats]:
        """Compute the outputs in the calling thread."""
        if not hasattr(self._requests, "request"):
            self._requests.request = self._compiled.create_infer_request()
        outputs = self._requests.request.infer(list(inputs), share_inputs=True, share_outputs=True)
        return [output.copy() for output in outputs.values()]

    def in_chunks(self, rows: Array) -> list[Floats]:
        """Compute the outputs for the rows of one input, `CHUNK` at a time, in several threads."""
        parts = [(np.ascontiguousarray(rows[start : start + CHUNK]),) for start in range(0, len(rows), CHUNK)]
        return [np.concatenate(outputs) for outputs in zip(*self._threads.map(self, parts), strict=True)]

    def agrees(self, example: Sequence[Array]) -> bool:
        """Whether the outputs for an example agree with torch's; `example` holds inputs, then torch's outputs."""
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
            name: name of the part.
            describe: returns what to translate; None looks in the cache only.

        Returns:
            The part; None if OpenVINO is not installed or cannot run it, or if only the cache was searched and does
            not have it.
        """
        attempt = (name, describe is not None)
        if not {(name, True), attempt} & self._tried:  # a ready part waits for no other
            with _TRANSLATION_LOCK:
                if not {(name, True), attempt} & self._tried:
                    compiled = None if name in self._parts else self._cached_or_translated(name, describe)
                    if compiled is not None:
                        self._parts[name] = compiled
                    self._tried.add(attempt)
        return self._parts.get(name)

    def _cached_or_translated(self, name: str, describe: Callable[[], Translatable] | None) -> CompiledPart | None:
        with _no_telemetry():
            try:
                import openvino  # noqa: PLC0415  a large library that short runs do not need
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
                raise ValueError("its outputs differ from torch's")  # noqa: TRY301  handled like any other failure
        except CheckpointError:
            raise
        except Exception as exc:  # noqa: BLE001  OpenVINO may raise anything for an unknown network; torch then runs it
            logger.info("torch runs the %s part, which could not be translated: %s", name, first_line(exc))
            return None
        entry.save(model, example)
        del model, function, first, second, example
        return_freed_memory()  # translating takes several times the size of the part
        return compiled


_TRANSLATION_LOCK = threading.Lock()
"""Translating briefly changes state of the whole process: importable modules, and torch's attention kernel.

The first inference of a process, on the example, must also run alone: OpenVINO's binding then fills a table without
holding the interpreter's lock, and two threads would deadlock.
"""

_OPTIONS = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
"""Several inferences in parallel; in float32, since bf16 vectors would depend on the processor."""


class _Module(nn.Module):
    """A function as a module, as `convert_model` requires."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Call the function."""
        return self.function(*inputs)


def _translate(function: Function, first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> Any:  # noqa: ANN401  openvino's
    import openvino  # noqa: PLC0415  as above

    shapes = [
        [a if a == b else -1 for a, b in zip(one.shape, other.shape, strict=True)]
        for one, other in zip(first, second, strict=True)
    ]
    inputs = [(openvino.PartialShape(s), openvino.Type(x.numpy().dtype)) for s, x in zip(shapes, first, strict=True)]
    with warnings.catch_warnings(), torch.inference_mode(), _plain_attention(), _no_telemetry(), _own_log():
        warnings.simplefilter("ignore")  # that tracing is deprecated; torch.export takes several times as long
        return openvino.convert_model(_Module(function), example_input=first, input=inputs)


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Compute attention with plain operations: torch's fused kernel cannot be translated."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(value=False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(value=enabled)


@contextmanager
def _own_log() -> Iterator[None]:
    """Keep the level and filters of the root logger, which OpenVINO alters, and after an error leaves altered."""
    root = logging.getLogger()
    level, filters = root.level, root.filters.copy()
    try:
        yield
    finally:
        root.setLevel(level)
        root.filters = filters


def cache_folder() -> Path | None:
    """Return the folder of all translations; None for a user without a home directory."""
    try:
        return platformdirs.user_cache_path("crosslook", appauthor=False) / "runtime"
    except RuntimeError:
        return None


class _CacheEntry:
    """The place of a part's translation in the user's cache.

    Args:
        part: what the names of all translations of the part start with.
        version: the rest of the name: the versions of the code and of OpenVINO that made the translation.
    """

    def __init__(self, part: str, version: str) -> None:
        self._part, self._version = part, version

    def load(self, core: Any) -> CompiledPart | None:  # noqa: ANN401  openvino's
        """Load the translation; None if it is missing, damaged or another user's."""
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
        """Replace older translations of the part. Without a writable cache the next start translates again."""
        import openvino  # noqa: PLC0415  as above

        cache = cache_folder()
        if cache is None:
            return
        try:
            cache.mkdir(parents=True, exist_ok=True)
            for old in cache.glob(f"{self._part}*"):  # also what a killed process left
                shutil.rmtree(old, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix=self._part, dir=cache) as temporary:
                entry = Path(temporary, "entry")
                openvino.save_model(model, entry / "model.xml", compress_to_fp16=False)
                np.savez(entry / "example.npz", *example)
                entry.rename(cache / (self._part + self._version))
            _delete_unused(cache)
        except (OSError, RuntimeError) as exc:
            logger.info("a translation could not be cached; the next start translates again: %s", first_line(exc))


def _delete_unused(cache: Path) -> None:
    """Delete translations unused for too long, and the least recently used ones beyond the size limit.

    Another process that was loading one of them translates it again.
    """
    entries: list[tuple[float, int, Path]] = []
    for folder in cache.iterdir():
        with suppress(OSError):  # deleted meanwhile
            size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            entries.append((folder.stat().st_mtime, size, folder))
    total = 0
    for last_used, size, folder in sorted(entries, reverse=True):
        total += size
        if total > LARGEST_CACHE or time.time() - last_used > LONGEST_UNUSED * 24 * 3600:
            shutil.rmtree(folder, ignore_errors=True)


@cache
def _source_digest() -> str:
    """Digest this package's code: a translation is valid for the code that made it only."""
    files = sorted(Path(__file__).parents[1].rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


@contextmanager
def _no_telemetry() -> Iterator[None]:
    """Keep OpenVINO from reporting its use to a server: it does so unless the module for it is missing."""
    name = "openvino_telemetry"
    module = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]  # makes an import fail
    try:
        yield
    finally:
        if module is None:
            del sys.modules[name]
        else:
            sys.modules[name] = module
