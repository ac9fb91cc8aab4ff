"""Tables of (image, caption): CSV, TSV and JSON Lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .rows import Label, Rejected, Row, json_text, parse_json, read_text

IMAGE_COLUMNS = ("image", "image_name", "filename", "file_name", "file", "path", "filepath", "image_path")
CAPTION_COLUMNS = ("caption", "text", "sentence", "raw", "comment", "description", "title")
LABEL_KEYS = ("labels", "objects", "tags", "label", "class")
"""Keys of JSON Lines that name what a picture shows, in a list or alone."""


def rows(path: Path) -> Iterator[Row | Rejected]:
    """Read rows of a `.csv`, `.tsv` or `.jsonl` file."""
    return _json_lines(path) if path.suffix.lower() in (".jsonl", ".ndjson") else _table(path)


def _table(path: Path) -> Iterator[Row | Rejected]:
    """A header names the columns, in any order; without one the first column is the image, the second the caption."""
    text = read_text(path)
    delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    image, caption, split, width = 0, 1, None, 2
    first = True
    while True:
        number = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as exc:
            yield Rejected(path, number, f"not a table row ({exc})")
            continue
        if not any(field.strip() for field in fields):
            continue
        names = [field.strip().lower() for field in fields]
        if first and any(n in IMAGE_COLUMNS for n in names) and any(n in CAPTION_COLUMNS for n in names):
            image = next(i for i, n in enumerate(names) if n in IMAGE_COLUMNS)
            caption = next(i for i, n in enumerate(names) if n in CAPTION_COLUMNS)
            split = names.index("split") if "split" in names else None
            width = len(names)
        elif len(fields) != width:
            yield Rejected(path, number, f"expected {width} columns, found {len(fields)}; quote a caption with commas")
        else:
            yield Row(
                fields[image], fields[caption], number, (fields[split].strip() or "all") if split is not None else "all"
            )
        first = False


def _delimiter(text: str) -> str:
    header = text.split("\n", 1)[0]
    return max(",;\t|", key=header.count)


def _json_lines(path: Path) -> Iterator[Row | Rejected]:
    """`{"image": …, "caption": …}` or `{"image": …, "captions": […]}`, one per line, each with labels or without."""
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            item = parse_json(line)
        except json.JSONDecodeError as exc:
            yield Rejected(path, number, f"not JSON ({exc.msg})")
            continue
        except ValueError as exc:
            yield Rejected(path, number, f"cannot be read as JSON: {exc}")
            continue
        if not isinstance(item, dict):
            yield Rejected(path, number, "not a JSON object")
            continue
        image = next((item[name] for name in IMAGE_COLUMNS if isinstance(item.get(name), str)), None)
        captions = item.get("captions")
        texts = (
            captions
            if isinstance(captions, list)
            else [item[n] for n in CAPTION_COLUMNS if isinstance(item.get(n), str)][:1]
        )
        if image is None or not texts or not all(isinstance(text, str) for text in texts):
            yield Rejected(path, number, "expected the keys 'image' and 'caption' (or 'captions')")
            continue
        try:
            split = json_text(item.get("split", "all"))
        except TypeError as exc:
            yield Rejected(path, number, f"split: {exc}")
            continue
        labels = tuple(dict.fromkeys(_labels(item)))
        for text in texts:
            yield Row(image, text, number, split, labels)


def _labels(item: dict[str, Any]) -> Iterator[Label]:
    """Read the names of what a picture shows. Other values, such as numbers of classes, are none and no fault."""
    for key in LABEL_KEYS:
        value = item.get(key)
        for name in value if isinstance(value, list) else [value]:
            words = " ".join(name.replace("_", " ").split()) if isinstance(name, str) else ""
            if words and words.isprintable():
                yield Label(key, words)
