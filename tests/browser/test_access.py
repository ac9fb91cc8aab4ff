"""Every state of the page, in light and dark, checked by axe-core, contrast included."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from tests.browser.actions import animations_over, open_first, search, seen, tiles
from tests.browser.collection import make_copies
from tests.browser.conftest import Keyed, Quick, Visit, Visits

RULES: dict[str, object] = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
}


def violations(visit: Visit) -> list[str]:
    """The violations that axe-core finds in either theme once the page is complete and still."""
    visit.wait_until_quiet()
    return violations_while_busy(visit.page)


def violations_while_busy(page: Page) -> list[str]:
    """As `violations`, on a page that keeps polling, as while a job runs.

    All rules are checked in the light theme. The dark one changes nothing but colours, so contrast is all that is
    checked again.
    """
    return [
        *_violations_in_theme(page, "light", RULES),
        *_violations_in_theme(page, "dark", {"runOnly": ["color-contrast"]}),
    ]


def _violations_in_theme(page: Page, theme: Literal["light", "dark"], rules: dict[str, object]) -> list[str]:
    page.emulate_media(color_scheme=theme)
    animations_over(page)
    page.evaluate(AXE_SCRIPT)
    return [
        f"{theme}: {rule['id']}: {node['html'][:160]} {node['failureSummary'].splitlines()[-1].strip()}"
        for rule in page.evaluate(f"axe.run(document, {json.dumps(rules)})")["violations"]
        for node in rule["nodes"]
    ]


def browsing(page: Page, url: str) -> None:
    """All pictures."""
    page.goto(url)
    seen(page)


def searched(page: Page, url: str) -> None:
    """An answer."""
    page.goto(url)
    search(page, "a tabby cat")
    seen(page)


def opened(page: Page, url: str) -> None:
    """A picture's page, with a highlighted word."""
    page.goto(url)
    search(page, "a cup of coffee")
    dialog = open_first(page)
    dialog.get_by_role("button", name=re.compile("^coffee: ")).hover()


def no_match(page: Page, url: str) -> None:
    """No good match."""
    page.goto(f"{url}/?q=an+elephant+playing+the+piano+under+water")
    expect(page.get_by_role("heading", name=re.compile("No good match"))).to_be_visible()
    seen(page)


def filtering(page: Page, url: str) -> None:
    """An open filter and an active one."""
    page.goto(f"{url}/?format=JPEG")
    seen(page)
    page.get_by_role("button", name=re.compile("^Folder")).click()
    expect(page.get_by_role("group", name="Folder", exact=True).get_by_role("checkbox").first).to_be_visible()


def dating(page: Page, url: str) -> None:
    """The filter by date."""
    page.goto(f"{url}/?from=2022&to=2022")
    seen(page)
    page.get_by_role("button", name=re.compile("^Date")).click()
    expect(page.get_by_role("group", name="Date", exact=True).get_by_role("checkbox").first).to_be_visible()


def unfolded(page: Page, url: str) -> None:
    """Unfolded near-duplicates."""
    page.goto(f"{url}/?q=chelsea")
    page.get_by_role("button", name=re.compile("near-duplicate")).first.click()
    seen(page)


def alike(page: Page, url: str) -> None:
    """Similar pictures, with the captions of the query picture."""
    page.goto(f"{url}/?like=1")
    seen(page)
    expect(page.get_by_role("region", name="Query picture").get_by_role("listitem").first).to_be_visible()


def comparing(page: Page, url: str) -> None:
    """The comparison."""
    page.goto(f"{url}/?view=compare&q=a+tabby+cat")
    expect(page.get_by_role("list", name="Right answer").get_by_role("listitem")).to_have_count(20)


def comparing_nothing(page: Page, url: str) -> None:
    """The comparison without a query."""
    page.goto(f"{url}/?view=compare")
    expect(page.get_by_text("Type what to look for")).to_be_visible()


def indexing(page: Page, url: str) -> None:
    """The indexing panel before a job."""
    page.goto(f"{url}/?view=indexing")
    expect(page.get_by_role("button", name="Index now")).to_be_visible()


def filtered_away(page: Page, url: str) -> None:
    """Filters that match nothing."""
    page.goto(f"{url}/?from=1990&to=1991")
    expect(page.get_by_role("heading", name="No pictures match these filters")).to_be_visible()


def failed(page: Page, url: str) -> None:
    """A notice over the pictures."""
    page.goto(url)
    seen(page)
    page.context.set_offline(offline=True)
    expect(page.get_by_text("This machine is offline")).to_be_visible()


def gone(page: Page, url: str) -> None:
    """A server that does not answer."""
    page.route("**/v1/**", lambda route: route.abort("connectionrefused"))
    page.goto(url)
    expect(page.get_by_role("heading", name="crosslook does not answer")).to_be_visible()


STATES: tuple[Callable[[Page, str], None], ...] = (
    *(browsing, searched, opened, no_match, filtering, dating, unfolded, alike),
    *(comparing, comparing_nothing, indexing, filtered_away, failed, gone),
)


@pytest.mark.troubled
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_a_state_has_no_violations(visits: Visits, url: str, state: Callable[[Page, str], None]) -> None:
    """axe-core finds no fault with names, roles, order or contrast in either theme."""
    visit = visits("about:blank")
    state(visit.page, url)
    assert violations(visit) == []


@pytest.mark.troubled
def test_a_phone_has_no_violations(visits: Visits, url: str) -> None:
    """axe-core finds no fault in a narrow window either."""
    visit = visits("about:blank", viewport={"width": 360, "height": 740}, has_touch=True)
    for state in (browsing, searched, opened, filtering, comparing):
        state(visit.page, url)
        assert violations(visit) == [], state.__name__


def test_jobs_and_an_empty_index_have_no_violations(visits: Visits, quick: Quick, tmp_path: Path) -> None:
    """Before a job, while it runs, and with its failures."""
    make_copies(tmp_path / "inbox", 300)
    server = quick(tmp_path / "inbox")
    server.encoder.hold(after=2)
    visit = visits(server.url)
    page = visit.page
    expect(page.get_by_role("heading", name="No pictures yet")).to_be_visible()
    assert violations(visit) == []
    page.get_by_role("button", name="Index folders").click()
    page.get_by_role("button", name="Index now").click()
    expect(page.locator(".indexing-numbers")).to_contain_text("a second")
    assert violations_while_busy(page) == []
    server.encoder.release()
    expect(page.locator("#indexing li").first).to_contain_text("Done")
    page.get_by_text("1 file could not be indexed").click()
    expect(page.get_by_role("cell", name="inbox/broken.jpg")).to_be_visible()
    assert violations(visit) == []


@pytest.mark.troubled
def test_the_key_dialog_has_no_violations(visits: Visits, keyed: Keyed) -> None:
    """axe-core finds no fault with the dialog that asks for a key."""
    visit = visits(keyed.url)
    expect(visit.page.get_by_role("dialog", name="This server requires an API key")).to_be_visible()
    assert violations(visit) == []


def test_the_theme_follows_the_system_and_can_be_chosen(visits: Visits, url: str) -> None:
    """The chosen theme survives a reload."""
    page = visits(url, color_scheme="dark").page
    seen(page)
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_role("button", name="Light or dark").click()
    light = page.evaluate(ground)
    assert brightness(light) > 600
    assert brightness(dark) < 200
    page.reload()
    expect(tiles(page).first).to_be_visible()
    assert page.evaluate(ground) == light


def brightness(colour: str) -> int:
    """The sum of red, green and blue of `rgb(…)`."""
    return sum(map(int, re.findall(r"\d+", colour)))


def test_reduced_motion_stops_animations(visits: Visits, url: str) -> None:
    """With reduced motion no animation runs."""
    page = visits(url, reduced_motion="reduce").page
    seen(page)
    moving = page.evaluate("document.getAnimations().filter(a => a.playState === 'running').length")
    assert moving == 0
