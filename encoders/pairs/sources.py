"""Where pretrained pairs come from: `open_clip:ARCHITECTURE/WEIGHTS`, `hf:OWNER/REPOSITORY`, `onnx:FOLDER`."""

from __future__ import annotations

import hashlib
import re
import shutil
from contextlib import suppress
from pathlib import Path

import platformdirs

from ..errors import CheckpointError, EncodersError
from ..progress import Progress, no_progress
from .description import digest, is_pair, read_pair, verify
from .foreign import read_foreign_pair
from .importing import import_pair
from .known import licence_of

OPEN_CLIP, HUB, ONNX = "open_clip:", "hf:", "onnx:"


def is_source(text: str) -> bool:
    """Whether a text names a pretrained pair rather than a folder of a model."""
    return text.startswith((OPEN_CLIP, HUB, ONNX))


def models_folder() -> Path:
    """Return the folder of all pretrained pairs of this user.

    Raises:
        EncodersError: the user has no home directory.
    """
    try:
        return platformdirs.user_data_path("crosslook", appauthor=False) / "models"
    except RuntimeError as exc:
        raise EncodersError("this user has no home directory to keep models in; set XDG_DATA_HOME") from exc


def obtain(source: str, folder: Path | None = None, progress: Progress = no_progress) -> Path:
    """Return the folder of a pretrained pair; a pair that is not there yet is imported or exported first.

    Args:
        source: see above.
        folder: where pairs are kept; None for this user's folder.
        progress: called as the work proceeds.

    Raises:
        CheckpointError: the source holds no pair that can be used.
        BackboneError: open_clip is missing, does not know the pair, or cannot get its weights.
        EncodersError: it is no source.
    """
    kept = models_folder() if folder is None else folder
    if source.startswith(ONNX):
        path = Path(source.removeprefix(ONNX)).expanduser().resolve()
        pair = read_foreign_pair(path)
        content = "".join(digest(file) for file in (pair.image, pair.text, pair.tokenizer))
        directory = kept / _file_name(path.name, content)  # one that has changed becomes another model
        if not _is_there(directory):
            import_pair(path, directory, name=path.name, progress=progress)
        return directory
    if source.startswith(HUB):
        repository = source.removeprefix(HUB)
        if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", repository):
            raise EncodersError(f"{source!r} is no repository; write hf:OWNER/REPOSITORY")
        directory = kept / _file_name(repository, source)
        if not _is_there(directory):
            from .hub import fetch_pair  # noqa: PLC0415  loads the hub's library

            fetched = fetch_pair(repository, kept / "downloads", progress)
            import_pair(fetched, directory, name=repository.rpartition("/")[2], source=source, progress=progress)
            shutil.rmtree(fetched)
        return directory
    architecture, _, tag = source.removeprefix(OPEN_CLIP).partition("/")
    if not (source.startswith(OPEN_CLIP) and architecture and tag):
        raise EncodersError(
            f"{source!r} is no pretrained pair; write open_clip:ARCHITECTURE/WEIGHTS, hf:OWNER/REPOSITORY "
            "or onnx:FOLDER"
        )
    directory = kept / _file_name(f"{architecture}-{tag}", source)
    if not _is_there(directory):
        from .from_open_clip import export_open_clip  # noqa: PLC0415  loads torch

        export_open_clip(
            architecture,
            tag,
            directory,
            name=f"{architecture}/{tag}",
            licence=licence_of(source),
            progress=progress,
        )
    return directory


def find_pair(name: str, folder: Path | None = None) -> Path:
    """Return the folder of a pair that is there already.

    Args:
        name: its folder, or its own name if it is kept in `folder`.
        folder: where pairs are kept; None for this user's folder.

    Raises:
        EncodersError: there is no such pair, or several have the name.
    """
    if is_pair(Path(name)):
        return Path(name)
    kept = models_folder() if folder is None else folder
    names = _names(kept)
    found = [path for path, each in names.items() if each == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise EncodersError(f"several pairs are called {name!r}; name one's folder: {', '.join(map(str, found))}")
    known = ", ".join(sorted(set(names.values()))) or "none"
    raise EncodersError(
        f"{name} is no pretrained pair; name a folder, a source such as open_clip:ViT-B-32/laion2b_s34b_b79k, "
        f"or a pair that was added before: {known}"
    )


def _names(kept: Path) -> dict[Path, str]:
    """The names of the pairs in a folder; damaged ones have none."""
    names = {}
    for path in filter(is_pair, sorted(kept.glob("*"))):
        with suppress(CheckpointError):
            names[path] = read_pair(path).name
    return names


def _is_there(directory: Path) -> bool:
    """Whether a pair is there and whole; what is left of a damaged one is removed."""
    if not directory.exists():
        return False
    try:
        verify(directory)
    except CheckpointError:
        shutil.rmtree(directory)
        return False
    return True


def _file_name(text: str, source: str) -> str:
    """A folder's name that says what is in it, and is another one for another source."""
    readable = re.sub(r"[^\w.-]+", "-", text).strip("-.") or "pair"
    return f"{readable}-{hashlib.sha256(source.encode()).hexdigest()[:8]}"
