"""Search as you type, the address bar, and the grid with its infinite scroll."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.browser.actions import (
    asks,
    box,
    count_shifts,
    far_down,
    frames,
    ids,
    near_duplicates_known,
    open_first,
    search,
    searched,
    seen,
    tiles,
    wheel,
)
from tests.browser.collection import Collection
from tests.browser.conftest import Visits

MORE = """height => document.documentElement.scrollHeight > height
    || document.querySelector(".tile:last-child").ariaSetSize !== "-1\""""
"""Whether the next page has come."""

STILL = 0.02
"""The most that layout shifts may add up to; 0.1 counts as good on the web."""


def test_pictures_are_found_while_somebody_types(page: Page) -> None:
    """Typing alone, without Enter, finds the cat, and the summary shows a number."""
    search(page, "a tabby cat")
    expect(tiles(page).first.get_by_role("link")).to_have_accessible_name(re.compile("chelsea"))
    expect(page.locator("#summary")).to_contain_text(re.compile(r"\d"))


def test_few_requests_are_sent_while_somebody_types(visits: Visits, url: str) -> None:
    """One request is sent for several key strokes. The test controls the page's clock."""
    page = visits("about:blank").page
    page.clock.install()
    page.goto(url)
    seen(page)
    asked: list[str] = []

    def note(request: Request) -> None:
        if "text" in searched(request):
            asked.append(searched(request)["text"])

    page.on("request", note)
    page.clock.pause_at(page.evaluate("Date.now() + 1000"))
    text = "a cup of coffee on a wooden table"
    box(page).focus()
    for letter in text:
        page.keyboard.press(letter)
        page.clock.run_for(25)
    with page.expect_response(lambda response: asks(response, text)):
        page.clock.run_for(200)
    assert asked == [text]


def test_an_answer_that_comes_too_late_is_dropped(page: Page) -> None:
    """The first query's answer arrives after the second one's, and changes nothing."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        if searched(route.request).get("text") == "a tabby cat":
            held.append(route)
        else:
            route.continue_()

    page.route("**/v1/search", hold)
    with page.expect_request("**/v1/search"):
        box(page).fill("a tabby cat")
    search(page, "a rocket on a launch pad")
    shown = ids(page)
    assert held
    cats = page.request.post(held[0].request.url, data={"text": "a tabby cat", "k": 60}).text()
    held[0].fulfill(status=200, body=cats, content_type="application/json")
    page.wait_for_timeout(500)
    assert ids(page) == shown
    expect(box(page)).to_have_value("a rocket on a launch pad")


@pytest.mark.parametrize("how", ["typing", "Escape", "back"])
def test_returning_to_the_shown_query_needs_no_request(page: Page, how: str) -> None:
    """A late answer to the query in between replaces neither the pictures nor the summary."""
    if how != "Escape":
        search(page, "a tabby cat")
        page.wait_for_timeout(2200)  # an entry of its own in the history
    seen(page)
    expect(page.locator("#summary")).to_contain_text(re.compile(r"\d"))
    shown, told, address = ids(page), page.locator("#summary").inner_text(), page.url
    held: list[Route] = []
    page.route("**/v1/search", lambda route: held.append(route))  # noqa: PLW0108  takes no bound method of C
    with page.expect_request(lambda request: searched(request).get("text") == "a rocket on a launch pad"):
        box(page).fill("a rocket on a launch pad")
    if how == "back":
        page.go_back()
    elif how == "Escape":
        box(page).press("Escape")
    else:
        box(page).fill("a tabby cat")
    expect(page).to_have_url(address)
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#working")).to_be_hidden()
    rockets = page.request.post(held[0].request.url, data={"text": "a rocket on a launch pad", "k": 60}).text()
    held[0].fulfill(status=200, body=rockets, content_type="application/json")
    page.wait_for_timeout(500)
    assert ids(page) == shown
    assert len(held) == 1
    expect(page.locator("#summary")).to_have_text(told)


def test_a_picture_opens_while_another_answer_is_on_its_way(page: Page) -> None:
    """The picture opens at once, and the search is not sent again."""
    search(page, "a tabby cat")
    seen(page)
    held: list[Route] = []
    page.route("**/v1/search", lambda route: held.append(route))  # noqa: PLW0108  takes no bound method of C
    with page.expect_request("**/v1/search"):
        box(page).fill("a rocket on a launch pad")
    open_first(page)
    page.keyboard.press("Escape")
    expect(page.locator("dialog#picture")).to_be_hidden()
    held[0].continue_()
    expect(tiles(page).first.get_by_role("link")).to_have_accessible_name(re.compile("rocket"))
    assert [searched(route.request).get("text") for route in held].count("a rocket on a launch pad") == 1


@pytest.mark.parametrize("how", ["Escape", "Clear the search"])
def test_pending_words_can_be_removed(visits: Visits, url: str, how: str) -> None:
    """Words removed before the debounce ends are never searched for."""
    visit = visits(url)
    page = visit.page
    seen(page)
    script = """([text, how]) => {
        const field = document.getElementById("q"), clear = document.getElementById("clear");
        field.focus();
        field.value = text;
        field.dispatchEvent(new InputEvent("input", {bubbles: true}));
        if (how === "Escape") field.dispatchEvent(new KeyboardEvent("keydown", {key: "Escape", bubbles: true}));
        else clear.click();
    }"""
    page.evaluate(script, ["a tabby cat", how])
    expect(box(page)).to_have_value("")
    expect(page.get_by_role("button", name="Clear the search")).to_be_hidden()
    page.wait_for_timeout(500)
    expect(box(page)).to_have_value("")
    assert page.url == f"{url}/"
    assert not any(searched(request) for request in visit.requests)


def test_a_pending_search_does_not_close_what_is_opened_next(page: Page) -> None:
    """The picture stays open; so does a view, which takes over the words."""
    seen(page)
    script = """(next) => {
        const field = document.getElementById("q");
        field.value = "a tabby cat";
        field.dispatchEvent(new InputEvent("input", {bubbles: true}));
        document.querySelector(next).click();
    }"""
    page.evaluate(script, ".tile a")
    expect(page.locator("dialog#picture")).to_be_visible()
    page.wait_for_timeout(500)
    expect(page.locator("dialog#picture")).to_be_visible()
    page.keyboard.press("Escape")
    page.evaluate(script, "#open-compare")
    expect(page).to_have_url(re.compile(r"\?q=a\+tabby\+cat&view=compare$"))
    page.wait_for_timeout(500)
    expect(page.get_by_role("heading", name=re.compile("Compare"))).to_be_visible()


def test_slash_leads_to_the_field_from_a_filter_too(page: Page) -> None:
    """The shortcut works from a checkbox, which takes no text."""
    seen(page)
    page.get_by_role("button", name=re.compile("^Format")).click()
    panel = page.get_by_role("group", name="Format", exact=True)
    panel.get_by_role("checkbox").first.focus()
    page.keyboard.press("/")
    expect(box(page)).to_be_focused()
    expect(box(page)).to_have_value("")
    expect(panel).to_be_hidden()


def test_the_address_holds_the_query_so_that_back_reload_and_sharing_work(page: Page, visits: Visits, url: str) -> None:
    """Back, reload and a shared address show the same pictures."""
    search(page, "a tabby cat")
    expect(page).to_have_url(re.compile(r"/\?q=a\+tabby\+cat$"))
    cats = ids(page)
    page.wait_for_timeout(2200)  # else it is one sentence that is being typed, and one entry in the history
    search(page, "green grass")
    expect(page).to_have_url(re.compile(r"/\?q=green\+grass$"))
    page.go_back()
    expect(box(page)).to_have_value("a tabby cat")
    expect(tiles(page).first).to_have_attribute("data-id", str(cats[0]))
    assert ids(page)[:5] == cats[:5]
    with near_duplicates_known(page):
        page.reload()
    expect(tiles(page).first).to_have_attribute("data-id", str(cats[0]))
    assert ids(page)[:5] == cats[:5]
    page.go_forward()
    expect(box(page)).to_have_value("green grass")
    other = visits("about:blank").page
    with near_duplicates_known(other):
        other.goto(f"{url}/?q=a+tabby+cat")
    expect(tiles(other).first).to_have_attribute("data-id", str(cats[0]))
    assert ids(other)[:5] == cats[:5]


def test_pictures_keep_their_proportions_and_rows_fill_the_width(page: Page) -> None:
    """Nothing is cropped, tiles of a row have equal height, and full rows end at the same edge."""
    seen(page)
    found = tiles(page).evaluate_all(
        """tiles => tiles.map(tile => {
            const box = tile.getBoundingClientRect(), image = tile.querySelector("img");
            const natural = image.naturalWidth / image.naturalHeight;
            return [box.left, box.top, box.right, box.height, box.width / box.height, natural];
        }).filter(([, , , , , natural]) => natural)"""
    )
    assert len(found) > 8
    for *_, ratio, natural in found:
        assert ratio == pytest.approx(natural, rel=0.02)
    grid = page.locator("#grid").bounding_box()
    assert grid is not None
    rows: dict[int, list[list[float]]] = {}
    for tile in found:
        rows.setdefault(round(tile[1]), []).append(tile)
    ends = [max(tile[2] for tile in row) for row in rows.values()]
    full = [end for end in ends if end == pytest.approx(grid["x"] + grid["width"], abs=1.5)]
    assert len(full) >= len(ends) // 2
    for row in rows.values():
        assert max(tile[3] for tile in row) == pytest.approx(min(tile[3] for tile in row), abs=0.5)


def test_nothing_jumps(page: Page, url: str) -> None:
    """Layout does not shift while pages and pictures load, during searches, scrolling and unfolding."""
    shifts = count_shifts(page)
    page.goto(url)
    seen(page)
    assert shifts() < STILL, page.evaluate("window.shifts")
    search(page, "a cup of coffee")
    seen(page)
    for _ in range(6):
        wheel(page, 700)
    seen(page)
    page.evaluate("scrollTo(0, 0)")
    search(page, "a tabby cat")
    page.get_by_role("button", name=re.compile("near-duplicate")).first.click()
    seen(page)
    assert shifts() < STILL, page.evaluate("window.shifts")


def test_thumbnails_are_loaded_only_near_the_viewport(visits: Visits, url: str, collection: Collection) -> None:
    """Thumbnails far below load only when scrolled to."""
    visit = visits(f"{url}/?q=a+photograph")
    seen(visit.page)
    visit.page.wait_for_load_state("networkidle")
    before = {request.url for request in visit.requests if "/thumbnail" in request.url}
    assert 0 < len(before) < collection.images // 2
    wheel(visit.page, 4000)
    seen(visit.page)
    assert len({request.url for request in visit.requests if "/thumbnail" in request.url}) > len(before)


@pytest.mark.parametrize("address", ["/", "/?q=a+photograph"])
def test_scrolling_leads_to_every_picture(visits: Visits, url: str, collection: Collection, address: str) -> None:
    """Scrolling shows each picture once, and the document stays small."""
    page = visits("about:blank").page
    with near_duplicates_known(page):
        page.goto(url + address)
    seen(page)
    met: set[int] = set(ids(page))
    most = len(ids(page))
    for _ in range(80):
        wheel(page, 600)
        now = ids(page)
        assert len(now) == len(set(now))
        met |= set(now)
        most = max(most, len(now))
        if page.evaluate("scrollY + innerHeight >= document.documentElement.scrollHeight - 1"):
            if tiles(page).last.get_attribute("aria-setsize") != "-1":
                break
            page.wait_for_function(MORE, arg=page.evaluate("document.documentElement.scrollHeight"))
    folded = page.request.get(f"{url}/v1/duplicates").json()["groups"]
    hidden = sum(len(group["image_ids"]) - 1 for group in folded)
    assert len(met) == collection.images - hidden
    assert most < collection.images


def test_one_page_of_a_long_answer_follows_the_other(visits: Visits, url: str) -> None:
    """The next page is requested by cursor before the end is reached."""
    visit = visits(f"{url}/?q=a+photograph")
    seen(visit.page)
    first = visit.page.request.post(f"{url}/v1/search", data={"text": "a photograph", "k": 60}).json()
    assert first["next_cursor"] is not None
    for _ in range(12):
        wheel(visit.page, 800)
    assert any("cursor" in searched(request) for request in visit.requests)


def test_coming_back_from_a_picture_leaves_the_grid_where_it_was(page: Page) -> None:
    """Scroll position and focus are restored."""
    search(page, "a photograph")
    wheel(page, 1500)
    seen(page)
    at = page.evaluate("scrollY")
    assert at > 500
    inside = page.locator(".tile").evaluate_all(
        """tiles => tiles.find(tile => {
            const box = tile.getBoundingClientRect();
            return box.top > 150 && box.bottom < innerHeight - 150;
        }).dataset.id"""
    )
    tile = page.locator(f'.tile[data-id="{inside}"]').get_by_role("link")
    tile.click()
    expect(page.locator("dialog#picture")).to_be_visible()
    page.go_back()
    expect(page.locator("dialog#picture")).to_be_hidden()
    assert page.evaluate("scrollY") == pytest.approx(at, abs=2)
    expect(tile).to_be_focused()


def test_going_to_the_field_leaves_the_grid_where_it_was(page: Page) -> None:
    """Focusing the field does not scroll."""
    at = far_down(page)
    page.locator("#results").evaluate("main => main.focus({preventScroll: true})")
    page.keyboard.press("/")
    expect(box(page)).to_be_focused()
    frames(page, 6)
    assert page.evaluate("scrollY") == at


@pytest.mark.parametrize("view", ["Compare orders and models", "Index folders"])
def test_coming_back_from_a_view_leaves_the_grid_where_it_was(page: Page, view: str) -> None:
    """Leaving a view by its button or by back restores the scroll position."""
    search(page, "a photograph")
    wheel(page, 1500)
    seen(page)
    at, shown = page.evaluate("scrollY"), ids(page)
    assert at > 500
    for back in (page.go_back, page.get_by_role("button", name="Back to the pictures").click):
        page.get_by_role("button", name=view).dispatch_event("click")  # a click of Playwright's scrolls
        expect(page.get_by_role("button", name="Back to the pictures")).to_be_visible()
        expect(page.locator("#results")).to_be_hidden()
        back()
        expect(page.get_by_role("button", name="Back to the pictures")).to_be_hidden()
        assert page.evaluate("scrollY") == pytest.approx(at, abs=2)
        assert set(shown) <= set(ids(page))


@pytest.mark.parametrize("width", [360, 3840])
def test_nothing_scrolls_sideways(visits: Visits, url: str, width: int) -> None:
    """Nothing is wider than the window, on a phone and a 4K screen, in all views."""
    size = {"width": width, "height": width * 2 if width < 1000 else width * 9 // 16}
    page = visits(url, viewport=size, has_touch=width < 1000).page
    for address in ("/", "/?q=a+tabby+cat", "/?view=compare&q=a+cat", "/?view=indexing", "/?like=1"):
        page.goto(url + address)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
        over = page.evaluate(
            """[...document.querySelectorAll("body *")].filter(element => {
                const box = element.getBoundingClientRect(), style = getComputedStyle(element);
                return box.width && box.right > innerWidth + 1 && style.position !== "fixed"
                    && style.visibility !== "hidden"
                    && !element.closest(".filters, .unseen, pre, [popover]");
            }).map(element => element.outerHTML.slice(0, 80))"""
        )
        assert not over, address
