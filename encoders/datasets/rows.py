"""The rows that every reader produces, and the dataset made from them. Unusable rows are refused and counted."""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from ..errors import DatasetError
from .encodings import decode_text

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif"}
)
VALIDATION_NAMES = ("dev", "val", "validation", "valid")
"""What datasets call their validation split; a dataset with one of these is also selected by the others."""

IMAGE_FOLDERS = ("images", "Images", "Flicker8k_Dataset", "Flickr8k_Dataset", "flickr30k-images", "flickr30k_images")


class Label(NamedTuple):
    """A name of something that a picture shows, and the list of names it comes from, such as `objects` or `class`."""

    kind: str
    name: str


@dataclass(frozen=True)
class Row:
    """One caption of one picture, as a file has it; `line` counts from 1, None for a JSON document."""

    image: str
    caption: str
    line: int | None
    split: str = "all"
    labels: tuple[Label, ...] = ()


@dataclass(frozen=True)
class Rejected:
    """A row or picture that was refused, and why."""

    file: Path
    line: int | None
    reason: str

    def __str__(self) -> str:
        location = str(self.file) if self.line is None else f"{self.file}:{self.line}"
        return f"{location}: {self.reason}"


@dataclass(frozen=True)
class CaptionFile:
    """The captions of a file; their pictures are not located."""

    path: Path
    entries: tuple[Row, ...]
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True)
class Example:
    """A picture, its captions, and its labels."""

    image: Path
    captions: tuple[str, ...]
    split: str
    labels: tuple[Label, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """Pictures with captions, and the rows that were refused."""

    name: str
    examples: tuple[Example, ...]
    rejected: tuple[Rejected, ...] = ()

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the splits, sorted."""
        return tuple(sorted({example.split for example in self.examples}))

    @property
    def validation_split(self) -> str | None:
        """The name of the validation split, or None if the dataset has none."""
        return next((name for name in VALIDATION_NAMES if name in self.splits), None)

    def select(self, split: str) -> Dataset:
        """Return the examples of one split, or every example for `all`; the names of a validation split are synonyms.

        Raises:
            DatasetError: the dataset has no such split.
        """
        if split == "all":
            return self
        if split in VALIDATION_NAMES and split not in self.splits:
            split = self.validation_split or split
        chosen = tuple(example for example in self.examples if example.split == split)
        if not chosen:
            raise DatasetError(f"{self.name} has no split {split!r}; it has: {', '.join((*self.splits, 'all'))}")
        return replace(self, name=f"{self.name} ({split})", examples=chosen)

    def hold_out(self, share: float, seed: int) -> tuple[Dataset, Dataset]:
        """Split off a random share of the pictures, for datasets without a validation split.

        Raises:
            DatasetError: there are too few pictures for two parts of at least two.
        """
        count = max(2, round(share * len(self.examples)))
        if len(self.examples) - count < 2:
            raise DatasetError(f"{self.name} has {len(self.examples)} pictures; training and validation need four")
        chosen = set(random.Random(seed).sample(range(len(self.examples)), count))
        parts = [tuple(e for i, e in enumerate(self.examples) if (i in chosen) is held) for held in (False, True)]
        names = (f"{self.name} (without the held-out part)", f"{self.name} (held out)")
        return replace(self, name=names[0], examples=parts[0]), replace(self, name=names[1], examples=parts[1])


def read_text(path: Path) -> str:
    """Read a file's text, decoded as by `decode_text`.

    Raises:
        DatasetError: the file cannot be read.
    """
    try:
        return decode_text(path.read_bytes())
    except OSError as exc:
        raise DatasetError(f"{path} cannot be read: {exc.strerror or exc}") from exc


def split_lines(text: str) -> list[str]:
    r"""Split at `\n`, `\r\n` and `\r` only: `str.splitlines` would cut a caption at U+2028, U+0085, `\v` and others."""
    return re.split(r"\r\n|\n|\r", text)


def parse_json(text: str) -> Any:  # noqa: ANN401  JSON may hold anything
    """Parse untrusted JSON.

    Raises:
        json.JSONDecodeError: not JSON.
        ValueError: JSON that Python cannot parse; the message says why.
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
    """Return a string, or a number as text.

    Raises:
        TypeError: the value is anything else, such as null or a list.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    raise TypeError(f"expected text, not {type(value).__name__}")


def collect(path: Path, rows: Iterable[Row | Rejected]) -> CaptionFile:
    """Separate usable rows from unusable ones, those with a `fault`."""
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
    """Return why a row cannot be used (its encoding, a lone surrogate, no image name, no caption), or None."""
    surrogates = re.findall("[\ud800-\udfff]", row.image + row.caption + row.split)
    place = "" if row.line else f" in a row of {row.image!a}"
    if surrogates and all("\udc80" <= char <= "\udcff" for char in surrogates):  # as `decode_text` marks such bytes
        return f"neither UTF-8 nor UTF-16{place}; save the file as UTF-8"
    if surrogates:
        return f"half a character ({surrogates[0]!a}, one half of a surrogate pair){place}; write the whole character"
    if "\0" in row.image:
        return f"no image name: {row.image!r}; is the file text, in UTF-8?"
    if not PurePath(row.image).name:  # also "." and "/"
        return "no image name"
    if not row.caption:
        return f"no caption for {row.image}"
    control = re.search("[\0\x1b]", row.caption)  # the latter in ISO-2022, whose bytes are all ASCII
    return f"a control character ({control[0]!a}) in the caption; is the file text, in UTF-8?" if control else None


def assemble(name: str, captions: CaptionFile, folders: Iterable[Path]) -> Dataset:
    """Make a dataset of captions, with each picture from the first folder that has it.

    Raises:
        DatasetError: no usable row remains.
    """
    roots = [folder for folder in dict.fromkeys(folders) if folder.is_dir()]
    listings: dict[Path, frozenset[str]] = {}
    pictures: dict[str, tuple[Path, str, list[str], dict[Label, None]]] = {}
    rejected = list(captions.rejected)
    for row in captions.entries:
        if row.image not in pictures:
            path = _find(row.image, roots, listings)
            if path is None:
                rejected.append(Rejected(captions.path, row.line, f"no image {row.image}"))
                continue
            pictures[row.image] = (path, row.split, [], {})
        pictures[row.image][2].append(row.caption)
        pictures[row.image][3].update(dict.fromkeys(row.labels))
    if not pictures:
        first = f"; the first fault: {rejected[0]}" if rejected else ""
        folder_names = ", ".join(str(root) for root in roots) or "no folder"
        raise DatasetError(
            f"{captions.path} names no usable picture (looked in {folder_names}; {len(rejected)} refused{first})"
        )
    examples = tuple(Example(path, tuple(c), split, tuple(labels)) for path, split, c, labels in pictures.values())
    return Dataset(name, examples, tuple(rejected))


def _find(name: str, roots: list[Path], listings: dict[Path, frozenset[str]]) -> Path | None:
    """Locate a picture, with one listing per folder instead of one system call per picture."""
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
    """List the folders where a dataset's pictures may be."""
    return [*(base / name for name in IMAGE_FOLDERS), base]
