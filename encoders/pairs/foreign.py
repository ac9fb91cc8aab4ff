"""Folders of pairs as others publish them: Immich's, and transformers.js's."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ..errors import CheckpointError, first_line
from .description import Channels, ImageInput, TextInput

CONTEXT = 77
"""CLIP's, which folders leave out."""

LARGEST = 8_000_000_000
"""Bytes of a half; a larger file is taken for a mistake."""

RESAMPLE = {0: "nearest", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers, in which `preprocessor_config.json` names the interpolation."""


@dataclass(frozen=True)
class ForeignPair:
    """The files of a pair, and how its inputs are made."""

    image: Path
    text: Path
    tokenizer: Path
    image_input: ImageInput
    text_input: TextInput


def read_foreign_pair(directory: Path) -> ForeignPair:
    """Read a folder in one of the two forms.

    - Immich: `visual/model.onnx`, `visual/preprocess_cfg.json`, `textual/model.onnx`, `textual/tokenizer.json`,
      `textual/tokenizer_config.json`, `config.json`.
    - transformers.js: `vision_model.onnx` and `text_model.onnx`, there or in `onnx/`, `preprocessor_config.json`,
      `tokenizer.json`, `tokenizer_config.json`, `config.json`.

    Raises:
        CheckpointError: it has neither form, a file is missing, empty or too large, or a setting is one that
            crosslook does not know.
    """
    if not directory.is_dir():
        raise CheckpointError(f"{directory} is not a folder")
    try:
        if (directory / "visual").is_dir() or (directory / "textual").is_dir():
            return _immich(directory)
        folder = directory / "onnx" if (directory / "onnx").is_dir() else directory
        if (folder / "vision_model.onnx").exists() or (folder / "text_model.onnx").exists():
            return _transformers_js(directory, folder)
    except (TypeError, ValueError, AttributeError, OverflowError, StopIteration) as exc:
        raise CheckpointError(f"{directory}: a setting is malformed ({first_line(exc)})") from exc
    raise CheckpointError(
        f"{directory} holds no pair: neither visual/model.onnx and textual/model.onnx nor vision_model.onnx and "
        "text_model.onnx"
    )


def _immich(directory: Path) -> ForeignPair:
    visual, textual = directory / "visual", directory / "textual"
    files = visual / "model.onnx", textual / "model.onnx", textual / "tokenizer.json"
    _require(*files)
    settings = _read(visual / "preprocess_cfg.json")
    text = _read(directory / "config.json").get("text_cfg", {})
    path = visual / "preprocess_cfg.json"
    image_input = _image_input(
        path,
        settings.get("size"),
        settings.get("resize_mode", "shortest"),
        settings.get("interpolation", "bicubic"),
        settings.get("mean"),
        settings.get("std"),
    )
    text_input = TextInput(
        context=int(text.get("context_length", CONTEXT)),
        pad=_pad(textual, files[2]),
        fill=True,
        canonical=text.get("tokenizer_kwargs", {}).get("clean") == "canonicalize",
    )
    return ForeignPair(*files, image_input, text_input)


def _transformers_js(directory: Path, folder: Path) -> ForeignPair:
    files = folder / "vision_model.onnx", folder / "text_model.onnx", directory / "tokenizer.json"
    _require(*files)
    path = directory / "preprocessor_config.json"
    settings = _read(path)
    size, resize = settings.get("size"), "squash"
    if settings.get("do_center_crop") or "shortest_edge" in _dict(size):
        resize = "shortest"
        if settings.get("do_center_crop") and _sides(settings.get("crop_size")) != _sides(size):
            raise CheckpointError(f"{path}: pictures are resized to one size and cropped to another, which is unknown")
    if not (settings.get("do_rescale", True) and settings.get("do_normalize", True)) or not math.isclose(
        settings.get("rescale_factor", 1 / 255), 1 / 255, rel_tol=1e-3
    ):
        raise CheckpointError(f"{path}: pictures are not normalised in the usual way, which is unknown")
    image_input = _image_input(
        path,
        size,
        resize,
        RESAMPLE.get(settings.get("resample", 3)),
        settings.get("image_mean"),
        settings.get("image_std"),
    )
    text = _read(directory / "config.json").get("text_config", {})
    tokens = _read(directory / "tokenizer_config.json")
    lengths = (text.get("max_position_embeddings"), tokens.get("model_max_length"), CONTEXT)
    context = next(int(length) for length in lengths if isinstance(length, int | float) and 0 < length < 10**6)
    fill = "siglip" in str(_read(directory / "config.json").get("model_type"))  # trained with sentences filled up
    return ForeignPair(*files, image_input, TextInput(context, _pad(directory, files[2]), fill, canonical=False))


def _image_input(path: Path, size: Any, resize: Any, interpolation: Any, mean: Any, std: Any) -> ImageInput:  # noqa: ANN401  as JSON has it
    try:
        (side,) = _sides(size)
        known = resize in ("shortest", "squash", "longest") and interpolation in RESAMPLE.values()
        channels = [tuple(float(value) for value in values) for values in (mean, std)]
        if not (known and 0 < side <= 4096 and all(len(values) == 3 for values in channels) and min(channels[1]) > 0):
            raise ValueError  # noqa: TRY301  handled like any other wrong value
    except (TypeError, ValueError) as exc:
        raise CheckpointError(f"{path}: its settings describe no preprocessing that crosslook knows") from exc
    return ImageInput(side, resize, interpolation, *cast("list[Channels]", channels))


def _sides(size: Any) -> set[int]:  # noqa: ANN401  as JSON has it
    """The different sides of a size, which is a number, a list, or a dictionary."""
    return {int(side) for side in (_dict(size).values() or (size if isinstance(size, list) else [size]))}


def _pad(folder: Path, tokenizer: Path) -> int:
    """The id of the padding token; 0 if the folder names none."""
    token = _read(folder / "tokenizer_config.json").get("pad_token")
    text = token.get("content") if isinstance(token, dict) else token
    document = _read(tokenizer)
    added = {each.get("content"): each.get("id") for each in document.get("added_tokens", ())}
    vocabulary = _dict(document.get("model")).get("vocab")
    listed = vocabulary.get(text) if isinstance(vocabulary, dict) else None
    number = added.get(text, listed)
    return int(number) if isinstance(number, int) else 0


def _require(*files: Path) -> None:
    for path in files:
        if not path.is_file():
            raise CheckpointError(f"{path} is missing: a pair has both halves and a tokenizer")
        check_size(path)


def check_size(path: Path) -> None:
    """Refuse a file that is empty or too large, before it is read.

    Raises:
        CheckpointError: it is.
    """
    size = path.stat().st_size
    if not size:
        raise CheckpointError(f"{path} is empty; fetch it again")
    if size > LARGEST:
        raise CheckpointError(f"{path} has {size / 1e9:.0f} GB, more than any model crosslook knows")


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError as exc:
        raise CheckpointError(f"{path} is missing: it says how the pair's inputs are made") from exc
    except (OSError, ValueError, RecursionError) as exc:
        raise CheckpointError(f"{path} cannot be read ({first_line(exc)})") from exc
    if not isinstance(document, dict):
        raise CheckpointError(f"{path} cannot be read (no JSON object)")
    return document


def _dict(value: Any) -> dict[str, Any]:  # noqa: ANN401  as JSON has it
    return value if isinstance(value, dict) else {}
