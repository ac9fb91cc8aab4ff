"""A folder of pictures with `NAME.txt` beside `NAME.jpg`, one caption per line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import DatasetError
from .rows import IMAGE_SUFFIXES, Rejected, Row, fault, read_text, split_lines


def rows(folder: Path) -> Iterator[Row | Rejected]:
    """Read the captions of every picture below a folder; image names are relative to it."""
    for directory, subfolders, files in os.walk(folder):
        subfolders.sort()
        names = set(files)
        for name in sorted(files):
            if Path(name).suffix.lower() not in IMAGE_SUFFIXES:
                continue
            path = Path(directory) / name
            sidecar = path.with_suffix(".txt")
            if sidecar.name not in names:
                yield Rejected(path, None, f"no {sidecar.name} beside it")
                continue
            try:
                text = read_text(sidecar)
            except DatasetError as exc:
                yield Rejected(sidecar, None, str(exc).removeprefix(f"{sidecar} "))
                continue
            lines = [(n, line) for n, line in enumerate(split_lines(text), start=1) if line.strip()]
            if not lines:
                yield Rejected(sidecar, None, "no caption in it")
            for number, line in lines:
                row = Row(str(path.relative_to(folder)), line, number)
                reason = fault(row)
                yield Rejected(sidecar, number, reason) if reason else row
