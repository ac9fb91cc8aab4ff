"""The page by keyboard and for screen readers."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.actions import animations_over, asks, box, drawn, ids, search, seen, tiles

FOCUSED = "document.activeElement.closest('.tile')?.dataset.id"


def test_an_arrow_key_enters_the_grid_without_focus(page: Page) -> None:
    """From a page without focus, an arrow key enters the grid."""
    seen(page)
    page.keyboard.press("ArrowRight")
    expect(tiles(page).first.get_by_role("link")).to_be_focused()


def test_the_main_job_is_done_without_a_mouse(page: Page) -> None:
    """Search, move through the grid, open a picture, go to the next, return, and search again."""
    seen(page)
    page.keyboard.press("/")
    expect(box(page)).to_be_focused()
    with page.expect_response(lambda response: asks(response, "a tabby cat")):
        page.keyboard.type("a tabby cat")
    drawn(page)
    expect(tiles(page).first.get_by_role("link")).to_have_accessible_name(re.compile("chelsea"))
    page.keyboard.press("ArrowDown")
    expect(tiles(page).first.get_by_role("link")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(tiles(page).nth(1).get_by_role("link")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    dialog = page.locator("dialog#picture")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("heading").first).to_be_focused()
    word = dialog.get_by_role("button", name=re.compile("^tabby: "))
    expect(word).to_be_visible()
    for _ in range(12):
        page.keyboard.press("Tab")
        if word.evaluate("word => word === document.activeElement"):
            break
    expect(word).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile(rf"picture={ids(page)[1]}"))
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert page.evaluate(FOCUSED) == str(ids(page)[1])
    page.keyboard.press("/")
    expect(box(page)).to_be_focused()
    page.keyboard.press("Escape")
    expect(box(page)).to_have_value("")


def test_arrows_walk_the_grid_as_it_looks(page: Page) -> None:
    """Down moves to the picture below and up back, End to the last loaded picture, Home to the first."""
    seen(page)
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    start = page.evaluate(FOCUSED)
    here = page.evaluate("document.activeElement.getBoundingClientRect().toJSON()")
    page.keyboard.press("ArrowDown")
    below = page.evaluate("document.activeElement.getBoundingClientRect().toJSON()")
    assert below["top"] >= here["bottom"]
    assert below["left"] < here["right"]
    assert below["right"] > here["left"]
    page.keyboard.press("ArrowUp")
    assert page.evaluate(FOCUSED) == start
    page.keyboard.press("End")
    assert page.evaluate("scrollY") > 0
    page.keyboard.press("Home")
    assert page.evaluate(FOCUSED) == str(ids(page)[0])


def test_the_focus_goes_through_the_page_in_the_order_it_is_read(page: Page) -> None:
    """The order is skip link, home, search, tools, filters, pictures, and focused elements are visible."""
    seen(page)
    expect(page.locator("#timeline")).to_be_visible()
    animations_over(page)
    met: list[str] = []
    for _ in range(24):
        page.keyboard.press("Tab")
        about = page.evaluate(
            """() => {
                const {activeElement: it} = document, box = it.getBoundingClientRect(), style = getComputedStyle(it);
                const inside = it.closest("header, #filters, #grid, #timeline")?.id || it.closest("header")?.className;
                const shown = box.width > 0 && box.bottom > 0 && box.top < innerHeight;
                const ring = style.outlineStyle !== "none" || style.boxShadow !== "none" || it.matches("#q, .bars *")
                    || getComputedStyle(it.closest("li, form") ?? it).outlineStyle !== "none";
                return [it.className || it.id, inside ?? "", shown, ring];
            }"""
        )
        name, inside, shown, ring = about
        assert shown, f"{name} has the focus and cannot be seen"
        assert ring, f"{name} does not show that it has the focus"
        place = inside or name
        if not met or met[-1] != place:
            met.append(place)
        if place == "timeline":
            break
    assert met == ["skip", "bar", "filters", "grid", "timeline"]


def test_the_skip_link_leads_past_the_tools(page: Page) -> None:
    """Tab and Enter skip the tools; the next Tab is among filters and pictures."""
    seen(page)
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the pictures")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")


def test_tab_stays_in_an_open_picture(page: Page) -> None:
    """Tab stays within the dialog."""
    search(page, "a tabby cat")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("dialog#picture")).to_be_visible()
    for _ in range(30):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body || document.activeElement.closest('dialog') !== null"
        )


@pytest.mark.parametrize(("name", "part"), [("Format", "format="), ("Date", "from=")])
def test_a_filter_is_chosen_by_keyboard(page: Page, name: str, part: str) -> None:
    """Enter opens a filter, Space selects and keeps the focus, Escape closes it and focuses its button."""
    seen(page)
    button = page.get_by_role("button", name=re.compile(f"^{name}"))
    button.focus()
    page.keyboard.press("Enter")
    panel = page.get_by_role("group", name=name, exact=True)
    choice = panel.get_by_role("checkbox").first
    expect(choice).to_be_visible()
    page.keyboard.press("Tab")
    while page.evaluate("document.activeElement.type === 'date'"):  # several stops each: day, month, year, calendar
        page.keyboard.press("Tab")
    expect(choice).to_be_focused()
    page.keyboard.press("Space")
    expect(page).to_have_url(re.compile(part))
    expect(choice).to_be_checked()
    expect(choice).to_be_focused()
    page.keyboard.press("Space")
    expect(page).not_to_have_url(re.compile(part))
    expect(choice).not_to_be_checked()
    page.keyboard.press("Space")
    expect(page).to_have_url(re.compile(part))
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(button).to_be_focused()


def test_screen_readers_hear_what_was_found(page: Page) -> None:
    """Announced are the words, the likelihood and name of the best picture, or that there is no good match."""
    live = page.locator("#say")
    expect(live).to_have_attribute("aria-live", "polite")
    search(page, "a tabby cat")
    expect(live).to_contain_text(re.compile(r"a tabby cat.*chelsea"))
    search(page, "an elephant playing the piano under water")
    expect(live).to_contain_text("No good match")


def test_every_picture_has_a_name_and_its_place_among_the_others(page: Page) -> None:
    """A picture's name has file name and likelihood; its position and the number of pictures are set if known."""
    search(page, "a tabby cat")
    for number, tile in enumerate(tiles(page).all()[:5]):
        expect(tile.get_by_role("link")).to_have_accessible_name(
            re.compile(r"\.(jpg|png|webp), (Very likely|Likely|Maybe|Unlikely), ")
        )
        expect(tile).to_have_attribute("aria-posinset", str(number + 1))
        expect(tile).to_have_attribute("aria-setsize", re.compile(r"^(-1|\d+)$"))
