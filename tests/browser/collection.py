"""A collection of real photographs, and a second real model, for the browser tests.

Each of the demo's photographs is written whole and as several crops. Folders, dates, cameras, formats and shapes take
turns, so that every filter has values to choose from and known counts.
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
from encoders.export import write_graphs
from scripts.demo import PHOTOGRAPHS, photograph_folder

FOLDERS = {
    "animals": ("chelsea.png", "horse.png"),
    "people": ("astronaut.png", "camera.png"),
    "space": ("hubble_deep_field.jpg", "moon.png", "rocket.jpg"),
    "ground": ("brick.png", "grass.png", "gravel.png"),
    "medicine": ("cell.png", "ihc.png", "microaneurysms.png", "retina.jpg"),
}
"""Every other photograph goes into `things`."""

CAMERAS = (("Canon", "EOS 5D"), ("Apple", "iPhone 12"), None)
FORMATS = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}
SHAPES = {"landscape": (3, 2), "portrait": (2, 3), "square": (1, 1)}
YEARS = (2021, 2022, 2023, 2024)
CROPS = 7
"""Crops of each photograph: enough for several pages of results."""
SIDE = 420
RESIZED = ("chelsea.png", "coffee.png", "rocket.jpg")
COPIED = "astronaut.png"
CHANGED = "text.pool.value.weight"
"""The int8 matrix that differs in the second model."""


ANNOTATED = ("chelsea.png", "coffee.png")
"""Photographs with a sidecar."""
PERSON, KEYWORD, CITY = "Wilhelmina Quast", "Zwischenstopp", "Munich"
QUOTED = """The "5 o'clock" *"""
"""A keyword with all that a filter must escape."""
SIDECAR = f"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"
 xmp:Rating="4" exif:GPSLatitude="48,8.2N" exif:GPSLongitude="11,34.5E">
<dc:subject><rdf:Bag><rdf:li>{KEYWORD}</rdf:li><rdf:li>{QUOTED}</rdf:li></rdf:Bag></dc:subject>
<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Bag><rdf:li rdf:parseType="Resource">
<mwg-rs:Name>{PERSON}</mwg-rs:Name><mwg-rs:Type>Face</mwg-rs:Type>
</rdf:li></rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions></rdf:Description></rdf:RDF></x:xmpmeta>"""


@dataclass
class Collection:
    """The folder, and the counts that filters must show; copies count once, except by folder."""

    path: Path
    images: int = 0
    folders: Counter[str] = field(default_factory=Counter)
    cameras: Counter[str | None] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    orientations: Counter[str] = field(default_factory=Counter)
    years: Counter[str | None] = field(default_factory=Counter)

    def add(self, image: Image.Image, folder: str, stem: str, number: int) -> None:
        """Write a picture; the number determines date, camera and format."""
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
        """Write a JPEG without metadata."""
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
    """Write a collection made from some photographs into a folder."""
    collection, number, source = Collection(path), 0, photograph_folder()
    for name in names:
        folder = next((folder for folder, names in FOLDERS.items() if name in names), "things")
        with Image.open(source / name) as opened:
            photograph = opened.convert("RGB")
        collection.add(photograph, folder, Path(name).stem, number)
        number += 1
        for crop in range(CROPS):
            collection.add(_crop(photograph, crop), folder, f"{Path(name).stem}_{crop}", number)
            number += 1
        if name in RESIZED:
            half = photograph.resize((photograph.width * 3 // 5, photograph.height * 3 // 5), Image.Resampling.LANCZOS)
            collection.add_plain(half, "copies", f"{Path(name).stem}_small.jpg")
    if COPIED in names:
        _copy(collection)
    for name in ANNOTATED:
        file = next(path.rglob(f"{Path(name).stem}.*"))
        file.with_suffix(".xmp").write_text(SIDECAR, encoding="utf-8")
    (path / "things" / "broken.jpg").write_bytes((source / "rocket.jpg").read_bytes()[:20_000])
    (path / "things" / "notes.jpg").write_text("these are notes, whatever the name says")
    return collection


def _crop(photograph: Image.Image, number: int) -> Image.Image:
    """A crop of a photograph; the number determines shape and position."""
    across, down = list(SHAPES.values())[number % 3]
    unit = min(photograph.width / across, photograph.height / down) * (0.45 + 0.04 * (number % 3))
    width, height = int(unit * across), int(unit * down)
    left = int((photograph.width - width) * (number % 4) / 3)
    top = int((photograph.height - height) * (number // 2 % 4) / 3)
    crop = photograph.crop((left, top, left + width, top + height))
    crop.thumbnail((SIDE, SIDE))
    return crop


def _copy(collection: Collection) -> None:
    """Copy a file byte by byte: one more file, but no more pictures."""
    original = next(collection.path.rglob(f"{Path(COPIED).stem}.*"))
    shutil.copy(original, collection.path / "copies" / original.name)
    collection.folders["copies"] += 1


def make_copies(path: Path, count: int) -> None:
    """Write many small pictures, all different, and a broken one."""
    path.mkdir(parents=True, exist_ok=True)
    with Image.open(photograph_folder() / "coffee.png") as opened:
        image = opened.convert("RGB").resize((160, 120))
    for number in range(count):
        image.putpixel((number % 160, number // 160), (255, number % 256, 0))
        image.save(path / f"coffee_{number:04}.png", compress_level=1)
    (path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and then nothing")


def make_second_model(path: Path) -> Path:
    """Write the base model with noise in one matrix, so that it ranks differently, under another name."""
    shutil.copytree(BASE_MODEL, path, ignore=shutil.ignore_patterns("*.md", "*.csv"))
    weights = load_file(path / "model.safetensors")
    noise = torch.Generator().manual_seed(6)
    values = weights[CHANGED].float()
    values += 0.6 * values.std() * torch.randn(values.shape, generator=noise)
    weights[CHANGED] = values.round().clamp(-127, 127).to(weights[CHANGED].dtype)
    save_file(weights, path / "model.safetensors")
    document = json.loads((path / "model.json").read_text(encoding="utf-8"))
    document["name"] = "second"
    document["weights_sha256"] = hashlib.sha256((path / "model.safetensors").read_bytes()).hexdigest()
    (path / "model.json").write_text(json.dumps(document), encoding="utf-8")
    assert write_graphs(path)
    return path
