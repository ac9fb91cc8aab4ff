"""What the tests do on the page, read from it and wait for."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Request, Response, Route, expect

SEARCH_BOX = "Describe a picture"
PATIENCE = 20.0  # seconds that a condition may take on a loaded machine


def wait_until(page: Page, condition: Callable[[], object]) -> None:
    """Wait until a condition holds, while the page runs."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("what the test waits for did not happen")
        page.wait_for_timeout(20)


def frames(page: Page, count: int = 2) -> None:
    """Wait until the page has drawn some frames, with everything it deferred to them."""
    page.evaluate(
        """count => new Promise((resolve) => {
            const step = () => (count-- > 0 ? requestAnimationFrame(step) : resolve());
            step();
        })""",
        count,
    )


def wheel(page: Page, pixels: int) -> float:
    """Turn the wheel, wait until scrolling stops, and return the scroll position."""
    start = page.evaluate("scrollY")
    page.mouse.wheel(0, pixels)
    return float(
        page.evaluate(
            """start => new Promise((resolve) => {
                let last = scrollY, still = 0, left = 120;
                const step = () => {
                    const atEnd = scrollY + innerHeight >= document.documentElement.scrollHeight - 1;
                    still = scrollY === last && (scrollY !== start || atEnd) ? still + 1 : 0;
                    last = scrollY;
                    left -= 1;
                    still > 3 || left === 0 ? resolve(scrollY) : requestAnimationFrame(step);
                };
                step();
            })""",
            start,
        )
    )


def animations_over(page: Page) -> None:
    """Wait until all animations have ended."""
    page.wait_for_function(
        """() => document.getAnimations().every((animation) =>
            animation.playState !== "running" || animation.effect.getComputedTiming().iterations === Infinity)"""
    )


@contextmanager
def near_duplicates_known(page: Page) -> Iterator[None]:
    """Load the page so that its first answer comes after the near-duplicates, so none is shown unfolded.

    The page waits a moment for them by itself, which on a loaded machine is not long enough.
    """
    held: list[Route] = []
    answers = re.compile(r"/v1/(search$|images\?)")
    page.route(answers, lambda route: held.append(route))  # noqa: PLW0108  Playwright takes no bound method of C
    with page.expect_response(lambda response: "/v1/duplicates" in response.url and response.ok) as answered:
        yield
    answered.value.finished()
    wait_until(page, lambda: held)
    for route in held:
        route.continue_()
    page.unroute(answers)


def box(page: Page) -> Locator:
    """The search field."""
    return page.get_by_role("textbox", name=SEARCH_BOX)


def tiles(page: Page) -> Locator:
    """The drawn tiles of the grid, in order."""
    return page.get_by_role("list", name="Pictures").locator(".tile")


def ids(page: Page) -> list[int]:
    """The ids of the drawn tiles, in order."""
    numbers: list[int] = tiles(page).evaluate_all("tiles => tiles.map(tile => Number(tile.dataset.id))")
    return numbers


def searched(request: Request) -> dict[str, Any]:
    """The body of a search request; empty for other requests."""
    document: dict[str, Any] = (request.post_data_json or {}) if request.url.endswith("/v1/search") else {}
    return document


def asks(response: Response, text: str) -> bool:
    """Whether a response answers a search for these words."""
    return searched(response.request).get("text") == text


def far_down(page: Page) -> float:
    """Search for something common, scroll down, and return the scroll position."""
    search(page, "a photograph")
    at = wheel(page, 1500)
    assert at > 500
    return at


def search(page: Page, text: str) -> dict[str, Any]:
    """Type words, wait for their pictures, and return the server's answer."""
    with page.expect_response(lambda response: asks(response, text)) as answered:
        box(page).fill(text)
    answer: dict[str, Any] = answered.value.json()
    drawn(page)
    if answer["hits"]:
        expect(tiles(page).first).to_have_attribute("data-id", str(answer["hits"][0]["image_id"]))
    return answer


def drawn(page: Page) -> None:
    """Wait until the answer to the last query is shown."""
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")


def seen(page: Page) -> None:
    """Wait until all pictures in the viewport are loaded and no query is pending."""
    expect(tiles(page).first).to_be_visible()
    drawn(page)
    page.wait_for_function(
        """() => [...document.querySelectorAll(".tile img")].every((image) => {
            const box = image.getBoundingClientRect();
            return box.bottom < 0 || box.top > innerHeight || (image.complete && image.naturalWidth);
        })"""
    )


def open_first(page: Page) -> Locator:
    """Open the page of the first picture."""
    tiles(page).first.get_by_role("link").click()
    dialog = page.locator("dialog#picture")
    expect(dialog).to_be_visible()
    return dialog


def count_shifts(page: Page) -> Callable[[], float]:
    """Return a function that sums layout shifts since the next page load, including those after user input."""
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
    """Record announcements of the live region in `window.heard`."""
    page.evaluate(
        """() => {
            window.heard = [];
            const region = document.querySelector('[aria-live="polite"]');
            new MutationObserver(() => window.heard.push(region.textContent))
                .observe(region, {childList: true, characterData: true, subtree: true});
        }"""
    )


def give_key(page: Page, secret: str) -> None:
    """Enter a key in the dialog."""
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("API key").fill(secret)
    dialog.get_by_label("API key").press("Enter")
    expect(dialog).to_be_hidden()
