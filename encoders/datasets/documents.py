"""Datasets in one JSON document: Karpathy's splits, and COCO captions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import DatasetError
from .rows import Rejected, Row, json_text, parse_json, read_text


def read_document(path: Path) -> dict[str, Any]:
    """Parse the document.

    Raises:
        DatasetError: the file is not JSON, or has neither layout.
    """
    try:
        document = parse_json(read_text(path))
    except json.JSONDecodeError as exc:
        raise DatasetError(f"{path}:{exc.lineno}: not JSON ({exc.msg}); is it cut short?") from exc
    except ValueError as exc:
        raise DatasetError(f"{path} cannot be read as JSON: {exc}") from exc
    if not isinstance(document, dict) or not isinstance(document.get("images"), list):
        raise DatasetError(f"{path} has no list 'images': neither Karpathy's layout nor COCO captions")
    return document


def rows(path: Path) -> Iterator[Row | Rejected]:
    """Read rows of either layout; only COCO has a list of annotations."""
    document = read_document(path)
    return _coco(path, document) if isinstance(document.get("annotations"), list) else _karpathy(path, document)


def _karpathy(path: Path, document: dict[str, Any]) -> Iterator[Row | Rejected]:
    """`{"images": [{"filename", "filepath"?, "split", "sentences": [{"raw"}]}]}`; restval counts as train."""
    for number, image in enumerate(document["images"]):
        try:
            name, split = json_text(image["filename"]), json_text(image.get("split", "all"))
            folder = json_text(image.get("filepath") or "")
            texts = [json_text(sentence["raw"]) for sentence in image["sentences"]]
        except (KeyError, TypeError, AttributeError) as exc:
            yield Rejected(path, None, f"images[{number}]: {_missing(exc)}")
            continue
        for text in texts:
            full = f"{folder}/{name}" if folder else name
            yield Row(full, text, None, "train" if split == "restval" else split)


def _coco(path: Path, document: dict[str, Any]) -> Iterator[Row | Rejected]:
    """`{"images": [{"id", "file_name"}], "annotations": [{"image_id", "caption"}]}`; the file's name has the split."""
    split = next((s for s in ("train", "val", "test") if s in path.stem.lower()), "all")
    names: dict[object, str] = {}
    for number, image in enumerate(document["images"]):
        try:
            names[image["id"]] = json_text(image["file_name"])
        except (KeyError, TypeError) as exc:
            yield Rejected(path, None, f"images[{number}]: {_missing(exc)}")
    for number, annotation in enumerate(document["annotations"]):
        try:
            yield Row(names[annotation["image_id"]], json_text(annotation["caption"]), None, split)
        except (KeyError, TypeError) as exc:
            yield Rejected(path, None, f"annotations[{number}]: {_missing(exc)}")


def _missing(exc: Exception) -> str:
    return f"no {exc}" if isinstance(exc, KeyError) else "not an object of the expected form"
