"""Thirty queries as people type them, to look at: `python -m benchmarks.typed_queries PATH/TO/everyday --out DIR`.

Searches all photographs of `everyday`, or those of an index, and writes to DIR a contact sheet for each query, with the
first eight hits in the towers' order and reranked, `index.html` with all sheets, and `hits.json`. Prints a table of
precision at 8.

Judge the hits by what the picture shows, and add the names of files to `right` or `wrong` of the query in
`judgements.json` beside this script (or `--judgements FILE`):

    {"a violin": {"right": ["one.webp"], "wrong": ["two.webp"]}}

A hit that is in neither list is not judged: it has a grey frame, is listed in `hits.json` under `not_judged`, and does
not count as right, so the precision of a query with such hits is a lower bound. For some queries fewer than eight of
the photographs are right at all.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import report
from benchmarks.contact_sheets import Cell, draw, page
from benchmarks.everyday import STAGES, indexed, precision, read_photographs, search
from benchmarks.tables import table
from encoders import load_encoder
from search import Hit, SearchEngine

K = 8
JUDGEMENTS = Path(__file__).with_name("judgements.json")
QUERIES = (
    "a red double decker bus",
    "a cat sleeping on a bed",
    "a birthday cake with candles",
    "a man surfing a big wave",
    "children playing soccer",
    "a pizza with mushrooms on a wooden table",
    "an empty street at night",
    "a snowy mountain with skiers",
    "two giraffes",
    "three people sitting on a bench",
    "a dog on the beach",
    "a kitchen without people",
    "a cosy living room with a fireplace",
    "a lonely person by the sea",
    "a stop sign",
    "a laptop next to a cup of coffee",
    "yellow umbrella in the rain",
    "a bride and groom cutting the wedding cake",
    "fruit market stall",
    "sunset over water with a boat",
    "a baby brushing teeth",
    "black and white photo of a train",
    "zebras drinking water",
    "airplane taking off",
    "a woman in a blue dress talking on her phone",
    "a vase with pink flowers",
    "food",
    "a hot dog",
    "a violin",
    "a receipt",
)

Judgements = Mapping[str, Mapping[str, bool]]
"""For each query, whether a picture is right, by the name of its file."""


@dataclass(frozen=True)
class Result:
    """The first hits of a query by stage."""

    query: str
    hits: Mapping[str, Sequence[Cell]]

    def precision(self, stage: str) -> float:
        """Precision at 8; hits that nobody has judged count as wrong."""
        return precision([cell.right is True for cell in self.hits[stage]], K)

    @property
    def not_judged(self) -> list[str]:
        """The hits of either stage that nobody has judged."""
        return sorted({cell.name for cells in self.hits.values() for cell in cells if cell.right is None})


def read_judgements(file: Path) -> Judgements:
    """Read a file of judgements; without the file nothing is judged."""
    judgements: dict[str, dict[str, bool]] = {}
    for query, judged in report.previous(file).items():
        right, wrong = judged.get("right", []), judged.get("wrong", [])
        if both := set(right) & set(wrong):
            raise SystemExit(f"{file}: for {query!r}, {', '.join(sorted(both))} is both right and wrong; keep one")
        judgements[query] = dict.fromkeys(right, True) | dict.fromkeys(wrong, False)
    return judgements


def answer(engine: SearchEngine, query: str, sources: Mapping[str, str], judgements: Judgements) -> Result:
    """Search for a query; `sources` are by the name of the file."""

    def cell(rank: int, hit: Hit) -> Cell:
        name = "" if hit.path is None else hit.path.name
        right = judgements.get(query, {}).get(name)
        return Cell(rank, hit.path, sources.get(name, ""), hit.match_probability, right)

    hits = search(engine, query)
    return Result(query, {stage: [cell(i, hit) for i, hit in enumerate(hits[stage][:K], 1)] for stage in STAGES})


def mean_precision(results: Sequence[Result], stage: str) -> float:
    """Precision at 8, averaged over queries."""
    return sum(result.precision(stage) for result in results) / len(results)


def rows(results: Sequence[Result]) -> list[list[str]]:
    """The table: its head, each query's precision by stage and number of hits not judged, and the mean."""
    head = ["query", *STAGES, "hits not judged"]
    body = [[r.query, *(f"{r.precision(s):.3f}" for s in STAGES), str(len(r.not_judged))] for r in results]
    means = [f"{mean_precision(results, stage):.3f}" for stage in STAGES]
    return [head, *body, ["mean", *means, str(sum(len(r.not_judged) for r in results))]]


def document(results: Sequence[Result]) -> dict[str, object]:
    """The results as JSON types."""
    return {
        "precision_at_8": {stage: round(mean_precision(results, stage), 4) for stage in STAGES},
        "not_judged": {result.query: result.not_judged for result in results if result.not_judged},
        "queries": {
            result.query: {
                stage: {"precision": result.precision(stage), "hits": [cell.as_dict() for cell in result.hits[stage]]}
                for stage in STAGES
            }
            for result in results
        },
    }


def write(results: Sequence[Result], out: Path) -> None:
    """Write the sheets, the page and the JSON."""
    out.mkdir(parents=True, exist_ok=True)
    sheets = {}
    for number, result in enumerate(results, 1):
        sheets[result.query] = f"{number:02}-{re.sub(r'[^a-z0-9]+', '-', result.query.lower())}.webp"
        draw(result.query, result.hits).save(out / sheets[result.query], quality=85)
    (out / "index.html").write_text(page("Typed queries", rows(results), sheets), encoding="utf-8")
    text = json.dumps(document(results) | {"on": report.provenance()}, indent=2)
    (out / "hits.json").write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Search, write and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("everyday", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/typed_queries"), help="a folder for sheets and JSON")
    parser.add_argument("--index", type=Path, help="default: all photographs of everyday, indexed now")
    parser.add_argument("--model", type=Path, help="default: the active model of the index, else the base model")
    parser.add_argument("--judgements", type=Path, default=JUDGEMENTS)
    options = parser.parse_args()
    photographs = read_photographs(options.everyday)
    sources = {photograph.file.name: photograph.source for photograph in photographs}
    judgements = read_judgements(options.judgements)
    opened: AbstractContextManager[SearchEngine] = (
        SearchEngine.open(options.index, model=options.model)
        if options.index
        else indexed(photographs, load_encoder(options.model))
    )
    with opened as engine:
        results = [answer(engine, query, sources, judgements) for query in QUERIES]
        write(results, options.out)
    head, *body = rows(results)
    print(table(head, body), end="")


if __name__ == "__main__":
    main()
