"""Fixtures that every room uses: a quick model, and folders of painted pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from indexer import Catalog, index_paths
from tests.fakes import COLOURS, FakeEncoder

Paint = Callable[..., Path]


@pytest.fixture
def encoder() -> FakeEncoder:
    """A model made of colours."""
    return FakeEncoder()


def painter(folder: Path) -> Paint:
    """A function that writes pictures of one colour to a folder; `seed` makes pictures of a colour differ."""

    def write(name: str, colour: str = "red", *, size: tuple[int, int] = (48, 40), seed: int = 0) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.new("RGB", size, COLOURS[colour])
        image.putpixel((seed % size[0], seed // size[0] % size[1]), (seed % 256, 77, 99))
        image.save(path)
        return path

    return write


@pytest.fixture
def paint(tmp_path: Path) -> Paint:
    """Write a picture to the test's folder: `paint("red.png", "red")`."""
    return painter(tmp_path / "pictures")


@pytest.fixture
def folder(paint: Paint, tmp_path: Path) -> Path:
    """A folder with a red, a green, a blue, a white and a black picture."""
    for colour in ("red", "green", "blue", "white", "black"):
        paint(f"{colour}.png", colour)
    return tmp_path / "pictures"


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """An empty index."""
    with Catalog.open(tmp_path / "index", create=True) as opened:
        yield opened


@pytest.fixture
def indexed(catalog: Catalog, encoder: FakeEncoder, folder: Path) -> Catalog:
    """An index of the five pictures."""
    index_paths(catalog, encoder, [folder])
    return catalog
