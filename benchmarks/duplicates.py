"""How well versions of a picture are told from look-alikes: precision and recall by kind. Seeded; prints JSON.

Writes files, indexes them with the base model, and lists duplicates as `crosslook duplicates` does. What is in there:

- Photographs, each with one edited version of itself (`benchmarks/edits.py`), so that none is found through another.
- Look-alikes, which are not: pairs of photographs with the closest numbers in a folder whose names begin with a number
  that grows with time, as Flickr's do, many of them two photographs of one scene (bursts); and further folders of
  photographs that show the same things, such as faces of one person before one wall.
- Series from a tripod: a photograph, and the same with noise after something small has moved. These are made: a disc
  with another photograph's content is at another place. They replace no real series, but no set at hand has one.
- Documents of one template with different text, each recompressed, reduced or scanned again
  (`benchmarks/documents.py`).

A pair is found if both files are in one group.
"""

from __future__ import annotations

import itertools
import re
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from benchmarks import report
from benchmarks.documents import PAPER, TEMPLATES
from benchmarks.edits import EDITS, PAGE_EDITS
from encoders import load_encoder
from indexer import Catalog, find_duplicates, index_paths, open_image

SEED = 0
QUALITY = 85  # of all files written
MOVED = 0.02, 0.005
"""Areas of the moved disc, as shares of the picture's."""


def save(image: Image.Image, folder: Path, picture: str, kind: str) -> None:
    """Write a file whose name tells which picture it shows, and how."""
    image.save(folder / f"{picture}--{kind.replace(' ', '_')}.jpg", quality=QUALITY)


def neighbours(folder: Path, count: int) -> list[tuple[Path, Path]]:
    """Pairs of photographs with the closest numbers."""
    numbered = [(int(m[0]), path) for path in folder.glob("*.jpg") if (m := re.match(r"\d+", path.name))]
    numbered.sort()
    pairs = sorted(itertools.pairwise(numbered), key=lambda pair: pair[1][0] - pair[0][0])
    return [(one[1], two[1]) for one, two in pairs[:count]]


def tripod_series(image: Image.Image, other: Image.Image, share: float, rng: np.random.Generator) -> list[Image.Image]:
    """Photographs of a scene in which a disc of a share of its area moves, each with noise of its own."""
    size = round(2 * (share * image.width * image.height / np.pi) ** 0.5)
    disc = Image.new("L", (size, size))
    ImageDraw.Draw(disc).ellipse((0, 0, size - 1, size - 1), fill=255)
    subject = other.resize((size, size))
    series = []
    for _ in range(2):
        scene = image.copy()
        scene.paste(subject, (int(rng.integers(image.width - size)), int(rng.integers(image.height - size))), disc)
        values = np.asarray(scene, np.float32)
        noisy = np.clip(values + rng.normal(0, 3, values.shape), 0, 255)
        series.append(Image.fromarray(noisy.astype(np.uint8)))
    return series


def write_files(folder: Path, photographs: Path, look_alikes: list[Path], counts: dict[str, int]) -> None:
    """Write all files of the benchmark."""
    rng = np.random.default_rng(SEED)
    bursts = sorted({path for pair in neighbours(photographs, counts["pairs"]) for path in pair})
    for path in [*bursts, *look_alikes]:
        save(open_image(path), folder, path.stem, "look-alike")
    rest = sorted(set(photographs.glob("*.jpg")) - set(bursts))
    number_of_files = counts["originals"] * (len(EDITS) + len(MOVED))
    chosen = [rest[i] for i in rng.choice(len(rest), number_of_files, replace=False)]
    originals, series = chosen[: counts["originals"] * len(EDITS)], chosen[counts["originals"] * len(EDITS) :]
    for path, (name, edit) in zip(originals, itertools.cycle(EDITS.items()), strict=False):
        image = open_image(path)
        save(image, folder, path.stem, "original")
        save(edit(image), folder, path.stem, name)
    for number, path in enumerate(series):
        share = MOVED[number % len(MOVED)]
        scenes = tripod_series(open_image(path), open_image(series[number - 1]), share, rng)
        for frame, scene in enumerate(scenes):
            save(scene, folder, f"{path.stem}-{frame}", f"tripod {share:.1%}")
    for name, draw in TEMPLATES.items():
        edits = [item for item in PAGE_EDITS.items() if item[0] != "page scanned again" or name in PAPER]
        for number in range(counts["documents"]):
            page = draw(np.random.default_rng([SEED, number]))
            save(page, folder, f"{name}-{number}", f"document {name}")
            edit_name, edit = edits[number % len(edits)]
            save(edit(page), folder, f"{name}-{number}", edit_name)


def parsed(path: Path) -> tuple[str, str]:
    """The picture and the kind of a file."""
    picture, kind = path.stem.split("--")
    return picture, kind.replace("_", " ")


def measured(folder: Path, groups: list[list[Path]]) -> dict[str, object]:
    """Recall by edit, false pairs by kind, and the precision of all pairs."""
    group_of = {path: number for number, group in enumerate(groups) for path in group}
    originals: dict[str, Path] = {}
    versions: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        picture, kind = parsed(path)
        if kind == "original" or kind.startswith("document"):
            originals[picture] = path
        else:
            versions.setdefault(kind, []).append(path)
    recall = {}
    for kind in (*EDITS, *PAGE_EDITS):
        paths = versions.get(kind, [])
        pairs = [(group_of.get(path, -1), group_of.get(originals[parsed(path)[0]], -2)) for path in paths]
        recall[kind] = round(sum(one == two for one, two in pairs) / max(1, len(pairs)), 4)
    right, examples = 0, []
    false: Counter[str] = Counter()
    for one, two in ((one, two) for group in groups for one, two in itertools.combinations(group, 2)):
        (picture, kind), (other, other_kind) = parsed(one), parsed(two)
        if picture == other:
            right += 1
            continue
        false[" / ".join(sorted({kind, other_kind}))] += 1
        examples.append([one.name, two.name])
    files = Counter(parsed(path)[1] for path in folder.iterdir())
    return {
        "files": dict(sorted(files.items())),
        "recall": recall,
        "pairs found": right,
        "false pairs": dict(false),
        "precision": round(right / max(1, right + sum(false.values())), 4),
        "examples of false pairs": examples[:20],
    }


def main() -> None:
    """Measure and print."""
    parser = report.parser(__doc__)
    parser.add_argument("photographs", type=Path, help="folder whose file names begin with numbers that grow with time")
    parser.add_argument("look_alikes", type=Path, nargs="*", help="files of photographs that look alike")
    parser.add_argument("--pairs", type=int, default=800, help="pairs with the closest numbers")
    parser.add_argument("--originals", type=int, default=40, help="photographs for each edit, and tripod series")
    parser.add_argument("--documents", type=int, default=12, help="documents of each template")
    parser.add_argument("--folder", type=Path, help="keep the files and the index here")
    options = parser.parse_args()
    counts = {name: getattr(options, name) for name in ("pairs", "originals", "documents")}
    with tempfile.TemporaryDirectory() as temporary:
        directory = options.folder or Path(temporary)
        pictures = directory / "pictures"
        if not pictures.exists():
            pictures.mkdir(parents=True)
            write_files(pictures, options.photographs, options.look_alikes, counts)
        with Catalog.open(directory / "index", create=True) as catalog:
            index_paths(catalog, load_encoder(), [pictures])
            started, used = time.perf_counter(), time.process_time()
            groups = find_duplicates(catalog)
            seconds = {"seconds": time.perf_counter() - started, "processor seconds": time.process_time() - used}
        paths = [[Path(copy.path) for copy in group.copies] for group in groups]
        document = counts | measured(pictures, paths) | {name: round(value, 1) for name, value in seconds.items()}
    report.write(document | {"on": report.provenance(SEED)}, options.out)


if __name__ == "__main__":
    main()
