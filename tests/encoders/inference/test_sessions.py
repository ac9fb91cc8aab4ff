"""Devices of ONNX Runtime: refused by name, or where they silently fall back."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest

from encoders import BASE_MODEL, EncodersError, load_encoder
from encoders.inference.encoder import ModelEncoder
from encoders.inference.graph_parts import GraphParts
from encoders.inference.sessions import PROVIDERS, runtime_devices
from encoders.loading import try_devices


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("tpu", "device 'tpu' is not available on this machine"),
        ("coreml:3", "there is no device 'coreml:3'; there are: auto, cuda, cpu, coreml"),
        ("coreml", "device 'coreml' is not available: this ONNX Runtime has only cpu"),
        ("openvino:NPU", "device 'openvino:NPU' is not available"),
    ],
)
def test_devices_that_are_not_there_are_refused(device: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is loaded, with what there is."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [PROVIDERS["cpu"]])
    assert runtime_devices() == ["cpu"]
    with pytest.raises(EncodersError, match=message):
        load_encoder(BASE_MODEL, device=device)


def test_a_device_that_falls_back_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime runs on the CPU instead of a device that does not work, with no more than a warning."""
    create = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [PROVIDERS["coreml"], PROVIDERS["cpu"]])
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda model, options, providers: create(model, options, providers=[PROVIDERS["cpu"]] if providers else []),
    )
    encoder = load_encoder(BASE_MODEL, device="coreml")
    with pytest.raises(EncodersError, match="device 'coreml' does not work here: ONNX Runtime fell back to the CPU"):
        encoder.encode_texts(["a dog"])
    cpu, coreml = try_devices()
    assert cpu.fault is None
    assert cpu.milliseconds is not None
    assert cpu.agreement is not None
    assert (cpu.agreement == pytest.approx(1, abs=1e-5)) == (not cpu.int8)
    assert cpu.agreement > 0.97
    assert "fell back" in str(coreml.fault)


def test_a_folder_without_a_model_is_a_fault_of_every_device(tmp_path: Path) -> None:
    """`doctor` says so instead of failing."""
    assert all("is not a model" in str(trial.fault) for trial in try_devices(tmp_path))


def test_a_driver_that_fails_is_a_fault_of_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it raises; the other devices are tried all the same."""
    monkeypatch.setattr("encoders.loading.nvidia_gpus", lambda: ("Imaginary",))
    load = load_encoder

    def fail(model: Path | None, *, device: str, exact: bool = False) -> object:
        if device == "cuda:0":
            raise RuntimeError("no kernel image is available\nmore lines")
        return load(model, device=device, exact=exact)

    monkeypatch.setattr("encoders.loading.load_encoder", fail)
    trials = {trial.device: trial.fault for trial in try_devices()}
    assert trials == {"cpu": None, "cuda:0": "no kernel image is available"}


def test_a_driver_without_a_torch_that_can_use_it_leaves_the_model_to_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine with a GPU where torch was installed without CUDA."""
    monkeypatch.setattr("encoders.loading.nvidia_gpus", lambda: ("Imaginary",))
    monkeypatch.setattr("encoders.device.pick_device", lambda: "cpu")
    encoder = load_encoder()
    assert isinstance(encoder, ModelEncoder)
    assert isinstance(encoder._parts, GraphParts)
