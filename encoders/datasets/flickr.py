"""The release layout of Flickr8k and Flickr30k: a token file, lists of splits, a folder of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .rows import Rejected, Row, read_text, split_lines

TOKEN_FILES = (
    "Flickr8k.token.txt",
    "results_20130124.token",
    "results.csv",
    "captions.txt",
)


def token_file(folder: Path) -> Path | None:
    """Return the token file of a folder in the release layout."""
    return next((folder / name for name in TOKEN_FILES if (folder / name).is_file()), None)


def read_splits(folder: Path) -> dict[str, str]:
    """Read the split of each picture from lists such as `Flickr_8k.trainImages.txt`."""
    splits: dict[str, str] = {}
    for listing in sorted([*folder.glob("*Images.txt"), *folder.glob("*_images.txt")]):
        name = listing.stem.lower()
        split = next((s for s in ("train", "dev", "val", "test") if s in name), None)
        if split:
            splits.update(dict.fromkeys(filter(None, map(str.strip, split_lines(read_text(listing)))), split))
    return splits


def rows(path: Path) -> Iterator[Row | Rejected]:
    """`NAME.jpg#K<TAB>caption` (8k, 30k) or `NAME.jpg| K| caption` (30k's results.csv), one caption per line.

    The lists of splits are beside the file or one folder up, for captions in other languages in a folder of their own.
    """
    splits = read_splits(path.parent) or read_splits(path.parent.resolve().parent)
    for number, line in enumerate(split_lines(read_text(path)), start=1):
        if not line.strip() or (number == 1 and line.replace(" ", "").lower().startswith("image_name|")):
            continue
        name, separator, caption = line.partition("\t")
        if separator:
            image, mark, index = name.rpartition("#")
            if not mark or not index.isdigit():
                yield Rejected(path, number, f"expected NAME#K before the tab, found {name[:60]!r}")
                continue
        else:
            fields = line.split("|", 2)
            if len(fields) != 3:
                yield Rejected(path, number, "expected NAME#K, a tab and a caption")
                continue
            image, caption = fields[0], fields[2]
        yield Row(image, caption, number, splits.get(image.strip(), "all"))
