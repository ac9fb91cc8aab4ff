"""A small folder in the layout of `everyday`, of painted pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import painter

ROWS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (  # file, what is painted, split, what the dataset says
    ("coco__1.png", "red", "val", {"objects": ["Red"]}),
    ("coco__2.png", "red", "val", {"objects": ["red", "white"]}),
    ("coco__3.png", "blue", "val", {"objects": ["red"]}),
    ("coco__4.png", "yellow", "val", {"objects": []}),
    ("coco__5.png", "white", "val", {"objects": ["white"]}),
    ("coco__6.png", "red", "train", {"objects": ["red"]}),
    ("grocery__1.png", "green", "val", {"class": "Green"}),
    ("imagenet__1.png", "green", "val", {"class": "green"}),
    ("imagenet__2.png", "red", "val", {"class": "blue"}),
    ("imagenet__3.png", "blue", "val", {"class": "yellow"}),
)


@pytest.fixture
def everyday(tmp_path: Path) -> Path:
    """Nine pictures for validation, and one for training."""
    folder = tmp_path / "everyday"
    paint = painter(folder / "images")
    documents = []
    for seed, (name, colour, split, shown) in enumerate(ROWS):
        paint(name, colour, seed=seed)
        source = name.partition("__")[0]
        documents.append({"image": f"images/{name}", "split": split, "source": source, **shown})
    lines = "".join(json.dumps(document) + "\n" for document in documents)
    (folder / "everyday.jsonl").write_text(lines, encoding="utf-8")
    return folder
