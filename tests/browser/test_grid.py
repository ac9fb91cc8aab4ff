"""The grid when the window changes."""

from __future__ import annotations

from playwright.sync_api import Page, Route, expect

from tests.browser.actions import frames, ids, search, searched, tiles

WIDTHS = (320, 1280, 500, 1600, 700, 2000, 400, 1500, 600, 1100, 360, 1900, 900, 1700, 450, 1400)


def test_the_window_may_be_resized_at_the_end_of_the_grid(page: Page) -> None:
    """Pictures are visible at any width, even while the last row waits for the next page."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        if "cursor" in searched(route.request):
            held.append(route)
        else:
            route.continue_()

    page.route("**/v1/search", hold)
    page.set_viewport_size({"width": 1280, "height": 160})
    search(page, "a tabby cat")
    first = ids(page)[0]
    for width in WIDTHS:
        page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        frames(page, 3)
        page.evaluate("scrollBy(0, document.querySelector('.tile:last-child').getBoundingClientRect().top + 5)")
        frames(page, 3)
        page.set_viewport_size({"width": width, "height": 160})
        page.wait_for_function("width => innerWidth === width", arg=width)
        frames(page, 3)
        assert tiles(page).last.is_visible()
    assert held
    page.evaluate("scrollTo(0, 0)")
    expect(tiles(page).first).to_have_attribute("data-id", str(first))
    for route in held:
        route.continue_()
