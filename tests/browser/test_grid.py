"""The grid when the window changes."""

from __future__ import annotations

from playwright.sync_api import Page, Route, expect

from .look import ids, search, searched, tiles


def test_the_window_may_change_at_the_end_of_what_is_there(page: Page) -> None:
    """At any width pictures are to be seen, also where those of the last row wait for others to fill it."""
    held: list[Route] = []
    page.route(
        "**/v1/search", lambda route: held.append(route) if "cursor" in searched(route.request) else route.continue_()
    )
    page.set_viewport_size({"width": 1280, "height": 160})
    search(page, "a tabby cat")
    end = ids(page)[0]
    for width in range(1280, 320, -60):
        page.set_viewport_size({"width": width, "height": 160})
        page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        page.wait_for_timeout(60)
        assert tiles(page).last.is_visible()
    assert held
    page.evaluate("scrollTo(0, 0)")
    expect(tiles(page).first).to_have_attribute("data-id", str(end))
    for route in held:
        route.continue_()
