"""Recall for the names of pictures, many of them rare words: `python -m benchmarks.named_pictures FOLDER`.

FOLDER holds pictures with `NAME.txt` beside `NAME.png`, its first line naming what is shown; Debian's
`tuxpaint-stamps-default` has some at /usr/share/tuxpaint/stamps. Each name is a query, and any picture of that name is
relevant. Measured before and after reranking, for all names and for those of familiar words only. Prints JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks import report
from encoders import BASE_MODEL, Encoder, ImageFeatures, load_encoder
from encoders.datasets import IMAGE_SUFFIXES
from indexer import open_image
from indexer.errors import DecodeError

BATCH = 32
KS = (1, 5, 10)


@dataclass(frozen=True)
class Named:
    """Picture files and the name of each."""

    files: tuple[Path, ...]
    called: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The distinct names, sorted."""
        return tuple(sorted(set(self.called)))


def find(folder: Path) -> Named:
    """Find every picture with a name beside it."""
    files, called = [], []
    for file in sorted(folder.rglob("*")):
        text = file.with_suffix(".txt")
        if file.suffix.lower() in IMAGE_SUFFIXES and text.is_file():
            name = (text.read_text(encoding="utf-8", errors="replace").splitlines() or [""])[0].strip().rstrip(".")
            if any(char.isalpha() for char in name):
                files.append(file)
                called.append(name)
    return Named(tuple(files), tuple(called))


def encode(named: Named, encoder: Encoder) -> tuple[ImageFeatures, npt.NDArray[np.bool_]]:
    """Encode the readable pictures; the mask (F,) says which of the F files they are."""
    pixels, readable = [], np.zeros(len(named.files), np.bool_)
    for i, file in enumerate(named.files):
        try:
            pixels.append(encoder.prepare(open_image(file, at_least=2 * encoder.input_size)))
            readable[i] = True
        except DecodeError:
            continue
    parts = [encoder.encode_images(np.stack(pixels[i : i + BATCH])) for i in range(0, len(pixels), BATCH)]
    vectors = np.concatenate([part.vectors for part in parts])
    return ImageFeatures(vectors, np.concatenate([part.regions for part in parts])), readable


def measure(named: Named, encoder: Encoder, depth: int) -> dict[str, dict[str, float]]:
    """Recall@1, 5 and 10 in percent before and after reranking, for all names and for the familiar ones."""
    images, readable = encode(named, encoder)
    called = np.array(named.called)[readable]
    names = [name for name in named.names if name in set(called)]
    texts = encoder.query(encoder.encode_texts(names))
    familiar = np.ones(len(names)) if texts.familiarity is None else texts.familiarity
    ranks = np.empty((2, len(names)), np.int64)
    for q, name in enumerate(names):
        order = np.argsort(-(images.vectors @ texts.vectors[q]), kind="stable")
        top = order[:depth]
        scores = encoder.match_images(texts.take([q]), images.take(top)).scores
        reranked = np.concatenate([top[np.argsort(-scores, kind="stable")], order[depth:]])
        ranks[:, q] = [np.flatnonzero(called[o] == name)[0] for o in (order, reranked)]
    groups = {"all": np.ones(len(names), np.bool_), "familiar": familiar > 0.9}
    return {
        f"{stage}_{group}": {"names": int(chosen.sum())}
        | {f"r{k}": round(100 * float((rank[chosen] < k).mean()), 1) for k in KS}
        for group, chosen in groups.items()
        for stage, rank in zip(("retrieval", "reranked"), ranks, strict=True)
    }


def main() -> None:
    """Measure and print."""
    parser = report.parser(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, default=BASE_MODEL)
    parser.add_argument("--depth", type=int, default=100)
    options = parser.parse_args()
    named = find(options.folder)
    figures = measure(named, load_encoder(options.model), options.depth)
    report.write({"pictures": len(named.files)} | figures | {"on": report.provenance()}, options.out)


if __name__ == "__main__":
    main()
