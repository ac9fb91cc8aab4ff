"""Sessions of ONNX Runtime: their options, and the devices that they can run on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import EncodersError
from ..hardware import available_cores

if TYPE_CHECKING:
    import onnxruntime

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
"""ONNX Runtime's execution providers by the names of devices. Which of them there are depends on its wheel."""


def session_options(*, one_thread: bool) -> onnxruntime.SessionOptions:
    """Return the options of every session; with `one_thread` a run computes in the calling thread alone."""
    import onnxruntime  # noqa: PLC0415  only once there is something to encode

    onnxruntime.disable_telemetry_events()  # on Windows it would report its use
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1 if one_thread else available_cores()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # leave the cores to others
    options.log_severity_level = 3
    return options


def create_session(
    model: bytes | str, options: onnxruntime.SessionOptions, device: str
) -> onnxruntime.InferenceSession:
    """Create a session for a model, given as its bytes or path.

    Args:
        model: an ONNX model.
        options: of the session.
        device: `cpu`, `coreml`, `directml`, `openvino`, or `openvino:GPU` and `openvino:NPU`.

    Raises:
        EncodersError: the device is not available, or ONNX Runtime fell back to the CPU.
    """
    import onnxruntime  # noqa: PLC0415  as above

    kind, _, part = device.partition(":")
    check_device(device)
    chosen: list[Any] = [(PROVIDERS[kind], {"device_type": part} if part else {}), PROVIDERS["cpu"]]
    session = onnxruntime.InferenceSession(model, options, providers=chosen[:1] if kind == "cpu" else chosen)
    if session.get_providers()[0] != PROVIDERS[kind]:
        raise EncodersError(
            f"device {device!r} does not work here: ONNX Runtime fell back to the CPU; use --device cpu"
        )
    return session


def check_device(device: str) -> None:
    """Check that a device is one of ONNX Runtime's, and that the installed wheel has it.

    Raises:
        EncodersError: it is not.
    """
    import onnxruntime  # noqa: PLC0415  as above

    kind, _, part = device.partition(":")
    if kind not in PROVIDERS or (part and kind != "openvino"):
        raise EncodersError(f"there is no device {device!r}; there are: auto, cuda, {', '.join(PROVIDERS)}")
    if PROVIDERS[kind] not in onnxruntime.get_available_providers():
        raise EncodersError(
            f"device {device!r} is not available: this ONNX Runtime has only {', '.join(runtime_devices())}"
        )


def runtime_devices() -> list[str]:
    """Return the devices that the installed ONNX Runtime offers."""
    import onnxruntime  # noqa: PLC0415  as above

    offered = onnxruntime.get_available_providers()
    return [device for device, provider in PROVIDERS.items() if provider in offered]
