"""What the tests read from the page, and what they do with it as people do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, Page, Request, Response, expect

SEARCH_BOX = "Describe a picture"


def box(page: Page) -> Locator:
    """Where people type."""
    return page.get_by_role("textbox", name=SEARCH_BOX)


def tiles(page: Page) -> Locator:
    """The pictures of the grid that are drawn, first to last."""
    return page.get_by_role("list", name="Pictures").locator(".tile")


def ids(page: Page) -> list[int]:
    """Which pictures are drawn, in order."""
    found: list[int] = tiles(page).evaluate_all("tiles => tiles.map(tile => Number(tile.dataset.id))")
    return found


def searched(request: Request) -> dict[str, Any]:
    """What a request searches for; nothing if it is another one."""
    document: dict[str, Any] = (request.post_data_json or {}) if request.url.endswith("/v1/search") else {}
    return document


def asks(response: Response, text: str) -> bool:
    """Whether it answers a search for these words."""
    return searched(response.request).get("text") == text


def far_down(page: Page) -> float:
    """Look for something that is everywhere, and scroll; how far, in pixels."""
    search(page, "a photograph")
    page.mouse.wheel(0, 1500)
    page.wait_for_timeout(300)
    at = float(page.evaluate("scrollY"))
    assert at > 500
    return at


def search(page: Page, text: str) -> dict[str, Any]:
    """Type words, wait for their pictures, and return what the server answered."""
    with page.expect_response(lambda response: asks(response, text)) as answered:
        box(page).fill(text)
    answer: dict[str, Any] = answered.value.json()
    if answer["hits"]:
        expect(tiles(page).first).to_have_attribute("data-id", str(answer["hits"][0]["image_id"]))
    return answer


def seen(page: Page) -> None:
    """Wait until every picture in the window is there, and nothing is on its way."""
    expect(tiles(page).first).to_be_visible()
    page.wait_for_function(
        """() => [...document.querySelectorAll(".tile img")].every((image) => {
            const box = image.getBoundingClientRect();
            return box.bottom < 0 || box.top > innerHeight || (image.complete && image.naturalWidth);
        })"""
    )


def open_first(page: Page) -> Locator:
    """Open the first picture's own page."""
    tiles(page).first.get_by_role("link").click()
    dialog = page.locator("dialog#picture")
    expect(dialog).to_be_visible()
    return dialog


def count_shifts(page: Page) -> Callable[[], float]:
    """Add up layout shifts, those right after a key or click too, from the next load of the page on."""
    page.add_init_script(
        """window.shifts = [];
        new PerformanceObserver((list) => {
            for (const shift of list.getEntries()) {
                window.shifts.push([shift.value, ...shift.sources.map(({node}) => node?.className ?? String(node))]);
            }
        }).observe({type: "layout-shift", buffered: true});"""
    )
    return lambda: sum(shift[0] for shift in page.evaluate("window.shifts"))


def listen(page: Page) -> None:
    """Note what the live region says from now on, in `window.heard`."""
    page.evaluate(
        """() => {
            window.heard = [];
            const region = document.querySelector('[aria-live="polite"]');
            new MutationObserver(() => window.heard.push(region.textContent))
                .observe(region, {childList: true, characterData: true, subtree: true});
        }"""
    )


def give_key(page: Page, secret: str) -> None:
    """Answer the page's question for a key."""
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("API key").fill(secret)
    dialog.get_by_label("API key").press("Enter")
    expect(dialog).to_be_hidden()
