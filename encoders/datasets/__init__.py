"""Readers for datasets of captioned pictures.

| layout | recognised by |
| --- | --- |
| Flickr8k, Flickr30k release | a folder with `Flickr8k.token.txt`, `results_20130124.token` or `results.csv` |
| Karpathy JSON, COCO captions JSON | a `.json` file (or a folder with just one) |
| table | a `.csv`, `.tsv` or `.jsonl` file (or a folder with just one) |
| sidecars | a folder with `NAME.txt` beside `NAME.jpg` |
"""

from __future__ import annotations

from pathlib import Path

from ..errors import DatasetError
from . import documents, flickr, folder, tables
from .encodings import decode_text
from .rows import (
    IMAGE_SUFFIXES,
    CaptionFile,
    Dataset,
    Example,
    Label,
    Rejected,
    Row,
    assemble,
    collect,
    image_folders,
    split_lines,
)

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")

__all__ = [
    "IMAGE_SUFFIXES",
    "CaptionFile",
    "Dataset",
    "Example",
    "Label",
    "Rejected",
    "Row",
    "collect",
    "decode_text",
    "read_captions",
    "read_dataset",
    "split_lines",
]


def read_dataset(path: Path, *, images: Path | None = None) -> Dataset:
    """Read a captioned dataset; its pictures are located but not opened.

    Args:
        path: a folder or file in one of the layouts above.
        images: the folder of the pictures, if it is not beside the captions.

    Raises:
        DatasetError: the path does not exist, has no known layout, or holds nothing usable.
    """
    if not path.exists():
        raise DatasetError(f"no such file or folder: {path}")
    file = _caption_file(path) if path.is_dir() else path
    if file is None:
        return assemble(path.resolve().name, collect(path, folder.rows(path)), [path])
    base = file.resolve().parent
    folders = [images] if images else [*image_folders(base), *image_folders(base.parent), base.parent]
    if not images and file.suffix.lower() == ".json":
        folders += sorted(p for p in [*base.iterdir(), *base.parent.iterdir()] if p.is_dir())
    name = base.name if path.is_dir() else file.stem
    return assemble(name, read_captions(file), folders)


def read_captions(path: Path) -> CaptionFile:
    """Read a caption file without locating its pictures.

    Raises:
        DatasetError: the file is missing, of an unknown kind, or holds no usable row.
    """
    if not path.is_file():
        raise DatasetError(f"no such file: {path}")
    suffix = path.suffix.lower()
    if suffix == ".json":
        rows = documents.rows(path)
    elif path.name == "results.csv" or suffix in (".txt", ".token"):
        rows = flickr.rows(path) if not _is_table(path) else tables.rows(path)
    elif suffix in TABLES:
        rows = tables.rows(path)
    else:
        raise DatasetError(f"{path}: unknown kind of caption file; use .token, .txt, .json, .csv, .tsv or .jsonl")
    captions = collect(path, rows)
    if not captions.entries:
        first = f"; the first fault: {captions.rejected[0]}" if captions.rejected else ""
        raise DatasetError(f"{path} holds no usable caption ({len(captions.rejected)} rows refused{first})")
    return captions


def _is_table(path: Path) -> bool:
    """Whether a text file is a table: a common copy of Flickr8k has a `captions.txt` that begins `image,caption`."""
    try:
        with path.open("rb") as file:
            return split_lines(decode_text(file.read(64)))[0].strip().lower() == "image,caption"
    except OSError as exc:
        raise DatasetError(f"{path} cannot be read: {exc.strerror or exc}") from exc


def _caption_file(path: Path) -> Path | None:
    """Return the caption file of a folder, or None if the captions are sidecars."""
    token_file = flickr.token_file(path)
    if token_file:
        return token_file
    candidates = sorted(p for p in path.iterdir() if p.suffix.lower() in (".json", *TABLES) and p.is_file())
    if len(candidates) > 1:
        names = ", ".join(p.name for p in candidates)
        raise DatasetError(f"{path} holds several caption files ({names}); name the one you mean")
    return candidates[0] if candidates else None
