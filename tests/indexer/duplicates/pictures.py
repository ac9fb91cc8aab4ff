"""Pictures for the tests of duplicates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from indexer.duplicates import DuplicateGroup


def mosaic(path: Path, seed: int, *, size: tuple[int, int] = (64, 64), shift: int = 0) -> Path:
    """A picture of sixteen coloured fields; `shift` moves them, so that only their positions differ."""
    colours = np.random.default_rng(seed).integers(0, 255, (16, 3), np.uint8)
    fields = np.roll(colours, shift, axis=0).reshape(4, 4, 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(fields).resize(size, Image.Resampling.NEAREST).save(path)
    return path


def scene(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """Discs of all colours and sizes on a shaded ground: structure everywhere, as in a photograph."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.integers(40, 200, (3, 4, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(70):
        x, y, radius = rng.integers((0, 0, 6), (*size, 30)).tolist()
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tuple(rng.integers(0, 200, 3).tolist()))
    return image.filter(ImageFilter.GaussianBlur(1))


def names(groups: list[DuplicateGroup]) -> list[list[str]]:
    """The file names of each group."""
    return [[Path(copy.path).name for copy in group.copies] for group in groups]


def kinds(groups: list[DuplicateGroup]) -> list[dict[str, str]]:
    """What each file of each group is, by its name."""
    return [{Path(copy.path).name: str(copy.kind) for copy in group.copies} for group in groups]
