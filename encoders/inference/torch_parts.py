"""A model's parts in torch: on a GPU, and on a CPU for models without graphs."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import torch
from torch import nn

from ..checkpoint.description import Description
from ..checkpoint.files import load_part
from ..device import autocast, pick_device
from ..features import Floats
from ..memory import keep_freed_memory
from ..network.parts import PARTS
from .parts import Array, contiguous


class TorchParts:
    """Each part is loaded by the first thread that needs it.

    Args:
        description: of the model.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, …
        one_thread: whether each call computes in one thread.
        precision: of pictures: `auto`, which is bf16 where that is fast, or `float32`.

    Raises:
        EncodersError: the device is not available.
    """

    int8 = False

    def __init__(
        self, description: Description, device: str, *, one_thread: bool = False, precision: str = "auto"
    ) -> None:
        self._description, self._precision = description, precision
        self.device = pick_device(device)
        self._device = torch.device(self.device)
        self.image_batch = 8 if self.device == "cpu" else 128
        self._modules: dict[str, nn.Module] = {}
        self._lock = threading.Lock()
        if self.device == "cpu":
            keep_freed_memory()
        if one_thread:
            torch.set_num_threads(1)

    def run(self, name: str, inputs: Sequence[Array]) -> list[Floats]:
        """Run a part."""
        precision = self._precision if name == "image" else "float32"
        tensors = [torch.from_numpy(array).to(self._device) for array in inputs]
        with torch.inference_mode(), autocast(self._device, precision):
            return [contiguous(output.float().cpu().numpy()) for output in self._module(name)(*tensors)]

    def load_soon(self, name: str) -> None:
        """Do nothing: torch would compete with other work for the interpreter."""

    def _module(self, name: str) -> nn.Module:
        with self._lock:
            if name not in self._modules:
                config = self._description.config
                module = load_part(self._description, f"{name}.", lambda: PARTS[name](config))
                self._modules[name] = module.to(memory_format=torch.channels_last).to(self._device)
            return self._modules[name]
