"""What every reader produces, and how rows become a dataset. A row that cannot be used is refused and counted."""

from __future__ import annotations

import json
import os
import random
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from ..errors import DatasetError

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif"}
)
IMAGE_FOLDERS = ("images", "Images", "Flicker8k_Dataset", "Flickr8k_Dataset", "flickr30k-images", "flickr30k_images")


@dataclass(frozen=True)
class Row:
    """One caption of one picture, as a file says it; `line` counts from 1, None where the file has no lines."""

    image: str
    caption: str
    line: int | None
    split: str = "all"


@dataclass(frozen=True)
class Rejected:
    """A row or picture that was refused."""

    file: Path
    line: int | None
    reason: str

    def __str__(self) -> str:
        where = str(self.file) if self.line is None else f"{self.file}:{self.line}"
        return f"{where}: {self.reason}"


@dataclass(frozen=True)
class CaptionFile:
    """The captions of a file, their pictures not looked for."""

    path: Path
    entries: tuple[Row, ...]
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True)
class Example:
    """A picture and its captions."""

    image: Path
    captions: tuple[str, ...]
    split: str


@dataclass(frozen=True)
class Dataset:
    """Pictures with captions, and what was refused on the way."""

    name: str
    examples: tuple[Example, ...]
    rejected: tuple[Rejected, ...] = ()

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the splits there are, sorted."""
        return tuple(sorted({example.split for example in self.examples}))

    def select(self, split: str) -> Dataset:
        """The examples of one split; `all` is every example.

        Raises:
            DatasetError: there is no such split.
        """
        if split == "all":
            return self
        chosen = tuple(example for example in self.examples if example.split == split)
        if not chosen:
            raise DatasetError(f"{self.name} has no split {split!r}; it has: {', '.join((*self.splits, 'all'))}")
        return replace(self, name=f"{self.name} ({split})", examples=chosen)

    def hold_out(self, share: float, seed: int) -> tuple[Dataset, Dataset]:
        """Split off a random share of the pictures, for datasets that bring no split to validate on.

        Raises:
            DatasetError: there are not pictures enough for two parts of at least two.
        """
        count = max(2, round(share * len(self.examples)))
        if len(self.examples) - count < 2:
            raise DatasetError(f"{self.name} has {len(self.examples)} pictures; training and validation need four")
        chosen = set(random.Random(seed).sample(range(len(self.examples)), count))
        parts = [tuple(e for i, e in enumerate(self.examples) if (i in chosen) == held) for held in (False, True)]
        names = (f"{self.name} (without the held-out part)", f"{self.name} (held out)")
        return replace(self, name=names[0], examples=parts[0]), replace(self, name=names[1], examples=parts[1])


def read_text(path: Path) -> str:
    """A file's text; bytes that are not UTF-8 stay recognisable, so that their rows can be refused one by one.

    Raises:
        DatasetError: the file cannot be read, or is UTF-16.
    """
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise DatasetError(f"{path} cannot be read: {exc.strerror or exc}") from exc
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise DatasetError(f"{path} is UTF-16; save the file as UTF-8")
    return content.decode("utf-8-sig", errors="surrogateescape")


def split_lines(text: str) -> list[str]:
    r"""Split at `\n`, `\r\n` and `\r` only: `str.splitlines` would cut a caption at U+2028, U+0085, `\v` and others."""
    return re.split(r"\r\n|\n|\r", text)


def parse_json(text: str) -> Any:  # noqa: ANN401  JSON may hold anything
    """Parse JSON from outside.

    Raises:
        json.JSONDecodeError: not JSON.
        ValueError: JSON that Python does not read; the message says why.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc
    except ValueError as exc:  # the limit of int(), 4,300 digits
        raise ValueError("a number has too many digits") from exc


def json_text(value: object) -> str:
    """A string, or a number as text.

    Raises:
        TypeError: anything else, such as null or a list.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    raise TypeError(f"expected text, not {type(value).__name__}")


def collect(path: Path, rows: Iterable[Row | Rejected]) -> CaptionFile:
    """Sort rows into usable and refused: see `fault`."""
    entries: list[Row] = []
    rejected: list[Rejected] = []
    for row in rows:
        if isinstance(row, Rejected):
            rejected.append(row)
            continue
        clean = replace(row, image=row.image.strip(), caption=" ".join(row.caption.split()))
        reason = fault(clean)
        if reason:
            rejected.append(Rejected(path, row.line, reason))
        else:
            entries.append(clean)
    return CaptionFile(path, tuple(entries), tuple(rejected))


def fault(row: Row) -> str | None:
    """Why a row cannot be used, or None: bytes that are not UTF-8, half a character, no name, no caption."""
    surrogates = re.findall("[\ud800-\udfff]", row.image + row.caption + row.split)
    where = "" if row.line else f" in a row of {row.image!a}"
    if surrogates and all("\udc80" <= char <= "\udcff" for char in surrogates):  # as `read_text` marks such bytes
        return f"not UTF-8{where}; save the file as UTF-8"
    if surrogates:
        return f"half a character ({surrogates[0]!a}, one half of a surrogate pair){where}; write the whole character"
    if "\0" in row.image:
        return f"no image name: {row.image!r}; is the file text, in UTF-8?"
    if not PurePath(row.image).name:  # also "." and "/"
        return "no image name"
    if not row.caption:
        return f"no caption for {row.image}"
    return None


def assemble(name: str, captions: CaptionFile, folders: Iterable[Path]) -> Dataset:
    """Find each row's picture in the first of some folders that has it.

    Raises:
        DatasetError: not one usable row remains.
    """
    roots = [folder for folder in dict.fromkeys(folders) if folder.is_dir()]
    listings: dict[Path, frozenset[str]] = {}
    pictures: dict[str, tuple[Path, str, list[str]]] = {}
    rejected = list(captions.rejected)
    for row in captions.entries:
        if row.image not in pictures:
            found = _find(row.image, roots, listings)
            if found is None:
                rejected.append(Rejected(captions.path, row.line, f"no image {row.image}"))
                continue
            pictures[row.image] = (found, row.split, [])
        pictures[row.image][2].append(row.caption)
    if not pictures:
        first = f"; the first fault: {rejected[0]}" if rejected else ""
        looked = ", ".join(str(root) for root in roots) or "no folder"
        raise DatasetError(
            f"{captions.path} names no usable picture (looked in {looked}; {len(rejected)} refused{first})"
        )
    examples = tuple(Example(path, tuple(texts), split) for path, split, texts in pictures.values())
    return Dataset(name, examples, tuple(rejected))


def _find(name: str, roots: list[Path], listings: dict[Path, frozenset[str]]) -> Path | None:
    """Look a picture up, with one listing a folder instead of one system call a picture."""
    for root in roots:
        path = root / name
        if path.parent not in listings:
            try:
                listings[path.parent] = frozenset(os.listdir(path.parent))
            except OSError:
                listings[path.parent] = frozenset()
        if path.name in listings[path.parent]:
            return path
    return None


def image_folders(base: Path) -> list[Path]:
    """Where a dataset's pictures may lie, seen from its folder."""
    return [*(base / name for name in IMAGE_FOLDERS), base]
