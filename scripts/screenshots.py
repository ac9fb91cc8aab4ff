"""Take screenshots of the page with the demo's index: the main states, at three sizes, in light and dark.

    python scripts/screenshots.py --out demo-output/screenshots

Run `make demo` first. Needs Chromium (`apt-get install chromium`, or set CHROMIUM to its path).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from playwright.sync_api import Browser, Page, sync_playwright

SIZES = {"phone": (390, 844), "laptop": (1440, 900), "4k": (3840, 2160)}
THEMES = ("light", "dark")


def all_pictures(page: Page, url: str) -> None:
    """The start page with all pictures."""
    page.goto(url)
    pictures(page)


def answer(page: Page, url: str) -> None:
    """A query and its results."""
    page.goto(f"{url}/?q=a+cup+of+coffee+on+a+wooden+table")
    pictures(page)


def why(page: Page, url: str) -> None:
    """Why a picture matched: the heat map of a word."""
    page.goto(f"{url}/?q=a+cup+of+coffee+on+a+wooden+table")
    pictures(page)
    page.locator("#grid a, #grid button").first.click()
    dialog = page.locator("dialog#picture[open]")
    dialog.wait_for()
    word = dialog.get_by_text("coffee", exact=True).first
    word.wait_for()
    word.hover()


def no_match(page: Page, url: str) -> None:
    """A query without a good match, and the nearest pictures."""
    page.goto(f"{url}/?q=an+elephant+playing+the+piano")
    pictures(page)


def compare(page: Page, url: str) -> None:
    """Two rankings of one query."""
    page.goto(f"{url}/?view=compare&q=a+smiling+woman+in+an+orange+jacket")
    page.locator(".compare-side.right li img").first.wait_for()
    page.wait_for_load_state("networkidle")


def indexing(page: Page, url: str) -> None:
    """The folders that may be indexed."""
    page.goto(f"{url}/?view=indexing")
    page.get_by_role("button", name="Index now").wait_for()


STATES: dict[str, Callable[[Page, str], None]] = {
    "all": all_pictures,
    "answer": answer,
    "why": why,
    "no-match": no_match,
    "compare": compare,
    "indexing": indexing,
}


def pictures(page: Page) -> None:
    """Wait until the pictures on the screen are loaded."""
    page.locator("#grid img").first.wait_for()
    page.wait_for_load_state("networkidle")


@contextmanager
def served(index: Path, root: Path) -> Iterator[str]:
    """Run `crosslook serve` and wait until it is ready; yield its URL."""
    command = [sys.executable, "-m", "api.cli", "serve", "--port", "0", "--index", str(index), "--root", str(root)]
    with tempfile.NamedTemporaryFile() as log, subprocess.Popen(command, stderr=log) as process:  # noqa: S603  our own program
        try:
            while (url := _ready(Path(log.name))) is None:
                if process.poll() is not None:
                    raise SystemExit(f"the server exited: {Path(log.name).read_text()}")
                time.sleep(0.2)
            yield url
        finally:
            process.terminate()


def _ready(log: Path) -> str | None:
    url = re.search(r"at (http://\S+:\d+)", log.read_text())
    if url is None:
        return None
    try:
        urlopen(f"{url[1]}/readyz", timeout=5).close()  # noqa: S310  http
    except OSError:
        return None
    return url[1]


def take(browser: Browser, url: str, out: Path, states: list[str]) -> None:
    """Save every state at every size in both themes, as out/STATE-SIZE-THEME.png."""
    for size, (width, height) in SIZES.items():
        for theme in THEMES:
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme)  # type: ignore[arg-type]
            for state in states:
                STATES[state](page, url)
                page.wait_for_timeout(400)  # fade-in animations
                page.screenshot(path=out / f"{state}-{size}-{theme}.png")
                print(f"{state}-{size}-{theme}.png", flush=True)
            page.close()


def main() -> None:
    """Serve the index and take the screenshots."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--index", type=Path, default=Path("demo-output/index"))
    parser.add_argument(
        "--root", type=Path, help="a folder that the page offers for indexing", default=Path("demo-output")
    )
    parser.add_argument("--out", type=Path, default=Path("demo-output/screenshots"))
    parser.add_argument("--state", action="append", choices=STATES, help="only this state; repeatable")
    options = parser.parse_args()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        raise SystemExit("Chromium not found: run apt-get install chromium, or set CHROMIUM to its path")
    options.out.mkdir(parents=True, exist_ok=True)
    with served(options.index, options.root) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=[] if os.geteuid() else ["--no-sandbox"])
        take(browser, url, options.out, options.state or list(STATES))
        browser.close()


if __name__ == "__main__":
    main()
