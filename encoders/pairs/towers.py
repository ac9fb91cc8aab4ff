"""The two encoders of a pair in ONNX Runtime: pictures and tokens to vectors and, where they have any, states."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..checkpoint.foreign_tokenizer import TOKENIZER, ForeignTokenizer
from ..checkpoint.onnx_file import external_files
from ..checkpoint.tokenizer import Tokens
from ..errors import CheckpointError, EncodersError, first_line
from ..features import Floats, Pixels
from ..inference.parts import Array
from ..inference.sessions import check_device, create_session, session_options
from .description import IMAGE, TEXT, States, read_pair

if TYPE_CHECKING:
    import onnxruntime

IDS, ATTENTION, POSITIONS = ("input_ids", "text"), "attention_mask", "position_ids"
"""Names of the text encoder's inputs."""

IMAGE_OUTPUTS = ("image_embeds", "image_embedding", "embedding", "output", "pooler_output")
TEXT_OUTPUTS = ("text_embeds", "text_embedding", "embedding", "output", "pooler_output")
"""Names of the outputs that hold vectors, the best ones first; else it is the only output of two dimensions."""

JOINT_STATES, RAW_STATES = "joint_states", "last_hidden_state"
"""Names of the outputs that hold states: those that crosslook exports, and those that others do."""

MOST_MARKERS = 8
"""Tokens before a picture's patches, such as a class token: models have at most five."""

LARGEST_SIDE = 8
"""Regions in a row of a picture for the reranker; finer grids are averaged. An index stores 8 kB for 64 of them."""


class PairTowers:
    """The encoders of the pair in a directory, each loaded by the first thread that needs it. Thread-safe.

    Args:
        directory: of the pair.
        device: `auto`, or as for `create_session`.
        one_thread: whether each call computes in one thread.

    Raises:
        CheckpointError: the directory holds no usable pair.
        EncodersError: the device is not available.
    """

    def __init__(self, directory: Path, *, device: str = "cpu", one_thread: bool = False) -> None:
        self.description = read_pair(directory)
        self.device = "cpu" if device == "auto" else device
        if device.startswith("cuda"):
            raise EncodersError(f"a pretrained pair does not run on {device!r}; use --device cpu")
        check_device(self.device)
        text = self.description.text
        self.tokenizer = ForeignTokenizer(directory / TOKENIZER, context=text.context, canonical=text.canonical)
        self._folder, self._one_thread = directory, one_thread
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}
        self._locks = {name: threading.Lock() for name in (IMAGE, TEXT)}

    def image_vectors(self, pixels: Pixels) -> Floats:
        """Encode prepared pictures (B, S, S, 3), uint8: vectors (B, D) of length 1."""
        return self._images(pixels, None)[0]

    def image_states(self, pixels: Pixels) -> tuple[Floats, Floats]:
        """Encode prepared pictures: vectors (B, D), and regions (B, P, c), a row-major square grid.

        Raises:
            CheckpointError: the pair has no regions, or they are no square grid.
        """
        vectors, states = self._images(pixels, self._known(self.description.regions))
        return vectors, as_regions(states)

    def text_vectors(self, tokens: Tokens) -> Floats:
        """Encode tokenised sentences: vectors (B, D) of length 1."""
        return self._texts(tokens, None)[0]

    def text_states(self, tokens: Tokens) -> tuple[Floats, Floats]:
        """Encode tokenised sentences: vectors (B, D), and a state for each token but the first, (B, T - 1, c).

        Raises:
            CheckpointError: the pair has no token states.
        """
        vectors, states = self._texts(tokens, self._known(self.description.tokens))
        return vectors, states[:, : tokens.ids.shape[1] - 1]

    def image_activations(self, pixels: Pixels) -> Floats:
        """Join each picture's vector and its regions, of which there are at most 8 x 8: (B, 1 + P, W)."""
        vectors, regions = self.image_states(pixels)
        return joined(vectors, averaged(regions, LARGEST_SIDE))

    def text_activations(self, tokens: Tokens) -> Floats:
        """Join each sentence's vector and the states of its tokens: (B, T, W)."""
        return joined(*self.text_states(tokens))

    def _known(self, states: States | None) -> str:
        if states is None:
            raise CheckpointError(f"model {self.description.name} has vectors only: one of its encoders has no states")
        return states.output

    def _images(self, pixels: Pixels, states: str | None) -> list[Floats]:
        settings = self.description.image
        if not len(pixels):
            grey = np.full((1, settings.size, settings.size, 3), 128, np.uint8)
            return [output[:0] for output in self._images(grey, states)]
        mean, std = (np.array(values, np.float32) for values in (settings.mean, settings.std))
        normal = (pixels.astype(np.float32) / np.float32(255) - mean) / std
        session = self._session(IMAGE)
        (argument,) = session.get_inputs()
        batch = np.ascontiguousarray(normal.transpose(0, 3, 1, 2)).astype(_type(argument.type))
        return self._run(session, {argument.name: batch}, IMAGE_OUTPUTS, states)

    def _texts(self, tokens: Tokens, states: str | None) -> list[Floats]:
        """Fill sentences up if the encoder takes those of one length only, or was trained so."""
        if not len(tokens.ids):
            return [output[:0] for output in self._texts(self.tokenizer([""]), states)]
        session, settings = self._session(TEXT), self.description.text
        ids, attended = tokens.ids[:, 1:], tokens.attended[:, 1:]
        fixed = session.get_inputs()[0].shape[-1]
        length = fixed if isinstance(fixed, int) else settings.context if settings.fill else ids.shape[1]
        padded = np.full((len(ids), length), settings.pad, np.int64)
        mask = np.zeros(padded.shape, np.int64)
        width = min(length, ids.shape[1])
        padded[:, :width] = np.where(attended, ids, settings.pad)[:, :width]
        mask[:, :width] = attended[:, :width]
        positions = np.broadcast_to(np.arange(length), padded.shape)
        known = dict.fromkeys(IDS, padded) | {ATTENTION: mask, POSITIONS: positions}
        inputs = {each.name: known[each.name].astype(_type(each.type)) for each in session.get_inputs()}
        return self._run(session, inputs, TEXT_OUTPUTS, states)

    def _run(
        self,
        session: onnxruntime.InferenceSession,
        inputs: Mapping[str, Array],
        names: Sequence[str],
        states: str | None,
    ) -> list[Floats]:
        """Run an encoder, one item at a time if its batch size is fixed: normalised vectors, and states if named."""
        import onnxruntime  # noqa: PLC0415  loaded with the session

        outputs = [vector_output(session, names), *([] if states is None else [states])]
        if not {output.name for output in session.get_outputs()}.issuperset(outputs):
            raise CheckpointError(f"{self._folder}: an encoder has no output {states!r}; add the model again")
        options = onnxruntime.RunOptions()
        options.only_execute_path_to_fetches = True  # else it computes states that nobody asked for
        (first, *_) = session.get_inputs()
        count = len(next(iter(inputs.values())))
        step = 1 if isinstance(first.shape[0], int) else count
        runs = [
            session.run(outputs, {key: value[i : i + step] for key, value in inputs.items()}, options)
            for i in range(0, count, step)
        ]
        vectors, *others = (np.concatenate(arrays).astype(np.float32) for arrays in zip(*runs, strict=True))
        size = self.description.dimension
        if vectors.ndim != 2 or vectors.shape[1] != (size or vectors.shape[1]):  # 0 while it is tried out
            raise CheckpointError(f"{self._folder}: vectors of {vectors.shape[1:]} instead of {size} values")
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (np.isfinite(lengths).all() and (lengths > 0).all()):
            raise CheckpointError(f"{self._folder}: a vector is not finite; the model's weights are damaged")
        return [vectors / lengths, *others]

    def _session(self, name: str) -> onnxruntime.InferenceSession:
        with self._locks[name]:
            if name not in self._sessions:
                path = self._folder / name
                elsewhere = external_files(np.memmap(path, np.uint8, mode="r"), path) - self.description.files.keys()
                if elsewhere:
                    raise CheckpointError(f"{path} keeps weights in {elsewhere.pop()!r}, which is refused")
                self._sessions[name] = open_session(path, self.device, one_thread=self._one_thread)
            return self._sessions[name]


def open_session(path: Path, device: str = "cpu", *, one_thread: bool = False) -> onnxruntime.InferenceSession:
    """Load an ONNX file.

    Raises:
        CheckpointError: ONNX Runtime cannot use it.
        EncodersError: the device is not available.
    """
    try:
        return create_session(str(path), session_options(one_thread=one_thread), device)
    except EncodersError:
        raise
    except Exception as exc:  # ONNX Runtime's errors have no other common base
        raise CheckpointError(f"{path} cannot be used ({first_line(exc)})") from exc


def vector_output(session: onnxruntime.InferenceSession, names: Sequence[str]) -> str:
    """Find the output that holds the vectors.

    Raises:
        CheckpointError: none has a known name, and not exactly one has two dimensions.
    """
    outputs = {output.name: output.shape for output in session.get_outputs()}
    for name in names:
        if name in outputs:
            return name
    flat = [name for name, shape in outputs.items() if len(shape) == 2]
    if len(flat) != 1:
        raise CheckpointError(f"none of a model's outputs is known to be its vectors: {', '.join(outputs)}")
    return flat[0]


def as_regions(states: Floats) -> Floats:
    """Bring a map (B, c, h, w), or patches after some markers (B, markers + P, c), into the form of regions (B, P, c).

    Raises:
        CheckpointError: they are no square grid.
    """
    if states.ndim == 4:
        states = states.reshape(*states.shape[:2], -1).transpose(0, 2, 1)
    count = states.shape[1] if states.ndim == 3 else 0
    patches = math.isqrt(count) ** 2
    if not patches or count - patches > MOST_MARKERS:
        raise CheckpointError(f"states of the form {states.shape} are no square grid of regions")
    return np.ascontiguousarray(states[:, count - patches :])


def averaged(regions: Floats, largest: int) -> Floats:
    """Average neighbouring regions (B, P, c), so that a row has at most `largest`; an odd edge counts twice."""
    count, patches, width = regions.shape
    side = math.isqrt(patches)
    factor = -(-side // largest)
    if factor == 1:
        return regions
    missing = -side % factor
    grid = np.pad(regions.reshape(count, side, side, width), ((0, 0), (0, missing), (0, missing), (0, 0)), "edge")
    coarse = (side + missing) // factor
    means = grid.reshape(count, coarse, factor, coarse, factor, width).mean((2, 4))
    return np.ascontiguousarray(means.reshape(count, coarse * coarse, width), np.float32)


def joined(vectors: Floats, states: Floats) -> Floats:
    """Put each vector (B, D) before its states (B, L, c): (B, 1 + L, W), W the larger of D and c, zeros beyond."""
    joint = np.zeros((len(states), 1 + states.shape[1], max(vectors.shape[1], states.shape[2])), np.float32)
    joint[:, 0, : vectors.shape[1]] = vectors
    joint[:, 1:, : states.shape[2]] = states
    return joint


def _type(name: str) -> npt.DTypeLike:
    """NumPy's type of an ONNX input."""
    types: dict[str, npt.DTypeLike] = {
        "tensor(float)": np.float32,
        "tensor(float16)": np.float16,
        "tensor(int64)": np.int64,
        "tensor(int32)": np.int32,
        "tensor(uint8)": np.uint8,
    }
    if name not in types:
        raise CheckpointError(f"a model has an input of an unknown type, {name}")
    return types[name]
