"""The device that torch runs on, and the machine as `doctor` describes it."""

from __future__ import annotations

import pytest
import torch

from encoders import EncodersError
from encoders.device import pick_device
from encoders.hardware import machine, nvidia_gpus


def test_devices_are_chosen_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` takes the GPU where torch sees one; the error names a device that is not available."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("auto") == "cuda"
    with pytest.raises(EncodersError, match="device 'nonsense' is not available"):
        pick_device("nonsense")


def test_the_machine_is_described() -> None:
    """With the entries that `doctor` prints; torch and NVIDIA's driver agree about GPUs."""
    facts = machine()
    assert facts.keys() == {"onnxruntime", "torch", "gpus", "cores"}
    assert facts["torch"] == torch.__version__.split("+")[0] or facts["torch"] == torch.__version__
    assert len(nvidia_gpus()) >= torch.cuda.device_count()


def test_a_machine_without_the_driver_has_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library is missing, which is no error."""
    monkeypatch.setattr("encoders.hardware.CUDA_LIBRARY", "libno-such-driver.so")
    nvidia_gpus.cache_clear()
    assert nvidia_gpus() == ()
    nvidia_gpus.cache_clear()
