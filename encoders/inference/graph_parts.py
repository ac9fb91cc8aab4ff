"""A model's parts in ONNX Runtime, from the graphs beside its weights. No torch."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from ..checkpoint.description import Description
from ..checkpoint.graphs import INT8
from ..checkpoint.onnx_file import external_weights
from ..checkpoint.weights import read_packed_weights
from ..errors import CheckpointError, EncodersError, first_line
from ..features import Floats
from ..hardware import has_vnni
from ..memory import return_freed_memory, share_arenas
from .parts import Array
from .sessions import check_device, create_session, session_options

if TYPE_CHECKING:
    import onnxruntime


class GraphParts:
    """Each part is loaded by the first thread that needs it.

    Args:
        description: of the model.
        graphs: by the names of their parts.
        device: as for `create_session`.
        one_thread: whether each call computes in one thread.
        int8: whether pictures are encoded in int8 if the model has that graph; None: where it is faster.

    Raises:
        EncodersError: the device is not available.
    """

    image_batch = 8

    def __init__(
        self,
        description: Description,
        graphs: Mapping[str, bytes],
        device: str = "cpu",
        *,
        one_thread: bool = False,
        int8: bool | None = None,
    ) -> None:
        if device != "cpu":
            check_device(device)
        self.device = device
        self._description, self._graphs = description, graphs
        self._one_thread = one_thread
        self.int8 = device == "cpu" and INT8 in graphs and (has_vnni() if int8 is None else int8)
        if one_thread:
            share_arenas()
        self._sessions: dict[str, tuple[onnxruntime.InferenceSession, object]] = {}
        self._locks = {name: threading.Lock() for name in graphs}

    def run(self, name: str, inputs: Sequence[Array]) -> list[Floats]:
        """Run a part."""
        session = self._session(name)
        names = [argument.name for argument in session.get_inputs()]
        try:
            outputs: list[Floats] = session.run(None, dict(zip(names, inputs, strict=True)))
        except Exception as exc:  # ONNX Runtime's errors have no other common base
            raise CheckpointError(f"the {name} part of the model does not run ({first_line(exc)})") from exc
        return outputs

    def load_soon(self, name: str) -> None:
        """Begin to load a part in a thread of its own."""
        if name not in self._sessions:
            threading.Thread(target=self._load_quietly, args=(name,)).start()

    def _load_quietly(self, name: str) -> None:
        with suppress(EncodersError):  # `run` raises it again
            self._session(name)

    def _session(self, name: str) -> onnxruntime.InferenceSession:
        with self._locks[name]:
            if name not in self._sessions:
                self._sessions[name] = self._load(name)
            return self._sessions[name][0]

    def _load(self, name: str) -> tuple[onnxruntime.InferenceSession, object]:
        """Load a part, and return it with what must live as long."""
        weights, options = self._description.weights, session_options(one_thread=self._one_thread)
        int8 = name == "image" and self.int8
        graph = self._graphs[INT8 if int8 else name]
        if not int8:
            options.add_session_config_entry("session.disable_quant_qdq", "1")  # unpack weights now, not each time
        try:
            if weights.is_in_place():
                folder = str(weights.path.parent.resolve())
                options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
                session = create_session(graph, options, self.device)
                if weights.is_in_place():
                    return session, None
            values = self._values(graph)
            options.add_external_initializers(list(values), list(values.values()))
            return create_session(graph, options, self.device), values
        except EncodersError:
            raise
        except Exception as exc:  # ONNX Runtime's errors have no other common base
            raise CheckpointError(f"{weights.path}: its weights do not fit its graphs ({first_line(exc)})") from exc
        finally:
            return_freed_memory()  # loading takes more than the part itself

    def _values(self, graph: bytes) -> dict[str, onnxruntime.OrtValue]:
        """Return a graph's weights from the file that is held open: another one has its name now."""
        import onnxruntime  # noqa: PLC0415  as above

        weights = self._description.weights
        stored = read_packed_weights(weights, "")
        used = external_weights(np.frombuffer(graph, np.uint8), weights.path)
        return {name: onnxruntime.OrtValue.ortvalue_from_numpy(stored[name]) for name, _ in used}
