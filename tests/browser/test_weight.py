"""The size of the page, and that all of it is local."""

from __future__ import annotations

import re
from pathlib import Path

from tests.browser.actions import seen
from tests.browser.conftest import ROOT, Visits

WEB = ROOT / "api" / "web"
HEAVIEST = 200_000  # bytes
LONGEST = 60_000  # bytes of one file


def files() -> list[Path]:
    """All files of the page."""
    return [path for path in WEB.rglob("*") if path.is_file()]


def test_what_a_visit_loads_weighs_less_than_200_kb(visits: Visits, url: str) -> None:
    """Code and styles as they come over the wire, with all views opened."""
    visit = visits(url)
    seen(visit.page)
    for view in ("?view=indexing", "?view=compare&q=a+cat"):
        visit.page.goto(f"{url}/{view}")
        visit.page.wait_for_load_state("networkidle")
    own = {r.url.split("?")[0] for r in visit.requests if "/v1/" not in r.url}
    sizes = [len(visit.page.request.get(url).body()) for url in own]
    assert len(own) > 10
    assert sum(sizes) < HEAVIEST


def test_files_are_small_and_say_what_they_are() -> None:
    """Every file is small, and begins with a comment that says what it is."""
    for path in files():
        text = path.read_text(encoding="utf-8")
        assert len(text) < LONGEST, path
        start = text.removeprefix("<!doctype html>").lstrip()
        assert start.startswith(("//", "/*", "<!--", "<svg")), path


def test_nothing_names_another_origin() -> None:
    """No file contains a URL except the SVG namespace."""
    for path in files():
        found = re.findall(r"https?://[^\s\"'`)]+", path.read_text(encoding="utf-8"))
        assert set(found) <= {"http://www.w3.org/2000/svg"}, path


def test_only_one_file_sends_requests() -> None:
    """Only api.js sends requests."""
    callers = {path.name for path in files() if re.search(r"\bfetch\(|XMLHttpRequest|EventSource", path.read_text())}
    assert callers == {"api.js"}
