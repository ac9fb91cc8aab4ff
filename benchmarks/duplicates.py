"""How well copies of a picture are distinguished from other pictures of the same scene. Seeded; prints JSON.

The folder holds photographs whose names begin with a number that grows with time, as Flickr's do. Neighbours by that
number are often two photographs of one scene, the hardest negatives. The positives are sampled photographs, each with
resized, recompressed, cropped and brightened versions of itself.
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

from benchmarks import report
from encoders import Encoder, ImageFeatures, load_encoder
from indexer import open_image
from indexer.duplicates import AGREEMENT, COSINE, LIKENESS, agreement, likeness, thumbnails

BATCH = 16
SEED = 0


def recompressed(image: Image.Image, quality: int) -> Image.Image:
    """Recompress as JPEG."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def cropped(image: Image.Image, share: float) -> Image.Image:
    """Crop a share of width and height, equally from opposite sides."""
    x, y = round(image.width * share / 2), round(image.height * share / 2)
    return image.crop((x, y, image.width - x, image.height - y))


def scaled(image: Image.Image, factor: float) -> Image.Image:
    """Resize by a factor."""
    return image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor))))


VARIANTS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "half size": lambda image: scaled(image, 0.5),
    "quarter size": lambda image: scaled(image, 0.25),
    "JPEG quality 30": lambda image: recompressed(image, 30),
    "brighter by a fifth": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "cropped by 4 %": lambda image: cropped(image, 0.04),
    "cropped by 7.5 %": lambda image: cropped(image, 0.075),
    "cropped by 5 %, all at the left": lambda image: image.crop((round(image.width * 0.05), 0, *image.size)),
    "cropped by 10 %": lambda image: cropped(image, 0.1),
    "half size, quality 50, brighter, cropped by 4 %": lambda image: recompressed(
        scaled(cropped(ImageEnhance.Brightness(image).enhance(1.1), 0.04), 0.5), 50
    ),
}


def neighbours(folder: Path, count: int) -> list[tuple[Path, Path]]:
    """Pairs of photographs with the closest numbers."""
    numbered = [(int(m[0]), path) for path in folder.glob("*.jpg") if (m := re.match(r"\d+", path.name))]
    numbered.sort()
    pairs = sorted(itertools.pairwise(numbered), key=lambda pair: pair[1][0] - pair[0][0])
    return [(one[1], two[1]) for one, two in pairs[:count]]


def encode(encoder: Encoder, images: list[Image.Image]) -> ImageFeatures:
    """Encode images in batches."""
    pixels = [encoder.prepare(image) for image in images]
    parts = [encoder.encode_images(np.stack(pixels[i : i + BATCH])) for i in range(0, len(pixels), BATCH)]
    return ImageFeatures(np.concatenate([p.vectors for p in parts]), np.concatenate([p.regions for p in parts]))


def spread(values: np.ndarray) -> dict[str, float]:
    """Percentiles of some values."""
    return {f"p{q}": round(float(np.percentile(values, q)), 3) for q in (0, 1, 5, 50, 95, 99, 100)}


def measures(one: ImageFeatures, two: ImageFeatures, ones: list[Image.Image], twos: list[Image.Image]) -> np.ndarray:
    """Cosine, agreement and likeness of K pairs: (3, K)."""
    alike = [likeness(thumbnails(a), thumbnails(b)) for a, b in zip(ones, twos, strict=True)]
    return np.stack([(one.vectors * two.vectors).sum(axis=1), agreement(one.regions, two.regions), np.array(alike)])


def summary(values: np.ndarray) -> dict[str, object]:
    """Percentiles of all three measures, and the percentages of candidates and of accepted duplicates."""
    candidate = (values[0] >= COSINE) & (values[1] >= AGREEMENT)
    taken = candidate & (values[2] >= LIKENESS)
    shares = {"candidates": candidate, "taken": taken}
    spreads = {name: spread(row) for name, row in zip(("cosine", "agreement", "likeness"), values, strict=True)}
    return {**{name: round(100 * float(mask.mean()), 1) for name, mask in shares.items()}, **spreads}


def main() -> None:
    """Measure and print."""
    parser = report.parser(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pairs", type=int, default=800)
    parser.add_argument("--originals", type=int, default=200)
    options = parser.parse_args()
    encoder = load_encoder()
    pairs = neighbours(options.folder, options.pairs)
    ones, twos = ([open_image(path) for path in side] for side in zip(*pairs, strict=True))
    one, two = encode(encoder, ones), encode(encoder, twos)
    document: dict[str, object] = {"pairs": len(pairs), "originals": options.originals}
    values = measures(one, two, ones, twos)
    document["neighbours"] = summary(values)
    document["closest neighbours"] = [
        [pairs[i][0].name, pairs[i][1].name, *values[:, i].round(3).tolist()] for i in np.argsort(-values[2])[:15]
    ]
    rng = np.random.default_rng(SEED)
    chosen = sorted(rng.choice(len(pairs), min(options.originals, len(pairs)), replace=False).tolist())
    originals = [ones[i] for i in chosen]
    for name, change in VARIANTS.items():
        changed = [change(image) for image in originals]
        document[name] = summary(measures(one.take(chosen), encode(encoder, changed), originals, changed))
    report.write(document | {"on": report.provenance(SEED)}, options.out)


if __name__ == "__main__":
    main()
