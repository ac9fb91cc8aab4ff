"""The comparison: one query, two rankings, and what moved between them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.actions import search, searched, seen, wheel
from tests.browser.conftest import Visits

QUERY = "a tabby cat"


@pytest.fixture
def compared(visits: Visits, url: str) -> Page:
    """A comparison, opened by its address."""
    page = visits(f"{url}/?view=compare&q={QUERY.replace(' ', '+')}").page
    expect(hits(page, "Left")).not_to_have_count(0)
    return page


def hits(page: Page, side: str) -> Locator:
    """The rows of one side."""
    return page.get_by_role("list", name=f"{side} answer").get_by_role("listitem")


def answer(page: Page, url: str, **query: object) -> list[dict[str, Any]]:
    """The server's answer to a search."""
    response = page.request.post(f"{url}/v1/search", data={"text": QUERY, "k": 100, "depth": 100} | query)
    found: list[dict[str, Any]] = response.json()["hits"]
    return found


def ids(rows: Locator) -> list[int]:
    """The pictures of one side, in order."""
    return [int(number) for number in rows.evaluate_all("rows => rows.map(row => row.dataset.id)")]


def test_the_same_query_stands_side_by_side_without_and_with_reranking(compared: Page, url: str) -> None:
    """Each side shows the server's own order; rank, arrow and line say what moved."""
    before, after = answer(compared, url, rerank=False), answer(compared, url, rerank=True)
    assert ids(hits(compared, "Left")) == [hit["image_id"] for hit in before[:20]]
    assert ids(hits(compared, "Right")) == [hit["image_id"] for hit in after[:20]]
    expect(compared.get_by_role("button", name="Without and with reranking")).to_have_attribute("aria-pressed", "true")
    rank = {hit["image_id"]: hit["rank"] for hit in before}
    moved = [hit for hit in after[:20] if rank.get(hit["image_id"]) not in (None, hit["rank"])]
    assert moved, "nothing moved: this query shows nothing"
    for hit in moved:
        arrow = "↑" if hit["rank"] < rank[hit["image_id"]] else "↓"
        row = hits(compared, "Right").nth(hit["rank"] - 1)
        expect(row).to_contain_text(f"{arrow} from {rank[hit['image_id']]}")
    expect(compared.get_by_role("status").filter(has_text="moved compared")).to_contain_text(
        re.compile(rf"^{sum(rank.get(h['image_id']) != h['rank'] for h in after[:20])} of the first 20")
    )


def test_a_line_joins_the_two_places_of_a_picture(compared: Page) -> None:
    """The line joins the middles of the picture's two rows."""
    left, right = ids(hits(compared, "Left")), ids(hits(compared, "Right"))
    both = next(number for number in left if number in right)
    line = compared.locator(f'.compare-lines [data-id="{both}"]')
    ends = line.evaluate(
        """path => [0, path.getTotalLength()].map(at => {
            const point = path.getPointAtLength(at).matrixTransform(path.getScreenCTM());
            return [point.x, point.y];
        })"""
    )
    for (x, y), rows, order in zip(ends, (hits(compared, "Left"), hits(compared, "Right")), (left, right), strict=True):
        box = rows.nth(order.index(both)).bounding_box()
        assert box is not None
        assert y == pytest.approx(box["y"] + box["height"] / 2, abs=3)
        assert min(abs(x - box["x"]), abs(x - box["x"] - box["width"])) < 3


def test_two_models_answer_side_by_side(compared: Page, url: str) -> None:
    """Each side shows its own model's answer, and they differ."""
    compared.get_by_role("button", name="Two models").click()
    expect(compared.get_by_label("Right", exact=True)).to_have_value('["second",true]')
    expect(compared.locator("#compare")).not_to_have_attribute("aria-busy", "true")
    first, second = answer(compared, url, model="crosslook-base"), answer(compared, url, model="second")
    expect(compared.locator(".compare-side.right .compare-hits li").first).to_have_attribute(
        "data-id", str(second[0]["image_id"])
    )
    assert ids(hits(compared, "Left")) == [hit["image_id"] for hit in first[:20]]
    assert ids(hits(compared, "Right")) == [hit["image_id"] for hit in second[:20]]
    assert ids(hits(compared, "Left")) != ids(hits(compared, "Right"))


def test_any_ranking_can_be_selected_on_either_side(compared: Page) -> None:
    """With the same choice on both sides nothing moves."""
    compared.get_by_label("Left", exact=True).select_option("Reranked, second")
    compared.get_by_label("Right", exact=True).select_option("Reranked, second")
    expect(compared.get_by_role("status").filter(has_text="moved compared")).to_contain_text("0 of the first 20")
    expect(compared.locator(".compare-lines .same")).to_have_count(20)
    expect(compared.get_by_role("button", name="Two models")).to_have_attribute("aria-pressed", "false")


def test_arrows_go_through_a_list_and_across_to_the_same_picture(compared: Page) -> None:
    """The focused picture is highlighted on both sides, with its line."""
    left, right = ids(hits(compared, "Left")), ids(hits(compared, "Right"))
    first = next(n for n, number in enumerate(left) if number in right)
    hits(compared, "Left").nth(first).get_by_role("button").focus()
    compared.keyboard.press("ArrowRight")
    there = hits(compared, "Right").nth(right.index(left[first]))
    expect(there.get_by_role("button")).to_be_focused()
    assert compared.locator(".lit").count() == 3
    compared.keyboard.press("ArrowLeft")
    compared.keyboard.press("ArrowDown")
    expect(hits(compared, "Left").nth(first + 1).get_by_role("button")).to_be_focused()


def test_a_picture_of_a_comparison_can_be_opened(compared: Page) -> None:
    """A picture opens its own page, and Escape returns to the comparison."""
    hits(compared, "Right").first.get_by_role("button").click()
    expect(compared.locator("dialog#picture")).to_be_visible()
    compared.keyboard.press("Escape")
    expect(compared.locator("dialog#picture")).to_be_hidden()
    expect(hits(compared, "Right").first).to_be_visible()


def test_scrolling_a_comparison_asks_for_no_more_pictures(visits: Visits, url: str) -> None:
    """The hidden grid asks for nothing, and is complete when it is shown again."""
    visit = visits(url, viewport={"width": 1280, "height": 400})
    page = visit.page
    assert search(page, QUERY)["next_cursor"]
    page.get_by_role("button", name="Compare orders and models").click()
    expect(hits(page, "Right")).to_have_count(20)
    for _ in range(8):
        wheel(page, 200)
    assert page.evaluate("scrollY") > 0
    assert not [request for request in visit.requests if "cursor" in searched(request)]
    page.get_by_role("button", name="Back to the pictures").click()
    seen(page)


def test_typing_updates_both_rankings(compared: Page) -> None:
    """The address holds the new query, and a reload shows the same comparison."""
    before = ids(hits(compared, "Right"))
    compared.get_by_role("textbox", name="Describe a picture").fill("a cup of coffee")
    expect(compared.get_by_role("heading", name="Compare: “a cup of coffee”")).to_be_visible()
    expect(compared).to_have_url(re.compile(r"view=compare"))
    expect(compared).to_have_url(re.compile(r"q=a(\+|%20)cup(\+|%20)of(\+|%20)coffee"))
    expect(compared.locator("#compare")).not_to_have_attribute("aria-busy", "true")
    expect(compared.get_by_text("Searching …")).to_be_hidden()
    assert ids(hits(compared, "Right")) != before
    compared.reload()
    expect(compared.get_by_role("heading", name="Compare: “a cup of coffee”")).to_be_visible()
    expect(hits(compared, "Right")).to_have_count(20)


def test_without_a_query_it_asks_for_one(visits: Visits, url: str) -> None:
    """Without a query the page asks for one instead of showing empty columns."""
    page = visits(url).page
    page.get_by_role("button", name="Compare orders and models").click()
    expect(page.get_by_text("Type what to look for")).to_be_visible()


@pytest.mark.troubled
def test_a_comparison_that_fails_says_why_and_can_be_tried_again(visits: Visits, url: str) -> None:
    """The server's message is shown, with a button to try again."""
    page = visits(url).page
    detail = '{"type": "x", "title": "x", "status": 422, "detail": "This sentence is too long"}'

    def refuse(route: Route) -> None:
        route.fulfill(status=422, body=detail, content_type="application/problem+json")

    page.route("**/v1/search", refuse)
    page.goto(f"{url}/?view=compare&q=dogs")
    trouble = page.locator("#compare .view-notice")
    expect(trouble).to_contain_text("This sentence is too long")
    page.unroute("**/v1/search")
    trouble.get_by_role("button", name="Try again").click()
    expect(hits(page, "Right")).to_have_count(20)
    expect(trouble).to_be_hidden()


def test_both_sides_fit_on_a_phone(visits: Visits, url: str) -> None:
    """Both lists fit side by side on a phone."""
    page = visits(f"{url}/?view=compare&q=a+cat", viewport={"width": 360, "height": 740}).page
    expect(hits(page, "Right")).to_have_count(20)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for side in ("Left", "Right"):
        box = hits(page, side).first.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360
