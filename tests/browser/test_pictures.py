"""A picture's page: why it matched, both ranks, the probability in words, and further searches."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.actions import frames, open_first, search, seen, tiles
from tests.browser.conftest import Visits

STATEMENTS = ((0.8, "Very likely"), (0.5, "Likely"), (0.05, "Maybe"), (0, "Unlikely"))


def lit(dialog: Locator) -> list[float]:
    """The mean opacity of the heat map in a grid of 6 by 6, row by row, once it is still."""
    script = """canvas => {
        const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", {willReadFrequently: true});
        copy.drawImage(canvas, 0, 0);
        const {data} = copy.getImageData(0, 0, canvas.width, canvas.height);
        const sums = new Array(36).fill(0), side = canvas.width / 6;
        for (let at = 0; at < canvas.width * canvas.height; at++) {
            const x = Math.floor(at % canvas.width / side), y = Math.floor(Math.floor(at / canvas.width) / side);
            sums[6 * y + x] += data[4 * at + 3] / side / side;
        }
        return sums;
    }"""
    canvas = dialog.locator("canvas")
    before: list[float] = canvas.evaluate(script)
    while True:
        frames(dialog.page, 4)
        now: list[float] = canvas.evaluate(script)
        if now == before:
            return now
        before = now


def share(grid: list[list[float]], part: tuple[int, int]) -> float:
    """The share of a word's attention in one of 3 by 3 parts of a picture."""
    rows, columns = len(grid), len(grid[0])
    inside = [
        value for r, row in enumerate(grid) for c, value in enumerate(row) if (3 * r // rows, 3 * c // columns) == part
    ]
    return sum(inside)


@pytest.fixture
def opened(page: Page) -> tuple[Locator, dict[str, Any]]:
    """The page of the best picture of a coffee cup, and the search answer."""
    answer = search(page, "a cup of coffee on a wooden table")
    return open_first(page), answer


@pytest.mark.parametrize("how", ["hover", "focus"])
def test_a_word_lights_up_the_regions_that_it_attended_to(opened: tuple[Locator, dict[str, Any]], how: str) -> None:
    """By pointer and keyboard, a word lights up where its weights are; another word looks different."""
    dialog, answer = opened
    hit = answer["hits"][0]
    explained = dialog.page.request.post(
        f"{dialog.page.url.split('/?')[0]}/v1/explain", data={"image_id": hit["image_id"], "text": answer["query"]}
    ).json()
    words = dialog.get_by_role("region", name="Why this one").locator(".words").get_by_role("button")
    expect(words).to_have_count(len(explained["words"]))
    nothing = lit(dialog)
    assert max(nothing) == 0
    maps: dict[str, list[float]] = {}
    for place, word in enumerate(explained["words"]):
        if word not in ("coffee", "table"):
            continue
        expect(words.nth(place)).to_have_text(word)
        words.nth(place).hover() if how == "hover" else words.nth(place).focus()
        maps[word] = dark = lit(dialog)
        assert dark != nothing
        parts = [(r, c) for r in range(3) for c in range(3)]
        weights = [share(explained["weights"][place], part) for part in parts]
        darkness = [sum(dark[6 * (2 * r + y) + 2 * c + x] for y in (0, 1) for x in (0, 1)) for r, c in parts]
        assert darkness[weights.index(max(weights))] < darkness[weights.index(min(weights))]
    assert maps["coffee"] != maps["table"]
    if how == "hover":
        dialog.get_by_role("heading").first.hover()
    else:
        dialog.get_by_role("button", name="Close", exact=True).focus()
    assert max(lit(dialog)) < 1


def test_each_word_says_where_it_was_seen(opened: tuple[Locator, dict[str, Any]]) -> None:
    """Each word's accessible name says where the model looked."""
    dialog, _ = opened
    word = dialog.get_by_role(
        "button", name=re.compile(r"^coffee: (the centre|(upper|middle|lower) (left|centre|right))$")
    )
    expect(word).to_be_visible()


def test_a_word_that_the_picture_does_not_show_says_so(page: Page, url: str) -> None:
    """It is struck through, and lights up nothing."""
    page.goto(f"{url}/?q=a+cat+and+an+elephant&picture=1")
    dialog = page.locator("dialog#picture")
    absent = dialog.get_by_role("button", name="elephant: probably not in this picture")
    expect(absent).to_be_visible()
    absent.hover()
    assert max(lit(dialog)) == 0
    cat = dialog.get_by_role("button", name=re.compile(r"^cat: (the centre|upper|middle|lower)"))
    cat.hover()
    assert max(lit(dialog)) > 0


def test_the_match_is_stated_in_words_with_the_number_behind_them(opened: tuple[Locator, dict[str, Any]]) -> None:
    """The statement follows from the server's probability."""
    dialog, answer = opened
    probability = answer["hits"][0]["match_probability"]
    statement = dialog.locator(".statement")
    expect(statement).to_contain_text(next(words for least, words in STATEMENTS if probability >= least))
    number = f"{100 * probability:.1f}" if probability < 0.1 else f"{100 * probability:.0f}"
    expect(statement).to_contain_text(f"{number} %")


def test_both_ranks_stand_side_by_side(page: Page) -> None:
    """A picture moved by reranking shows both its ranks."""
    answer = search(page, "a tabby cat")
    hit = next(h for h in answer["hits"] if h["retrieval_rank"] != h["rank"] and h["rank"] < 20)
    page.goto(f"{page.url}&picture={hit['image_id']}")
    dialog = page.locator("dialog#picture")
    pair = dialog.locator(".ranks > div")
    expect(pair.nth(0)).to_contain_text(f"#{hit['retrieval_rank']}")
    expect(pair.nth(1)).to_contain_text(f"#{hit['rank']}")
    left, right = pair.nth(0).bounding_box(), pair.nth(1).bounding_box()
    assert left is not None
    assert right is not None
    assert left["y"] == pytest.approx(right["y"], abs=left["height"] / 2)
    assert left["x"] < right["x"]


def test_no_good_match_is_said_with_the_nearest_pictures_below(page: Page) -> None:
    """A sentence that no photograph shows gets a heading above the nearest pictures."""
    for words in ("an elephant", "an elephant playing the piano under water"):
        answer = search(page, words)
        assert answer["hits"][0]["match_probability"] < 0.05
        expect(page.get_by_role("heading", name=re.compile("No good match for"))).to_be_visible()
    seen(page)
    verdict, first = page.locator("#verdict").bounding_box(), tiles(page).first.bounding_box()
    assert verdict is not None
    assert first is not None
    assert verdict["y"] + verdict["height"] <= first["y"]
    search(page, "a tabby cat")
    expect(page.get_by_role("heading", name=re.compile("No good match for"))).to_be_hidden()


def test_a_shared_picture_opens_by_itself(visits: Visits, url: str) -> None:
    """The address alone opens the picture; Escape leads to the grid."""
    page = visits(f"{url}/?picture=1").page
    dialog = page.locator("dialog#picture")
    expect(dialog.get_by_role("heading").first).to_contain_text(re.compile(r"\.(jpg|png|webp)$"))
    expect(dialog.locator("img").first).to_have_js_property("complete", value=True)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(tiles(page).first).to_be_visible()


def test_more_like_this_leads_on(page: Page) -> None:
    """It shows captions and similar pictures, without the picture itself."""
    search(page, "a tabby cat")
    dialog = open_first(page)
    number = int(page.url.rsplit("picture=", maxsplit=1)[1])
    dialog.get_by_role("button", name="More like this").click()
    expect(page).to_have_url(re.compile(f"like={number}"))
    expect(page.get_by_role("heading", name="Pictures like this one")).to_be_visible()
    alike = page.request.get(f"{page.url.split('/?')[0]}/v1/images/{number}/similar?k=1").json()["hits"][0]
    expect(tiles(page).first).to_have_attribute("data-id", str(alike["image_id"]))
    again = open_first(page)
    expect(again.locator(".ranks")).to_contain_text(f"#1cosine {alike['retrieval_score']:.3f}")
    expect(again.get_by_text("Reranked")).to_have_count(0)  # without words there is nothing to rerank by


def test_a_picture_page_shows_its_metadata(page: Page, url: str) -> None:
    """Camera, format, folder, size, and captions with their probability."""
    known = page.request.get(f"{url}/v1/images/1").json()
    page.goto(f"{url}/?picture=1")
    details = page.locator("dialog#picture .details")
    for text in (known["format"], known["folder"], str(known["width"]), known["camera"] or "Format"):
        expect(details).to_contain_text(text)
    fitting = page.request.post(f"{url}/v1/captions", multipart={"image_id": 1, "k": 4}).json()["hits"]
    assert fitting
    expect(page.get_by_role("region", name="In words").get_by_role("listitem")).to_have_count(len(fitting))
