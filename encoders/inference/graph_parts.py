"""A model's parts in ONNX Runtime, from the graphs beside its weights. No torch."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..checkpoint.description import Description
from ..checkpoint.weights import read_packed_weights
from ..errors import CheckpointError, first_line
from ..features import Floats
from ..hardware import available_cores
from ..memory import release_large_blocks
from .parts import Array

if TYPE_CHECKING:
    import onnxruntime


class GraphParts:
    """Each part is loaded by the first thread that needs it.

    Args:
        description: of the model.
        graphs: by the names of their parts.
        one_thread: whether each call computes in one thread.
    """

    device = "cpu"

    def __init__(self, description: Description, graphs: Mapping[str, bytes], *, one_thread: bool = False) -> None:
        self._description, self._graphs = description, graphs
        self._threads = 1 if one_thread else available_cores()
        self._sessions: dict[str, tuple[onnxruntime.InferenceSession, object]] = {}
        self._lock = threading.Lock()

    def run(self, name: str, inputs: Sequence[Array]) -> list[Floats]:
        """Run a part."""
        session = self._session(name)
        names = [argument.name for argument in session.get_inputs()]
        outputs: list[Floats] = session.run(None, dict(zip(names, inputs, strict=True)))
        return outputs

    def _session(self, name: str) -> onnxruntime.InferenceSession:
        with self._lock:
            if name not in self._sessions:
                self._sessions[name] = self._load(name)
            return self._sessions[name][0]

    def _load(self, name: str) -> tuple[onnxruntime.InferenceSession, object]:
        """Load a part; the session uses the weights in place, so they are kept beside it."""
        import onnxruntime  # noqa: PLC0415  only once there is something to encode

        onnxruntime.disable_telemetry_events()  # on Windows it would report its use
        release_large_blocks()
        weights = read_packed_weights(self._description.weights, f"{name}.")
        values = {
            key: onnxruntime.OrtValue.ortvalue_from_numpy(array)
            for key, array in weights.items()
            if not key.endswith("num_batches_tracked")  # counts of training steps
        }
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.add_external_initializers(list(values), list(values.values()))
        options.add_session_config_entry("session.disable_quant_qdq", "1")  # unpack weights now, not each time
        options.add_session_config_entry(
            "session.intra_op.allow_spinning", "0"
        )  # waiting threads leave the cores alone
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(self._graphs[name], options, providers=["CPUExecutionProvider"])
        except Exception as exc:  # ONNX Runtime has its own errors, of no common base but this
            path = self._description.weights.path
            raise CheckpointError(f"{path}: its weights do not fit its graphs ({first_line(exc)})") from exc
        return session, (weights, values)
