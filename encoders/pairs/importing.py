"""Import a pair from a folder in somebody else's form into one of crosslook's: checked, whole, or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..checkpoint.foreign_tokenizer import TOKENIZER
from ..checkpoint.identity import DESCRIPTION
from ..checkpoint.onnx_file import external_files
from ..errors import CheckpointError, EncodersError, first_line
from ..features import Floats, Pixels
from ..progress import Progress, no_progress
from .description import (
    IMAGE,
    TEXT,
    ImageInput,
    PairDescription,
    States,
    TextInput,
    digest,
    is_pair,
    write_description,
)
from .foreign import ForeignPair, check_size, read_foreign_pair
from .towers import (
    ATTENTION,
    IDS,
    IMAGE_OUTPUTS,
    JOINT_STATES,
    POSITIONS,
    RAW_STATES,
    TEXT_OUTPUTS,
    PairTowers,
    open_session,
    vector_output,
)

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
            try:
                folder.rename(directory)
            except OSError:
                if not is_pair(directory):  # else another process was faster
                    raise
    except OSError as exc:
        raise CheckpointError(f"{exc.filename or directory}: {exc.strerror or exc}") from exc


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
    fixed = _check_inputs(folder)
    if fixed is not None:
        text = replace(text, context=fixed, fill=True)
    files = {path.name: (path.stat().st_size, digest(path)) for path in sorted(folder.iterdir())}
    description = PairDescription(name, source, licence, 0, image, text, scale, bias, None, None, files)
    write_description(description, folder)
    towers = PairTowers(folder)
    description = replace(
        description, dimension=_try_out(towers), regions=_states(towers, IMAGE), tokens=_states(towers, TEXT)
    )
    write_description(description, folder)


def _files(pair: ForeignPair) -> dict[str, Path]:
    """The files to copy, by their names in the new folder.

    External data keeps its name, which the ONNX file refers to.
    """
    files = {TOKENIZER: pair.tokenizer, IMAGE: pair.image, TEXT: pair.text}
    for path in (pair.image, pair.text):
        for location in sorted(external_files(np.memmap(path, np.uint8, mode="r"), path)):
            data = path.parent / location
            if Path(location).name != location:
                raise CheckpointError(f"{path} keeps weights outside its folder, in {location!r}, which is refused")
            if not data.is_file():
                raise CheckpointError(f"{data} is missing: {path.name} keeps weights there")
            check_size(data)
            if location == DESCRIPTION or files.setdefault(location, data) != data:
                raise CheckpointError(f"two files of the pair are named {location}; rename one of them")
    return files


def _check_inputs(folder: Path) -> int | None:
    """Check what both halves take, and what they state of their vectors.

    Returns:
        The number of tokens, if the text half takes sentences of one length only.
    """
    image, text = open_session(folder / IMAGE), open_session(folder / TEXT)
    names = [argument.name for argument in text.get_inputs()]
    if set(names) - {*IDS, ATTENTION, POSITIONS} or not set(names) & set(IDS):
        raise CheckpointError(f"the text half takes inputs that crosslook does not know: {', '.join(names)}")
    if len(image.get_inputs()) != 1 or len(image.get_inputs()[0].shape) != 4:
        raise CheckpointError("the image half takes something other than one batch of pictures")
    shapes = [{output.name: output.shape for output in session.get_outputs()} for session in (image, text)]
    sizes = [shapes[0][vector_output(image, IMAGE_OUTPUTS)][-1], shapes[1][vector_output(text, TEXT_OUTPUTS)][-1]]
    if all(isinstance(size, int) for size in sizes) and sizes[0] != sizes[1]:
        raise CheckpointError(
            f"the halves belong to two models: pictures have vectors of {sizes[0]} values, sentences of {sizes[1]}"
        )
    fixed = text.get_inputs()[0].shape[-1]
    return fixed if isinstance(fixed, int) else None


def _try_out(towers: PairTowers) -> int:
    """Encode a picture, a sentence, and the last token of the tokenizer, which the text half must know.

    Returns:
        The length of the vectors.
    """
    size, tokenizer = towers.description.image.size, towers.tokenizer
    last = tokenizer.last_token()
    trials: tuple[tuple[str, Callable[[], Floats]], ...] = (
        ("the preprocessing does not fit the image half", lambda: towers.image_vectors(_noise(size))),
        ("the settings do not fit the text half", lambda: towers.text_vectors(tokenizer([PROBE, ""]))),
        ("the tokenizer does not fit the text half", lambda: towers.text_vectors(tokenizer([last]))),
    )
    sizes = set()
    for fault, encode in trials:
        try:
            sizes.add(encode().shape[1])
        except EncodersError:
            raise
        except Exception as exc:  # ONNX Runtime's errors have no other common base
            raise CheckpointError(f"{fault} ({first_line(exc)})") from exc
    if len(sizes) > 1:
        raise CheckpointError(f"the halves belong to two models: their vectors have {sorted(sizes)} values")
    return int(sizes.pop())


def _states(towers: PairTowers, half: str) -> States | None:
    """Find the output of a half that has usable states, and try it out; None if there is none."""
    before = towers.description
    for name in (JOINT_STATES, RAW_STATES):
        states = States(name, 0, joint=name == JOINT_STATES)
        towers.description = replace(before, regions=states, tokens=states)
        try:
            if half == IMAGE:
                found = towers.image_states(_noise(before.image.size))[1]
            else:
                tokens = towers.tokenizer([PROBE, PROBE])
                found = towers.text_states(tokens)[1]
                if found.shape[:2] != (2, tokens.ids.shape[1] - 1):
                    continue
        except Exception:  # noqa: BLE001, S112  there is no such output, or one of a form that nobody knows
            continue
        finally:
            towers.description = before
        if np.isfinite(found).all():
            return replace(states, width=found.shape[2])
    return None


def _noise(size: int) -> Pixels:
    """Make two pictures of noise."""
    return np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)
