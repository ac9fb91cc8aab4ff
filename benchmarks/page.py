"""First paint and interaction latency of the web page over a large index, in Chromium. Writes JSON.

    python -m benchmarks.page --count 100000 --out benchmarks/results/page.json

The index is synthetic as in `benchmarks/growth.py`, or the one given with `--index`. Its files are links to the demo's
photographs, so that thumbnails are made from real pictures. Server and browser share the machine.

`first_paint_ms` and `first_contentful_paint_ms` are reported by the browser, with an empty cache;
`pictures_ms` is when the first screen of thumbnails is complete. An interaction is measured from the event to the next
frame (Event Timing, in steps of 8 ms), `to_results_ms` from the last keystroke to the frame with its results, debounce
included. All are medians.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks import report
from benchmarks.growth import SEED
from benchmarks.serving import make_index, server
from indexer import Catalog
from scripts.demo import PHOTOGRAPHS, photograph_folder

VISITS, TIMES = 9, 12
QUERIES = ("dogs in the snow", "a red bicycle", "children at the beach", "a steep rock")
SIDE = 800  # maximum width and height of the photographs, in pixels

WATCH = """
window.interactions = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (entry.interactionId) window.interactions.push({name: entry.name, ms: entry.duration});
  }
}).observe({type: "event", durationThreshold: 16, buffered: true});
"""
"""The browser does not report events faster than 16 ms, one frame; they count as 16 ms."""

UNTIL_SHOWN = """() => new Promise((resolve) => {
  const grid = document.querySelector("#grid");
  const box = document.querySelector("#q");
  const shown = () => [...grid.querySelectorAll("img")].map((image) => image.src).join();
  const before = shown();
  let began = 0;
  box.addEventListener("keydown", (event) => { began = event.timeStamp; }, {once: true});
  const watch = new MutationObserver(() => {
    if (!began || shown() === before) return;
    watch.disconnect();
    requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - began)));
  });
  watch.observe(grid, {childList: true, subtree: true, attributes: true, attributeFilter: ["src"]});
})"""


def link_pictures(index: Path, folder: Path) -> None:
    """Link a photograph to the path of each file of the index."""
    sources = []
    for name in PHOTOGRAPHS:
        path = folder / f"{Path(name).stem}.jpg"
        with Image.open(photograph_folder() / name) as image:
            small = image.convert("RGB")
            small.thumbnail((SIDE, SIDE))
            small.save(path)
        sources.append(path)
    with Catalog.open(index) as catalog, catalog.transaction() as connection:
        sqlite: Any = connection.connection
        sqlite.execute("UPDATE location SET path = ? || path", (str(folder),))
        for number, source in enumerate(sources):
            status = source.stat()
            rows = sqlite.execute("SELECT path FROM location WHERE id % ? = ?", (len(sources), number)).fetchall()
            for (path,) in rows:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                os.link(source, path)
            sqlite.execute(
                "UPDATE location SET size = ?, mtime_ns = ? WHERE id % ? = ?",
                (status.st_size, status.st_mtime_ns, len(sources), number),
            )


def visits(browser: Browser, url: str) -> dict[str, float]:
    """Paint times with an empty cache."""
    painted: dict[str, list[float]] = {"first_paint_ms": [], "first_contentful_paint_ms": [], "pictures_ms": []}
    for _ in range(VISITS):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.goto(url, wait_until="commit")
        pictures = page.wait_for_function(
            """() => {
                const shown = [...document.querySelectorAll("#grid img")].filter((image) => {
                    const box = image.getBoundingClientRect();
                    return box.top < innerHeight && box.bottom > 0;
                });
                return shown.length > 0 && shown.every((image) => image.complete && image.naturalWidth)
                    && performance.now();
            }"""
        ).json_value()
        entries = page.evaluate("performance.getEntriesByType('paint').map(entry => [entry.name, entry.startTime])")
        painted["pictures_ms"].append(pictures)
        for name, began in entries:
            painted[f"{name.replace('-', '_')}_ms"].append(began)
        context.close()
    return {name: round(statistics.median(times)) for name, times in painted.items()}


def interactions(page: Page) -> dict[str, Any]:
    """Latency of typing, moving in the grid and opening a picture."""
    page.locator("#grid img").first.wait_for()
    to_results: list[float] = []
    typed = measured(page, lambda n: type_and_wait(page, QUERIES[n % len(QUERIES)], n // len(QUERIES), to_results))
    page.locator("#grid a, #grid button").first.focus()
    moved = measured(page, lambda _: page.keyboard.press("ArrowRight"))

    def open_picture(_: int) -> None:
        page.keyboard.press("Enter")
        page.locator("dialog#picture[open]").wait_for()
        page.wait_for_timeout(300)

    def close() -> None:
        page.keyboard.press("Escape")
        page.locator("dialog#picture[open]").wait_for(state="hidden")

    opened = measured(page, open_picture, close)
    return {
        "interaction_ms": {"key_in_the_search_box": typed, "arrow_in_the_grid": moved, "picture_opened": opened},
        "to_results_ms": round(statistics.median(to_results)),
    }


def measured(page: Page, act: Callable[[int], object], after: Callable[[], object] = lambda: None) -> float:
    """Median duration of an interaction, as reported by the browser; `after` is not measured."""
    times: list[float] = []
    for number in range(TIMES):
        page.evaluate("window.interactions.length = 0")
        act(number)
        page.wait_for_timeout(150)
        times.append(max((entry["ms"] for entry in page.evaluate("window.interactions")), default=16.0))
        after()
    return statistics.median(times)


def type_and_wait(page: Page, query: str, round_: int, to_results: list[float]) -> None:
    """Fill in a sentence except its last letter, type that, and wait for the results."""
    box = page.locator("#q")
    text = query + " again" * round_
    box.fill(text[:-1])
    page.wait_for_timeout(1000)
    page.evaluate(f"() => {{ window.shown = ({UNTIL_SHOWN})(); }}")
    box.press_sequentially(text[-1])
    to_results.append(page.evaluate("window.shown"))


def measure(index: Path) -> dict[str, Any]:
    """Serve the index and measure the page."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        raise SystemExit("Chromium not found: run apt-get install chromium, or set CHROMIUM to its path")
    sandbox = [] if os.geteuid() else ["--no-sandbox"]
    with server(index) as (_, port), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=sandbox)
        url = f"http://127.0.0.1:{port}/"
        result: dict[str, Any] = {"chromium": browser.version} | visits(browser, url)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.add_init_script(WATCH)
        page.goto(url)
        result |= interactions(page)
        browser.close()
    return result


def main() -> None:
    """Measure and write the result."""
    parser = report.parser(__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--index", type=Path, help="an existing index")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        index = options.index
        if index is None:
            index = make_index(Path(name) / "index", options.count)
            (Path(name) / "pictures").mkdir()
            link_pictures(index, Path(name) / "pictures")
        result = {"images": options.count if options.index is None else None} | measure(index)
    result["on"] = report.provenance(SEED)
    report.write(result, options.out)


if __name__ == "__main__":
    main()
