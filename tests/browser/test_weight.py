"""What the page is made of: little, and nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

from tests.browser.actions import seen
from tests.browser.conftest import ROOT, Visits

WEB = ROOT / "api" / "web"
HEAVIEST = 200_000  # bytes
LONGEST = 60_000  # bytes of one file


def files() -> list[Path]:
    """All that ships."""
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
    """A newcomer can read them one by one."""
    for path in files():
        text = path.read_text(encoding="utf-8")
        assert len(text) < LONGEST, path
        start = text.removeprefix("<!doctype html>").lstrip()
        assert start.startswith(("//", "/*", "<!--", "<svg")), path


def test_nothing_names_another_origin() -> None:
    """No script, style, font or picture comes from elsewhere; a namespace is a name, not an address."""
    for path in files():
        found = re.findall(r"https?://[^\s\"'`)]+", path.read_text(encoding="utf-8"))
        assert set(found) <= {"http://www.w3.org/2000/svg"}, path


def test_one_file_alone_talks_to_the_server() -> None:
    """Whoever wants to know what the page asks for reads api.js."""
    callers = {path.name for path in files() if re.search(r"\bfetch\(|XMLHttpRequest|EventSource", path.read_text())}
    assert callers == {"api.js"}
