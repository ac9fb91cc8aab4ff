"""Single words as queries: `python -m benchmarks.objects PATH/TO/everyday --split val`.

Each name is searched as a user's query, and precision at 10 is averaged over names, in the towers' order and reranked:

- **objects**: COCO's object names, over the split's COCO pictures; a picture is right if its `objects` have the name;
- **classes**: the class names of the other sources, over their pictures; a picture is right if its class is the same.
  `by_source` averages over the names that occur in a source.

Of a name with N < 10 pictures the first N hits count: precision at min(10, N), so that 100 % can be reached.
`fewer_than_10` says how many names that concerns. Figures are percentages. Prints JSON.

`--languages` also searches the pictures of objects in twenty languages, for the words in `object_names.json`. It adds
**languages**: for each its precision, the ratio to English, and of the names that English finds at all, the share with
at least 0.8 of English's precision (`names_kept`; the others are `lost`). A table of these goes to standard error.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.everyday import SPLITS, STAGES, Photograph, indexed, precision, read_photographs, search
from benchmarks.tables import table
from encoders import Encoder, load_encoder
from indexer import Catalog
from indexer.catalog.images import known_locations
from search import SearchEngine

K = 10
WORDS = Path(__file__).with_name("object_names.json")
"""What people call COCO's objects: by language, the word for each English name."""
KEPT = 0.8
"""A language keeps a name if its precision is at least this share of English's."""

ByName = Mapping[str, Mapping[str, float]]
"""For each name the number of its pictures, and by stage the precision in percent."""


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
        return search_names(engine, names_by_image(engine.catalog, photographs))


def search_names(
    engine: SearchEngine, shown: Mapping[int, set[str]], words: Mapping[str, str] | None = None
) -> dict[str, dict[str, float]]:
    """Measure the names that indexed images show; `words` has what to search for each name, by default the name."""
    pictures = Counter(name for names in shown.values() for name in names)
    by_name: dict[str, dict[str, float]] = {}
    for name, count in sorted(pictures.items()):
        by_name[name] = {"pictures": count}
        for stage, hits in search(engine, words[name] if words else name).items():
            right = [name in shown[hit.image_id] for hit in hits]
            by_name[name][stage] = round(100 * precision(right, min(K, count)), 2)
    return by_name


def means(figures: Iterable[Mapping[str, float]]) -> dict[str, float]:
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


def compare(found: ByName, english: ByName) -> dict[str, dict[str, Any]]:
    """A language's precision, its ratio to English's, and which of the names that English finds it keeps."""
    of_english, names_kept, lost = {}, {}, {}
    for stage in STAGES:
        ours, theirs = ({name: one[stage] for name, one in by_name.items()} for by_name in (found, english))
        of_english[stage] = round(100 * sum(ours.values()) / sum(theirs.values()), 1)
        ratios = {name: ours[name] / figure for name, figure in theirs.items() if figure}
        # Rounded because the figures are: four of seven pictures for five of seven, 57.14 / 71.43, is 0.79994.
        lost[stage] = [name for name, ratio in ratios.items() if round(ratio, 2) < KEPT]
        names_kept[stage] = round(100 * (1 - len(lost[stage]) / len(ratios)), 1)
    return {"precision": means(found.values()), "of_english": of_english, "names_kept": names_kept, "lost": lost}


def measure_languages(
    photographs: Sequence[Photograph], encoder: Encoder, words: Mapping[str, Mapping[str, str]], english: ByName
) -> dict[str, dict[str, Any]]:
    """Compare each language with English, which comes first and was measured on the same photographs."""
    with indexed(photographs, encoder) as engine:
        shown = names_by_image(engine.catalog, photographs)
        found = {language: search_names(engine, shown, names) for language, names in words.items()}
    return {language: compare(figures, english) for language, figures in {"en": english, **found}.items()}


def language_table(languages: Mapping[str, Mapping[str, Any]]) -> str:
    """One row per language."""
    columns = {"precision": "precision", "of_english": "% of English", "names_kept": "% of names kept"}
    head = ["language", *(f"{title}, {stage}" for title in columns.values() for stage in STAGES)]
    return table(
        head,
        ([name, *(one[column][stage] for column in columns for stage in STAGES)] for name, one in languages.items()),
    )


def measure(
    photographs: Sequence[Photograph], encoder: Encoder, words: Mapping[str, Mapping[str, str]] | None = None
) -> dict[str, Any]:
    """Measure objects and classes, and objects in the languages of `words`."""
    coco = [photograph for photograph in photographs if photograph.source == "coco"]
    others = [photograph for photograph in photographs if photograph.source != "coco"]
    objects, classes = summary(coco, encoder), summary(others, encoder)
    return {
        "objects": objects,
        "classes": classes | {"by_source": by_source(others, classes["by_name"])},
        **({"languages": measure_languages(coco, encoder, words, objects["by_name"])} if words else {}),
    }


def main() -> None:
    """Measure and print."""
    parser = report.parser(__doc__)
    parser.add_argument("everyday", type=Path)
    parser.add_argument("--split", choices=SPLITS, default="val")
    parser.add_argument("--model", type=Path, help="default: the base model")
    parser.add_argument("--languages", action="store_true", help="also in twenty languages, compared with English")
    options = parser.parse_args()
    words = json.loads(WORDS.read_text(encoding="utf-8")) if options.languages else None
    figures = measure(read_photographs(options.everyday, options.split), load_encoder(options.model), words)
    report.write({"split": options.split} | figures | {"on": report.provenance()}, options.out)
    if words:
        print(language_table(figures["languages"]), end="", file=sys.stderr)


if __name__ == "__main__":
    main()
