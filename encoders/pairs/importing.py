"""Import a pair from a folder in somebody else's form into one of crosslook's: checked, whole, or not at all."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..errors import CheckpointError, first_line
from ..progress import Progress, no_progress
from .description import IMAGE, TEXT, TOKENIZER, ImageInput, PairDescription, TextInput, write_description
from .encoder import ATTENTION, IDS, IMAGE_OUTPUTS, POSITIONS, TEXT_OUTPUTS, PairEncoder, open_session, vector_output
from .foreign import ForeignPair, read_foreign_pair
from .onnx_file import external_files

LARGEST = 8_000_000_000
"""Bytes of a half; a larger file is taken for a mistake."""

PROBE = "a photo of a cat"


def import_pair(
    folder: Path,
    directory: Path,
    *,
    name: str,
    source: str | None = None,
    licence: str | None = None,
    progress: Progress = no_progress,
) -> None:
    """Import a pair.

    Args:
        folder: one that `read_foreign_pair` reads.
        directory: a new folder for the pair.
        name: the model's name.
        source: where it comes from; None for the folder.
        licence: the licence of its weights, if known.
        progress: called as the work proceeds.

    Raises:
        CheckpointError: the folder holds no pair that can be used, or cannot be copied; nothing is left half-done.
    """
    pair = read_foreign_pair(folder)
    files = _files(pair)
    with new_pair(directory) as copied:
        for number, (target, path) in enumerate(files.items()):
            progress("copying", number, len(files))
            shutil.copyfile(path, copied / target)
        progress("copying", len(files), len(files))
        complete(
            copied,
            name=name,
            source=source or str(folder),
            licence=licence,
            image=pair.image_input,
            text=pair.text_input,
        )


@contextmanager
def new_pair(directory: Path) -> Iterator[Path]:
    """Make a folder to put a pair's files into; it becomes `directory` if all goes well, and is removed if not.

    Raises:
        CheckpointError: `directory` exists already, or cannot be written.
    """
    if directory.exists():
        raise CheckpointError(f"{directory} exists already; remove it, or give another name")
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{directory.name}-", dir=directory.parent) as temporary:
            folder = Path(temporary, "pair")
            folder.mkdir()
            yield folder
            folder.rename(directory)
    except OSError as exc:
        raise CheckpointError(f"{directory} cannot be written ({exc.strerror or exc})") from exc


def complete(
    folder: Path,
    *,
    name: str,
    source: str,
    licence: str | None,
    image: ImageInput,
    text: TextInput,
    scale: float | None = None,
    bias: float | None = None,
) -> None:
    """Describe the files in a folder, and try them out.

    Raises:
        CheckpointError: they are no pair that can be used.
    """
    dimension = _dimension(folder)
    files = {path.name: (path.stat().st_size, _digest(path)) for path in sorted(folder.iterdir())}
    description = PairDescription(name, source, licence, dimension, image, text, scale, bias, files)
    write_description(description, folder)
    _try_out(folder, description)


def _files(pair: ForeignPair) -> dict[str, Path]:
    """The files to copy, by their names in the new folder.

    External data keeps its name, which the ONNX file refers to.
    """
    files = {TOKENIZER: pair.tokenizer}
    for target, path in ((IMAGE, pair.image), (TEXT, pair.text)):
        files[target] = path
        for location in sorted(external_files(path)):
            data = path.parent / location
            if Path(location).name != location:
                raise CheckpointError(f"{path} keeps weights outside its folder, in {location!r}, which is refused")
            if not data.is_file():
                raise CheckpointError(f"{data} is missing: {path.name} keeps weights there")
            if files.setdefault(location, data) != data:
                raise CheckpointError(f"both halves keep weights in a file named {location}; rename one of them")
    for path in files.values():
        if path.stat().st_size > LARGEST:
            raise CheckpointError(f"{path} has {path.stat().st_size / 1e9:.0f} GB, more than any model crosslook knows")
    return files


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _dimension(folder: Path) -> int:
    """Check the inputs of both halves, and return the length of their vectors as the image half states it."""
    image, text = open_session(folder / IMAGE), open_session(folder / TEXT)
    unknown = {argument.name for argument in text.get_inputs()} - {*IDS, ATTENTION, POSITIONS}
    if unknown or not {argument.name for argument in text.get_inputs()} & set(IDS):
        names = ", ".join(argument.name for argument in text.get_inputs())
        raise CheckpointError(f"the text half takes inputs that crosslook does not know: {names}")
    if len(image.get_inputs()) != 1 or len(image.get_inputs()[0].shape) != 4:
        raise CheckpointError("the image half takes something other than one batch of pictures")
    shapes = {output.name: output.shape for session in (image, text) for output in session.get_outputs()}
    sizes = [shapes[vector_output(image, IMAGE_OUTPUTS)][-1], shapes[vector_output(text, TEXT_OUTPUTS)][-1]]
    if all(isinstance(size, int) for size in sizes) and sizes[0] != sizes[1]:
        raise CheckpointError(
            f"the halves belong to two models: pictures have vectors of {sizes[0]} values, sentences of {sizes[1]}"
        )
    return int(next((size for size in sizes if isinstance(size, int)), 0))


def _try_out(folder: Path, description: PairDescription) -> None:
    """Encode a picture, a sentence, and the last token of the tokenizer, which the text half must know."""
    encoder = PairEncoder(folder)
    side = description.image.size
    noise = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), np.uint8)
    encoder.encode_images(noise)
    encoder.encode_texts([PROBE, ""])
    vocabulary = encoder._tokenizer.get_vocab(with_added_tokens=True)  # noqa: SLF001  of the same package
    last = max(vocabulary, key=lambda token: vocabulary[token])
    try:
        encoder.encode_texts([last])
    except CheckpointError:
        raise
    except Exception as exc:
        raise CheckpointError(f"the tokenizer does not fit the text half ({first_line(exc)})") from exc
