"""Make a catalog with the code of this checkout, for later versions to upgrade: `catalog-vN.sql`.

To add version N, copy this file to the root of a checkout of the last commit of that version and run it there with the
`sqlite3` shell installed: `python make.py OUTPUT_DIRECTORY`. It prints the hits that test_migrations.py expects.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from PIL import Image

import indexer
from indexer import Catalog, index_paths
from indexer.catalog.captions import add_bank
from search import SearchEngine
from tests.fakes import COLOURS, FakeEncoder

HOME = Path("/tmp/holiday")  # noqa: S108  a fixed path, so that dumps differ only in what the versions differ in
PICTURES = HOME / "pictures"
TIME = 1_700_000_000 * 10**9
QUERIES = ("red", "green", "blue", "a yellow thing")
BANK = ["a red thing", "a blue thing"]


def main(output: Path) -> None:
    """Paint, index and search some pictures, then dump the catalog."""
    shutil.rmtree(HOME, ignore_errors=True)
    paint()
    encoder = FakeEncoder()
    with Catalog.open(HOME / "index", create=True) as catalog:
        index_paths(catalog, encoder, [PICTURES])
        (PICTURES / "gone.png").unlink()
        index_paths(catalog, encoder, [PICTURES])
        add_bank(catalog, BANK, encoder.encode_texts(BANK))
        if hasattr(indexer, "add_model"):
            indexer.add_model(catalog, FakeEncoder(name="other", fingerprint="0" * 64, turn=1))
    with SearchEngine.open(HOME / "index", encoder=encoder) as engine:
        answers = {query: [hit.image_id for hit in engine.search_images(query).hits] for query in QUERIES}
    with closing(sqlite3.connect(HOME / "index" / "catalog.db")) as connection:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shell = ["sqlite3", str(HOME / "index" / "catalog.db"), ".dump"]  # iterdump leaves out virtual tables
    dump = subprocess.run(shell, check=True, capture_output=True, text=True).stdout
    (output / f"catalog-v{version}.sql").write_text(f"{dump}PRAGMA user_version = {version};\n", encoding="utf-8")
    shutil.rmtree(HOME)
    sys.stdout.write(f"{answers}\n")


def paint() -> None:
    """Five colours, a dated photograph, a copy, captions beside two pictures, a damaged file and one that will go."""
    for path, colour in {
        "red.png": "red",
        "green.png": "green",
        "2023/blue.png": "blue",
        "2023/white.png": "white",
        "black.png": "black",
        "gone.png": "green",
    }.items():
        image = Image.new("RGB", (48, 40), COLOURS[colour])
        image.putpixel((len(path), 0), (7, 77, 99))
        save(image, path)
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0132] = "Canon", "Canon EOS 80D", "2023:05:06 07:08:09"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 6.0), 3: "E", 4: (11.0, 34.0, 30.0)})
    save(Image.new("RGB", (40, 48), COLOURS["yellow"]), "2023/IMG_2034.jpg", exif=exif)
    shutil.copy(PICTURES / "red.png", PICTURES / "copy of red.png")
    (PICTURES / "red.txt").write_text("a red square\na wall\n", encoding="utf-8")
    (PICTURES / "2023" / "blue.txt").write_text("a blue square by the fjord\n", encoding="utf-8")
    (PICTURES / "damaged.jpg").write_bytes(b"\xff\xd8\xff damaged")
    for file in PICTURES.rglob("*"):
        os.utime(file, ns=(TIME, TIME))


def save(image: Image.Image, name: str, **options: Any) -> None:
    """Write a picture below the folder."""
    path = PICTURES / name
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
