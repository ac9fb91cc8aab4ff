"""Sessions of ONNX Runtime, as crosslook configures them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..hardware import available_cores

if TYPE_CHECKING:
    import onnxruntime


def session_options(*, one_thread: bool) -> onnxruntime.SessionOptions:
    """Return the options of every session; with `one_thread` a run computes in the calling thread alone."""
    import onnxruntime  # noqa: PLC0415  only once there is something to encode

    onnxruntime.disable_telemetry_events()  # on Windows it would report its use
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1 if one_thread else available_cores()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # leave the cores to others
    options.log_severity_level = 3
    return options
