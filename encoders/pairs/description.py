"""A pair in a folder of crosslook's: two ONNX files, a tokenizer, and `model.json`, which says how to use them.

Reading it loads neither of the encoders. Nothing in it is run as code.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from ..checkpoint.foreign_tokenizer import TOKENIZER
from ..checkpoint.identity import DESCRIPTION
from ..errors import CheckpointError, first_line

FORMAT, VERSION = "crosslook-pair", 2
IMAGE, TEXT = "image.onnx", "text.onnx"

Resize = Literal["shortest", "squash", "longest"]
Interpolation = Literal["bicubic", "bilinear", "nearest"]
Channels = tuple[float, float, float]


@dataclass(frozen=True)
class ImageInput:
    """How a picture becomes the input of the image encoder.

    `resize` is of the shortest side, then the centre is cropped; of both, which changes the aspect ratio; or of the
    longest, then the rest is filled with black.
    """

    size: int
    resize: Resize
    interpolation: Interpolation
    mean: Channels
    std: Channels


@dataclass(frozen=True)
class TextInput:
    """How a sentence becomes the input of the text encoder.

    Sentences are cut to `context` tokens, and with `fill` padded to as many; else to the longest of a batch. With
    `canonical`, they are lower-cased and lose their punctuation first, as SigLIP's were in training.
    """

    context: int
    pad: int
    fill: bool
    canonical: bool


@dataclass(frozen=True)
class States:
    """The output of an encoder that has a state for each region or token, and the length of a state.

    Joint states lie in the space of the vectors, so that words can be compared with them as they are.
    """

    output: str
    width: int
    joint: bool


@dataclass(frozen=True)
class PairDescription:
    """The content of `model.json`.

    `scale` and `bias` are those of the pair's own training; None if unknown. `regions` and `tokens` are the states of
    pictures and sentences; None if an encoder gives none. `files` has the size and the SHA-256 of each file.
    """

    name: str
    source: str
    licence: str | None
    dimension: int
    image: ImageInput
    text: TextInput
    scale: float | None
    bias: float | None
    regions: States | None
    tokens: States | None
    files: dict[str, tuple[int, str]]
    fingerprint: str = ""

    @property
    def has_heat_maps(self) -> bool:
        """Whether regions can be compared with words as they are."""
        return self.regions is not None and self.regions.joint


def is_pair(directory: Path) -> bool:
    """Whether a folder holds a pair: its description begins with the format, and can be megabytes long."""
    try:
        with (directory / DESCRIPTION).open("rb") as file:
            return f'"{FORMAT}"'.encode() in file.read(64)
    except OSError:
        return False


def write_description(description: PairDescription, directory: Path) -> None:
    """Write `model.json`."""
    document = {"format": FORMAT, "version": VERSION} | asdict(description)
    del document["fingerprint"]
    (directory / DESCRIPTION).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def read_pair(directory: Path) -> PairDescription:
    """Read a pair's description, and check that its files are there, each of its size.

    Raises:
        CheckpointError: a file is missing or cut short, or the description is damaged or of a later version.
    """
    path = directory / DESCRIPTION
    try:
        raw = path.read_bytes()
        document: dict[str, Any] = json.loads(raw)
        if document["version"] > VERSION:
            raise CheckpointError(
                f"{path} has format version {document['version']}; this crosslook reads up to {VERSION}"
            )
        description = PairDescription(
            name=str(document["name"]),
            source=str(document["source"]),
            licence=document["licence"],
            dimension=int(document["dimension"]),
            image=_image(document["image"]),
            text=_text(document["text"]),
            scale=_number(document["scale"]),
            bias=_number(document["bias"]),
            regions=_states(document.get("regions")),  # version 1 had none
            tokens=_states(document.get("tokens")),
            files={name: (int(size), str(digest)) for name, (size, digest) in document["files"].items()},
            fingerprint=hashlib.sha256(raw).hexdigest(),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as exc:
        raise CheckpointError(f"{path} cannot be read ({first_line(exc)}); add the model again") from exc
    if not {IMAGE, TEXT, TOKENIZER} <= description.files.keys():
        raise CheckpointError(f"{path} lists too few files; add the model again")
    for name, (size, _) in description.files.items():
        if Path(name).name != name:
            raise CheckpointError(f"{path} lists a file outside its folder, {name!r}, which is refused")
        file = directory / name
        if not file.is_file():
            raise CheckpointError(f"{file} is missing; add the model again")
        if file.stat().st_size != size:
            raise CheckpointError(f"{file} is cut short or altered; add the model again")
    return description


def _image(document: dict[str, Any]) -> ImageInput:
    channels = [tuple(float(value) for value in document[key]) for key in ("mean", "std")]
    image = ImageInput(
        int(document["size"]), document["resize"], document["interpolation"], *cast("list[Channels]", channels)
    )
    if image.resize not in get_args(Resize) or image.interpolation not in get_args(Interpolation):
        raise ValueError("a way to resize pictures that is unknown")
    if image.size < 1 or [len(values) for values in channels] != [3, 3] or min(image.std) <= 0:
        raise ValueError("a size or a channel that no picture has")
    return image


def _text(document: dict[str, Any]) -> TextInput:
    text = TextInput(
        int(document["context"]), int(document["pad"]), bool(document["fill"]), bool(document["canonical"])
    )
    if text.context < 1:
        raise ValueError("sentences of no tokens")
    return text


def _number(value: Any) -> float | None:  # noqa: ANN401  as JSON has it
    if value is not None and not math.isfinite(value):
        raise ValueError("a number is not finite")
    return None if value is None else float(value)


def _states(document: dict[str, Any] | None) -> States | None:
    if document is None:
        return None
    return States(str(document["output"]), int(document["width"]), bool(document["joint"]))


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(directory: Path) -> None:
    """Compare each file of a pair with its SHA-256.

    Raises:
        CheckpointError: a file was altered.
    """
    for name, (_, expected) in read_pair(directory).files.items():
        if digest(directory / name) != expected:
            raise CheckpointError(f"{directory / name} was altered; add the model again")
