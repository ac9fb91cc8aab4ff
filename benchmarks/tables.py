"""Write the tables of docs/PERFORMANCE.md from `benchmarks/results/*.json`.

    python -m benchmarks.tables

Each table is between `<!-- table: NAME -->` and `<!-- end -->`.
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
    """Format a Markdown table."""
    titles = list(head)
    lines = [titles, ["---"] * len(titles), *([str(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def read(name: str) -> Any:  # noqa: ANN401  JSON
    """Read the result of a benchmark."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def indexing() -> str:
    """Milliseconds per picture, and the ratios to open_clip and to the CNN alone."""
    head = ["pictures", "crosslook", "CNN alone", "open_clip", "open_clip in batches", "open_clip / crosslook"]
    head += ["crosslook / CNN alone"]
    return table(
        head,
        (
            [
                f"{one['pictures']}, {name}",
                *(one["milliseconds_a_picture"][key] for key in ("crosslook", "cnn_alone")),
                *(one["milliseconds_a_picture"][key] for key in ("open_clip", "open_clip_in_batches")),
                f"{one['times_faster_than_open_clip']} ({one['times_faster_than_its_batches']})",
                one["times_the_cnn_alone"],
            ]
            for name, one in read("indexing").items()
        ),
    )


def vectors() -> str:
    """One row per library, the fastest first; the row of one that did not run has the reason."""
    head = ["", "build, s", "recall", "p50", "p99", "queries/s", "filtered: recall", "p50", "p99"]
    head += ["memory, MB", "disk, MB"]
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
    """One row per index size."""
    head = ["images", "structure", "recall", "build, s", "first search, s", "search, ms", "of which retrieval"]
    head += ["filtered, ms", "memory, MB", "catalog, kB/image", "vectors, B/image"]
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
    """One row per number of clients, with and without batching."""
    result = read("serving")
    head = ["clients", "p50, ms", "p99, ms", "answers/s", "without batching: p50", "p99", "answers/s"]
    keys = ("p50_ms", "p99_ms", "answers_a_second")
    return table(
        head,
        (
            [clients, *(one[key] for key in keys), *(result["without_batching"][clients][key] for key in keys)]
            for clients, one in result["batched"].items()
        ),
    )


def stages() -> str:
    """The median of each stage, and of a cold search."""
    warm, cold = read("stages"), read("cold")
    rows: list[list[object]] = [[name.replace("_", " "), f"{ms} ms"] for name, ms in warm["milliseconds"].items()]
    rows.append(["reranking 100 / encoding 100 pictures (target: 0.05 at most)", warm["rerank_100_over_encode_100"]])
    rows.append(["cold search, median and slowest", f"{cold['median_seconds']} s, {cold['slowest_seconds']} s"])
    return table(["stage", "median"], rows)


def soak() -> str:
    """The result of the soak test."""
    result = read("soak")
    jobs = result["jobs"]
    rows = [
        ["answers, by status", ", ".join(f"{status}: {count}" for status, count in result["statuses"].items())],
        ["indexing jobs", f"{len(jobs)}, of which {sum(job['state'] == 'failed' for job in jobs)} failed"],
        ["p50, p99", f"{result['p50_ms']} ms, {result['p99_ms']} ms"],
        ["resident memory at each minute, MB", ", ".join(map(str, result["resident_mb"]))],
        ["growth after the first minute", f"{100 * result['growth_after_the_first_minute']:.1f} %"],
    ]
    return table([f"soak of {result['seconds']:.0f} s with {result['clients']} clients", ""], rows)


def page() -> str:
    """How long a visitor of the page waits."""
    result = read("page")
    rows = [
        ["first paint (target: less than 1,000 ms)", f"{result['first_paint_ms']} ms"],
        ["all thumbnails of the first screen, none of them cached", f"{result['pictures_ms']} ms"],
        *(
            [f"{name.replace('_', ' ')} (target: less than 100 ms)", f"{ms:g} ms"]
            for name, ms in result["interaction_ms"].items()
        ),
        [
            "from the last keystroke to its results, including a debounce of 150 ms",
            f"{result['to_results_ms']} ms",
        ],
    ]
    return table([f"the page over {result['images']:,} images", "median"], rows)


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
    """Rewrite every table."""
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(TABLE.sub(lambda match: match[1] + TABLES[match[2]]() + match[3], page), encoding="utf-8")


if __name__ == "__main__":
    main()
