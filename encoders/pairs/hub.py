"""Fetch a pair's folder from a model hub: `hf:OWNER/REPOSITORY`."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from ..errors import EncodersError, first_line
from ..progress import Progress, no_progress

ENDPOINT = "https://huggingface.co"

SETTINGS = (
    *("config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"),
    *("visual/preprocess_cfg.json", "textual/tokenizer.json", "textual/tokenizer_config.json"),
)
HALVES = (
    ("visual/model.onnx", "textual/model.onnx"),
    ("onnx/vision_model.onnx", "onnx/text_model.onnx"),
    ("vision_model.onnx", "text_model.onnx"),
)
"""The encoders in each of the forms that `foreign.py` reads; the first that a repository has in full is fetched."""


class HubFile(NamedTuple):
    """A file of a repository, with its SHA-256 where the hub states one."""

    name: str
    size: int
    digest: str | None


def fetch_pair(repository: str, folder: Path, progress: Progress = no_progress) -> Path:
    """Fetch the files of a pair; what is there already is kept, and a file that was cut is continued.

    Args:
        repository: `OWNER/REPOSITORY`.
        folder: where downloads are kept.
        progress: called as the work proceeds.

    Returns:
        The folder of the pair.

    Raises:
        EncodersError: the hub cannot be reached, has no such repository, or one without a pair; or a file that came is
            not the one that was promised.
    """
    directory = folder / repository.replace("/", "--")
    try:
        files, revision = _list(repository)
    except Exception as exc:  # the library's, httpx's and socket's errors have no base in common
        raise EncodersError(_by_hand(repository, directory, exc)) from exc
    wanted = _choose(repository, files)
    total = sum(file.size for file in wanted)
    done = 0
    for file in wanted:
        progress("fetching kilobytes", done // 1000, total // 1000)
        path = directory / file.name
        if not _is_whole(path, file):
            _fetch(repository, revision, file, directory)
        if not _is_whole(path, file):
            path.unlink(missing_ok=True)
            raise EncodersError(f"{file.name} of {repository} came damaged: its size or checksum is wrong; try again")
        done += file.size
    progress("fetching kilobytes", total // 1000, total // 1000)
    return directory


def _list(repository: str) -> tuple[list[HubFile], str]:
    from huggingface_hub import HfApi  # noqa: PLC0415  only a download needs it

    info = HfApi(endpoint=_endpoint()).model_info(repository, files_metadata=True)
    files = [
        HubFile(each.rfilename, int(each.size or 0), each.lfs.sha256 if each.lfs is not None else None)
        for each in info.siblings or ()
    ]
    return files, str(info.sha)


def _choose(repository: str, files: list[HubFile]) -> list[HubFile]:
    """Choose the two halves, with the files in which they keep weights, and the settings."""
    by_name = {file.name: file for file in files}
    halves = next((pair for pair in HALVES if set(pair) <= by_name.keys()), None)
    if halves is None:
        raise EncodersError(
            f"{repository} holds no pair in ONNX: no {' and '.join(HALVES[0])}, or {' and '.join(HALVES[1])}"
        )
    data = [file for file in files if file.name.startswith(tuple(f"{half}{mark}" for half in halves for mark in "._"))]
    return [*(by_name[name] for name in SETTINGS if name in by_name), *(by_name[half] for half in halves), *data]


def _fetch(repository: str, revision: str, file: HubFile, directory: Path) -> None:
    from huggingface_hub import hf_hub_download  # noqa: PLC0415  only a download needs it

    try:
        hf_hub_download(repository, file.name, revision=revision, local_dir=directory, endpoint=_endpoint())
    except Exception as exc:  # as above
        raise EncodersError(_by_hand(repository, directory, exc, file.name)) from exc


def _is_whole(path: Path, file: HubFile) -> bool:
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    if file.digest is None:
        return True
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == file.digest


def _by_hand(repository: str, directory: Path, exc: BaseException, name: str = "the pair") -> str:
    address = f"{_endpoint()}/{repository}"
    return (
        f"{name} of {repository} cannot be fetched ({first_line(exc)}); run the command again to continue, or fetch "
        f"the files of {address} by hand into {directory} and run: crosslook models add onnx:{directory}"
    )


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", ENDPOINT).rstrip("/")
