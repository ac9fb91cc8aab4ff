"""Write the tables of docs/PERFORMANCE.md from the JSON of the benchmarks, so that no figure is copied by hand.

    python -m benchmarks.tables

A table stands between `<!-- table: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parent.parent / "docs" / "PERFORMANCE.md"
TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Markdown."""
    titles = list(head)
    lines = [titles, ["---"] * len(titles), *([str(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def read(name: str) -> Any:  # noqa: ANN401  JSON
    """A benchmark's document."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def indexing() -> str:
    """Milliseconds a picture, and the two ratios."""
    found = read("indexing")
    head = ["pictures", "crosslook", "CNN alone", "open_clip", "in batches of 32", "times open_clip", "times the CNN"]
    return table(
        head,
        (
            [
                f"{name}, {one['pictures']} of them",
                *(one["milliseconds_a_picture"][key] for key in ("crosslook", "cnn_alone")),
                *(one["milliseconds_a_picture"][key] for key in ("open_clip", "open_clip_in_batches")),
                f"{one['times_faster_than_open_clip']} ({one['times_faster_than_its_batches']})",
                one["times_the_cnn_alone"],
            ]
            for name, one in found.items()
        ),
    )


def vectors() -> str:
    """A row for each peer; one that could not run says why."""
    head = ["", "build, s", "recall", "p50", "p99", "a second", "1 %: recall", "p50", "p99", "memory, MB", "disk, MB"]
    rows = []
    for name, one in sorted(
        read("vectors")["peers"].items(), key=lambda item: item[1].get("plain", {}).get("p50", 1e9)
    ):
        if "plain" not in one:
            rows.append([name, next(iter(one.values())), *[""] * (len(head) - 2)])
            continue
        plain, some = one["plain"], one["filtered"]
        rows.append(
            [
                *(name, one["build_seconds"], plain["recall"], plain["p50"], plain["p99"], plain["queries_per_second"]),
                *(some["recall"], some["p50"], some["p99"], one["peak_mb_above_the_vectors"], one["disk_mb"]),
            ]
        )
    return table(head, rows)


def growth() -> str:
    """A row for each size."""
    head = ["images", "structure", "recall", "build, s", "first search, s", "a search, ms", "of it vectors and names"]
    head += ["filtered, ms", "memory, MB", "catalog, kB an image", "vectors, B an image"]
    return table(
        head,
        (
            [
                *(f"{int(count):,}", one["structure"], one["recall_at_10"], one["build_seconds"]),
                *(one["first_search_seconds"], one["search_ms"]["total"], one["search_ms"]["retrieve"]),
                *(one["filtered_search_ms"], one["memory_mb"], round(one["catalog_bytes_an_image"] / 1000, 1)),
                one["vector_file_bytes_an_image"],
            ]
            for count, one in read("growth").items()
        ),
    )


def serving() -> str:
    """Clients, with and without batches."""
    found = read("serving")
    head = ["clients", "p50, ms", "p99, ms", "answers a second", "without batches: p50", "p99", "answers a second"]
    keys = ("p50_ms", "p99_ms", "answers_a_second")
    return table(
        head,
        (
            [clients, *(one[key] for key in keys), *(found["without_batching"][clients][key] for key in keys)]
            for clients, one in found["batched"].items()
        ),
    )


def stages() -> str:
    """Milliseconds of each stage, and the cold search."""
    found, cold = read("stages"), read("cold")
    rows: list[list[object]] = [[name.replace("_", " "), f"{ms} ms"] for name, ms in found["milliseconds"].items()]
    rows.append(["reranking 100 / encoding 100 pictures (asked: 0.05 at most)", found["rerank_100_over_encode_100"]])
    rows.append(["a cold search, median and slowest", f"{cold['median_seconds']} s, {cold['slowest_seconds']} s"])
    return table(["stage", "median"], rows)


def soak() -> str:
    """What a long run under load met."""
    found = read("soak")
    jobs = found["jobs"]
    rows = [
        ["answers, by status", ", ".join(f"{status}: {count}" for status, count in found["statuses"].items())],
        ["indexing jobs meanwhile", f"{len(jobs)}, {sum(job['state'] == 'failed' for job in jobs)} of them failed"],
        ["p50, p99", f"{found['p50_ms']} ms, {found['p99_ms']} ms"],
        ["resident memory each minute, MB", ", ".join(map(str, found["resident_mb"]))],
        ["growth after the first minute", f"{100 * found['growth_after_the_first_minute']:.1f} %"],
    ]
    return table([f"soak of {found['seconds']:.0f} s with {found['clients']} clients", ""], rows)


def page() -> str:
    """What somebody who looks at the page waits for."""
    found = read("page")
    rows = [
        ["first paint (asked: less than 1,000 ms)", f"{found['first_paint_ms']} ms"],
        ["all thumbnails of the first screen, none of them made before", f"{found['pictures_ms']} ms"],
        *(
            [f"{name.replace('_', ' ')} (asked: less than 100 ms)", f"{ms:g} ms"]
            for name, ms in found["interaction_ms"].items()
        ),
        [
            "from the last letter to its pictures, 150 ms of waiting for another letter included",
            f"{found['to_results_ms']} ms",
        ],
    ]
    return table([f"the page over {found['images']:,} images", "median"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "indexing": indexing,
    "vectors": vectors,
    "growth": growth,
    "stages": stages,
    "serving": serving,
    "soak": soak,
    "page": page,
}


def main() -> None:
    """Put each table into its place."""
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(TABLE.sub(lambda found: found[1] + TABLES[found[2]]() + found[3], page), encoding="utf-8")


if __name__ == "__main__":
    main()
