"""Single words as queries: `python -m benchmarks.objects PATH/TO/everyday --split val`.

Each name is searched as a user's query, and precision at 10 is averaged over names, in the towers' order and reranked:

- **objects**: COCO's object names, over the split's COCO pictures; a picture is right if its `objects` have the name;
- **classes**: the class names of the other sources, over their pictures; a picture is right if its class is the same.
  `by_source` averages over the names that occur in a source.

Of a name with N < 10 pictures the first N hits count: precision at min(10, N), so that 100 % can be reached.
`fewer_than_10` says how many names that concerns. Figures are percentages. Prints JSON.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.everyday import SPLITS, STAGES, Photograph, indexed, precision, read_photographs, search
from encoders import Encoder, load_encoder
from indexer import Catalog
from indexer.catalog.images import known_locations

K = 10


def names_by_image(catalog: Catalog, photographs: Sequence[Photograph]) -> dict[int, set[str]]:
    """What each indexed image shows, by its id; files with the same content are one image."""
    shown = {str(photograph.file): photograph.names for photograph in photographs}
    names: dict[int, set[str]] = defaultdict(set)
    for path, location in known_locations(catalog).items():
        names[location.image_id] |= shown[path]
    return dict(names)


def measure_names(photographs: Sequence[Photograph], encoder: Encoder) -> dict[str, dict[str, float]]:
    """For each name that some photographs show: their number, and by stage the precision in percent."""
    with indexed(photographs, encoder) as engine:
        shown = names_by_image(engine.catalog, photographs)
        pictures = Counter(name for names in shown.values() for name in names)
        by_name: dict[str, dict[str, float]] = {}
        for name, count in sorted(pictures.items()):
            by_name[name] = {"pictures": count}
            for stage, hits in search(engine, name).items():
                right = [name in shown[hit.image_id] for hit in hits]
                by_name[name][stage] = round(100 * precision(right, min(K, count)), 2)
        return by_name


def means(figures: Iterable[dict[str, float]]) -> dict[str, float]:
    """The precision of each stage, averaged over names."""
    names = list(figures)
    return {stage: round(sum(name[stage] for name in names) / len(names), 1) for stage in STAGES}


def summary(photographs: Sequence[Photograph], encoder: Encoder) -> dict[str, Any]:
    """Precision over all names and for each, and the names that no hit was right for."""
    by_name = measure_names(photographs, encoder)
    return {
        "pictures": len(photographs),
        "names": len(by_name),
        "fewer_than_10": sum(figures["pictures"] < K for figures in by_name.values()),
        "precision": means(by_name.values()),
        "at_0": {stage: [name for name, figures in by_name.items() if not figures[stage]] for stage in STAGES},
        "by_name": by_name,
    }


def by_source(photographs: Sequence[Photograph], by_name: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """The number of names of each source, and precision averaged over them."""
    names: dict[str, set[str]] = defaultdict(set)
    for photograph in photographs:
        names[photograph.source] |= photograph.names
    return {
        source: {"names": len(names[source])} | means(by_name[name] for name in names[source])
        for source in sorted(names)
    }


def measure(photographs: Sequence[Photograph], encoder: Encoder) -> dict[str, Any]:
    """Measure objects and classes."""
    coco = [photograph for photograph in photographs if photograph.source == "coco"]
    others = [photograph for photograph in photographs if photograph.source != "coco"]
    objects, classes = summary(coco, encoder), summary(others, encoder)
    return {"objects": objects, "classes": classes | {"by_source": by_source(others, classes["by_name"])}}


def main() -> None:
    """Measure and print."""
    parser = report.parser(__doc__)
    parser.add_argument("everyday", type=Path)
    parser.add_argument("--split", choices=SPLITS, default="val")
    parser.add_argument("--model", type=Path, help="default: the base model")
    options = parser.parse_args()
    figures = measure(read_photographs(options.everyday, options.split), load_encoder(options.model))
    report.write({"split": options.split} | figures | {"on": report.provenance()}, options.out)


if __name__ == "__main__":
    main()
