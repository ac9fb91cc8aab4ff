"""A pretrained pair in use."""

from __future__ import annotations

import string
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..checkpoint.onnx_file import external_files
from ..errors import CheckpointError, EncodersError, first_line
from ..features import Attention, Floats, ImageFeatures, MatchScores, Pixels, TextFeatures
from ..inference.batching import BatchingWorkers
from ..inference.parts import Array
from ..inference.sessions import check_device, create_session, session_options
from .description import IMAGE, TEXT, TOKENIZER, ImageInput, read_pair

if TYPE_CHECKING:
    import onnxruntime
    from tokenizers import Tokenizer

IMAGE_BATCH = 8

IDS, ATTENTION, POSITIONS = ("input_ids", "text"), "attention_mask", "position_ids"
"""Names of the text encoder's inputs."""

IMAGE_OUTPUTS = ("image_embeds", "image_embedding", "embedding", "output", "pooler_output")
TEXT_OUTPUTS = ("text_embeds", "text_embedding", "embedding", "output", "pooler_output")
"""Names of the outputs that hold vectors, the best ones first; else it is the only output of two dimensions."""

_RESAMPLING = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "nearest": Image.Resampling.NEAREST,
}
_NO_PUNCTUATION = str.maketrans("_", " ", string.punctuation.replace("_", ""))


class PairEncoder:
    """The pair in a directory: vectors only, without regions, words or a reranker. Thread-safe.

    Args:
        directory: of the pair.
        device: `auto`, or as for `create_session`.
        workers: calls computed in parallel, each in one thread if there are several.

    Raises:
        CheckpointError: the directory holds no usable pair.
        EncodersError: the device is not available.
    """

    def __init__(self, directory: Path, *, device: str = "cpu", workers: int = 1) -> None:
        self._description = read_pair(directory)
        self._folder = directory
        self._one_thread = workers > 1
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}
        self._locks = {name: threading.Lock() for name in (IMAGE, TEXT, TOKENIZER)}
        self._loaded_tokenizer: Tokenizer | None = None
        self._workers = BatchingWorkers(self._encode_texts, workers)
        self.name, self.fingerprint = self._description.name, self._description.fingerprint
        self.dimension, self.input_size = self._description.dimension, self._description.image.size
        self.device = "cpu" if device == "auto" else device
        if device.startswith("cuda"):
            raise EncodersError(f"a pretrained pair does not run on {device!r}; use --device cpu")
        check_device(self.device)
        self.directory: Path | None = directory.absolute()

    @property
    def has_regions(self) -> bool:
        """A pair's encoders give vectors only."""
        return False

    @property
    def matches(self) -> bool:
        """Whether there is a probability: if the scale and the bias of the pair's training are known."""
        return self._description.scale is not None and self._description.bias is not None

    @property
    def batch_sizes(self) -> Mapping[int, int]:
        """Number of batches encoded, by their number of sentences."""
        return self._workers.sizes

    def prepare(self, image: Image.Image) -> Pixels:
        """Resize and crop an upright picture as the pair expects it: (S, S, 3), uint8."""
        return to_input(image, self._description.image)

    def encode_images(self, pixels: Pixels) -> ImageFeatures:
        """Encode prepared pictures (B, S, S, 3); they have no regions."""
        starts = range(0, len(pixels), IMAGE_BATCH)
        batches = [pixels[start : start + IMAGE_BATCH] for start in starts]
        vectors = self._workers.map(self._encode_images, batches) or [np.empty((0, self.dimension), np.float32)]
        return ImageFeatures(np.concatenate(vectors), np.zeros((len(pixels), 0, 1), np.float32))

    def _encode_images(self, pixels: Pixels) -> Floats:
        settings = self._description.image
        mean, std = (np.array(values, np.float32) for values in (settings.mean, settings.std))
        normal = (pixels.astype(np.float32) / np.float32(255) - mean) / std
        session = self._session(IMAGE)
        (argument,) = session.get_inputs()
        batch = np.ascontiguousarray(normal.transpose(0, 3, 1, 2)).astype(_type(argument.type))
        return self._vectors(session, {argument.name: batch}, IMAGE_OUTPUTS)

    def warm_up(self) -> None:
        """Do nothing: an encoder of this size takes all cores to load."""

    def encode_texts(self, texts: Sequence[str]) -> TextFeatures:
        """Encode sentences, cut to the pair's context; they have no token states."""
        return self._workers.encode(texts)

    def _encode_texts(self, texts: Sequence[str]) -> TextFeatures:
        session = self._session(TEXT)
        if self._description.text.canonical:
            texts = [canonical(text) for text in texts]
        encodings = self._tokenizer(session).encode_batch(list(texts))
        ids = np.array([encoding.ids for encoding in encodings], np.int64)
        mask = np.array([encoding.attention_mask for encoding in encodings], np.int64)
        positions = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
        known = dict.fromkeys(IDS, ids) | {ATTENTION: mask, POSITIONS: positions}
        inputs = {each.name: known[each.name].astype(_type(each.type)) for each in session.get_inputs()}
        vectors = self._vectors(session, inputs, TEXT_OUTPUTS)
        return TextFeatures(vectors, tuple(np.zeros((0, 1), np.float32) for _ in texts))

    def query(self, text: TextFeatures) -> TextFeatures:
        """Return the vectors as they are: captions and queries are one to a pair."""
        return text

    def strangeness(self, terms: Sequence[str]) -> list[float]:
        """Rate terms with digits as unknown, and all others as half known: the pair's captions are not."""
        return [1.0 if any(char.isdigit() for char in term) else 0.5 for term in terms]

    def match_images(self, text: TextFeatures, images: ImageFeatures) -> MatchScores:
        """Score K pictures for one sentence by cosine."""
        return self._scores(images.vectors @ text.vectors[0])

    def match_captions(self, image: ImageFeatures, texts: TextFeatures) -> MatchScores:
        """Score K captions for one picture by cosine."""
        return self._scores(texts.vectors @ image.vectors[0])

    def _scores(self, cosines: Floats) -> MatchScores:
        scale, bias = self._description.scale or 0.0, self._description.bias or 0.0
        probabilities = 1 / (1 + np.exp(-np.clip(scale * cosines + bias, -60, 60)))
        return MatchScores(cosines, probabilities.astype(np.float32), max(scale, 1e-3))

    def attend(self, text: str, regions: Floats) -> Attention:
        """Refuse: the pair's encoders give no regions.

        Raises:
            EncodersError: always.
        """
        del text, regions
        raise EncodersError(f"model {self.name} has no regions, so it cannot show where it found a word")

    def _tokenizer(self, session: onnxruntime.InferenceSession) -> Tokenizer:
        """Return the tokenizer, which fills sentences up if the text encoder takes those of one length only."""
        with self._locks[TOKENIZER]:
            if self._loaded_tokenizer is None:
                settings, length = self._description.text, session.get_inputs()[0].shape[-1]
                context = length if isinstance(length, int) else settings.context
                tokenizer = read_tokenizer(self._folder / TOKENIZER)
                tokenizer.enable_truncation(context)
                fills = settings.fill or isinstance(length, int)
                tokenizer.enable_padding(pad_id=settings.pad, length=context if fills else None)
                self._loaded_tokenizer = tokenizer
            return self._loaded_tokenizer

    def _vectors(
        self, session: onnxruntime.InferenceSession, inputs: Mapping[str, Array], names: Sequence[str]
    ) -> Floats:
        """Run an encoder, one item at a time if its batch size is fixed, and normalise its vectors."""
        output = vector_output(session, names)
        (first, *_) = session.get_inputs()
        count = len(next(iter(inputs.values())))
        if isinstance(first.shape[0], int):
            rows = [session.run([output], {k: v[i : i + 1] for k, v in inputs.items()})[0] for i in range(count)]
        else:
            rows = [session.run([output], dict(inputs))[0]]
        vectors = np.concatenate(rows).astype(np.float32)
        if vectors.ndim != 2 or vectors.shape[1] != (self.dimension or vectors.shape[1]):  # 0 while it is tried out
            raise CheckpointError(f"{self._folder}: vectors of {vectors.shape[1:]} instead of {self.dimension} values")
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (np.isfinite(lengths).all() and (lengths > 0).all()):
            raise CheckpointError(f"{self._folder}: a vector is not finite; the model's weights are damaged")
        return vectors / lengths

    def _session(self, name: str) -> onnxruntime.InferenceSession:
        with self._locks[name]:
            if name not in self._sessions:
                path = self._folder / name
                elsewhere = external_files(np.memmap(path, np.uint8, mode="r"), path) - self._description.files.keys()
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


def read_tokenizer(path: Path) -> Tokenizer:
    """Read a tokenizer.

    Raises:
        CheckpointError: the file holds none.
    """
    from tokenizers import Tokenizer  # noqa: PLC0415  only once there is something to encode

    try:
        tokenizer: Tokenizer = Tokenizer.from_file(str(path))
    except Exception as exc:  # the library raises nothing more specific
        raise CheckpointError(f"{path} is no tokenizer ({first_line(exc)})") from exc
    return tokenizer


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


def to_input(image: Image.Image, settings: ImageInput) -> Pixels:
    """Resize and crop a picture to the input square (S, S, 3), uint8.

    Source: open_clip's and torchvision's transforms, whose roundings these are.
    """
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    size, resampling = settings.size, _RESAMPLING[settings.interpolation]
    if settings.resize == "squash":
        resized = rgb if rgb.size == (size, size) else rgb.resize((size, size), resampling)
        return np.array(resized, np.uint8)
    shortest, longest = sorted(rgb.size)
    factor = size / (shortest if settings.resize == "shortest" else longest)
    width, height = (size if round(side * factor) == size else max(1, int(side * factor)) for side in rgb.size)
    resized = rgb if rgb.size == (width, height) else rgb.resize((width, height), resampling)
    square = Image.new("RGB", (size, size))
    square.paste(resized, (round((size - width) / 2), round((size - height) / 2)))
    return np.array(square, np.uint8)


def canonical(text: str) -> str:
    """Lower a text's case, and take its punctuation and repeated spaces away, as SigLIP's captions were."""
    return " ".join(text.translate(_NO_PUNCTUATION).lower().split())


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
