"""A collection of real photographs, and a second real model, for the tests in the browser.

The photographs are the demo's. From each come the picture itself and parts of it, in folders, with dates, cameras,
formats and shapes that go round in turn, so that every filter has something to choose and its count is known.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import ExifTags, Image
from safetensors.torch import load_file, save_file

from encoders.checkpoint.identity import BASE_MODEL
from scripts.demo import PHOTOGRAPHS, _photographs

FOLDERS = {
    "animals": ("chelsea.png", "horse.png"),
    "people": ("astronaut.png", "camera.png"),
    "space": ("hubble_deep_field.jpg", "moon.png", "rocket.jpg"),
    "ground": ("brick.png", "grass.png", "gravel.png"),
    "medicine": ("cell.png", "ihc.png", "microaneurysms.png", "retina.jpg"),
}
"""The rest lies in `things`."""

CAMERAS = (("Canon", "EOS 5D"), ("Apple", "iPhone 12"), None)
FORMATS = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}
SHAPES = {"landscape": (3, 2), "portrait": (2, 3), "square": (1, 1)}
YEARS = (2021, 2022, 2023, 2024)
PARTS = 7
"""Of each photograph: enough for several pages of an endless list."""
SIDE = 420
RESIZED = ("chelsea.png", "coffee.png", "rocket.jpg")
COPIED = "astronaut.png"
TURNED = "text.pool.value.weight"
"""The matrix, in int8, that is another in the second model."""


@dataclass
class Collection:
    """Where the pictures lie, and what a filter must count. A picture counts once, a file for each place."""

    path: Path
    images: int = 0
    folders: Counter[str] = field(default_factory=Counter)
    cameras: Counter[str | None] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    orientations: Counter[str] = field(default_factory=Counter)
    years: Counter[str | None] = field(default_factory=Counter)

    def add(self, image: Image.Image, folder: str, stem: str, number: int) -> None:
        """Write a picture with the date, camera and format whose turn it is."""
        form = list(FORMATS)[number % 3]
        camera = CAMERAS[number // 3 % 3]
        year = YEARS[number % 4]
        exif = Image.Exif()
        exif[ExifTags.Base.Software] = "crosslook's tests"  # Pillow writes no dates alone into a PNG
        if camera:
            exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = camera
        date = f"{year}:{1 + number % 12:02}:{1 + number % 28:02} 12:00:00"
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = date
        path = self.path / folder / f"{stem}{FORMATS[form]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.convert("RGB").save(path, form, exif=exif, quality=88)
        self._count(image, folder, " ".join(camera) if camera else None, form, str(year))

    def add_plain(self, image: Image.Image, folder: str, name: str) -> None:
        """Write a JPEG about which nothing is known."""
        path = self.path / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.convert("RGB").save(path, "JPEG", quality=80)
        self._count(image, folder, None, "JPEG", None)

    def _count(self, image: Image.Image, folder: str, camera: str | None, form: str, year: str | None) -> None:
        width, height = image.size
        self.images += 1
        self.folders[folder] += 1
        self.cameras[camera] += 1
        self.formats[form] += 1
        self.orientations["landscape" if width > height else "portrait" if width < height else "square"] += 1
        self.years[year] += 1


def make_collection(path: Path, names: Sequence[str] = PHOTOGRAPHS) -> Collection:
    """Write the collection, made of some photographs, into a folder."""
    made, number, source = Collection(path), 0, _photographs()
    for name in names:
        folder = next((folder for folder, names in FOLDERS.items() if name in names), "things")
        with Image.open(source / name) as opened:
            whole = opened.convert("RGB")
        made.add(whole, folder, Path(name).stem, number)
        number += 1
        for part in range(PARTS):
            made.add(_part(whole, part), folder, f"{Path(name).stem}_{part}", number)
            number += 1
        if name in RESIZED:
            half = whole.resize((whole.width * 3 // 5, whole.height * 3 // 5), Image.Resampling.LANCZOS)
            made.add_plain(half, "copies", f"{Path(name).stem}_small.jpg")
    if COPIED in names:
        _copy(made)
    (path / "things" / "broken.jpg").write_bytes((source / "rocket.jpg").read_bytes()[:20_000])
    (path / "things" / "notes.jpg").write_text("these are notes, whatever the name says")
    return made


def _part(whole: Image.Image, number: int) -> Image.Image:
    """A part of a photograph, in a shape whose turn it is, at a place of its own."""
    across, down = list(SHAPES.values())[number % 3]
    unit = min(whole.width / across, whole.height / down) * (0.45 + 0.04 * (number % 3))
    width, height = int(unit * across), int(unit * down)
    left = int((whole.width - width) * (number % 4) / 3)
    top = int((whole.height - height) * (number // 2 % 4) / 3)
    part = whole.crop((left, top, left + width, top + height))
    part.thumbnail((SIDE, SIDE))
    return part


def _copy(made: Collection) -> None:
    """The same bytes at another place: a file more, and no picture more."""
    original = next(made.path.rglob(f"{Path(COPIED).stem}.*"))
    shutil.copy(original, made.path / "copies" / original.name)
    made.folders["copies"] += 1


def make_copies(path: Path, count: int) -> None:
    """Many small pictures, no two with the same bytes, and a broken one; they take a while to index."""
    path.mkdir(parents=True, exist_ok=True)
    with Image.open(_photographs() / "coffee.png") as opened:
        image = opened.convert("RGB").resize((160, 120))
    for number in range(count):
        image.putpixel((number % 160, number // 160), (255, number % 256, 0))
        image.save(path / f"coffee_{number:04}.png", compress_level=1)
    (path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and then nothing")


def make_second_model(path: Path) -> Path:
    """The base model with weights of its own in one matrix, so that it ranks otherwise, under a name of its own."""
    shutil.copytree(BASE_MODEL, path, ignore=shutil.ignore_patterns("*.md", "*.csv"))
    weights = load_file(path / "model.safetensors")
    noise = torch.Generator().manual_seed(6)
    values = weights[TURNED].float()
    values += 0.6 * values.std() * torch.randn(values.shape, generator=noise)
    weights[TURNED] = values.round().clamp(-127, 127).to(weights[TURNED].dtype)
    save_file(weights, path / "model.safetensors")
    document = json.loads((path / "model.json").read_text(encoding="utf-8"))
    document["name"] = "second"
    document["weights_sha256"] = hashlib.sha256((path / "model.safetensors").read_bytes()).hexdigest()
    (path / "model.json").write_text(json.dumps(document), encoding="utf-8")
    return path
