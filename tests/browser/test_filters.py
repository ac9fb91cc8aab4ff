"""Filters with counts, the timeline, and near-duplicates that are folded together."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.actions import (
    animations_over,
    asks,
    drawn,
    frames,
    ids,
    near_duplicates_known,
    search,
    seen,
    tiles,
    wait_until,
)
from tests.browser.collection import FOLDERS, RESIZED, SHAPES, YEARS, Collection
from tests.browser.conftest import Visits

FIELDS = {"Folder": "folders", "Camera": "cameras", "Format": "formats", "Shape": "orientations"}


def choices(page: Page, name: str) -> Locator:
    """Open a filter and return its rows."""
    page.get_by_role("button", name=re.compile(f"^{name}")).click()
    panel = page.get_by_role("group", name=name, exact=True)
    expect(panel.get_by_role("listitem").first).to_be_visible()
    return panel.get_by_role("listitem")


def counted(rows: Locator) -> Counter[str | None]:
    """A filter's counts by value."""
    lines = rows.evaluate_all(
        "rows => rows.map(row => [...row.querySelectorAll('span')].map(span => span.textContent))"
    )
    return Counter({None if value in ("Not known", "Without a date") else value: int(n) for value, n in lines})


def results(page: Page, count: int) -> None:
    """Expect the summary to show this many pictures."""
    expect(page.locator("#summary")).to_contain_text(re.compile(rf"\b{count}\b"))


@pytest.mark.parametrize("name", FIELDS)
def test_a_filter_counts_what_it_would_leave(page: Page, collection: Collection, name: str) -> None:
    """The counts are those of the collection."""
    found = counted(choices(page, name))
    expected: Counter[str | None] = Counter(getattr(collection, FIELDS[name]))
    assert found == expected


@pytest.mark.parametrize(("name", "value"), [("Folder", "space"), ("Camera", "Canon EOS 5D"), ("Format", "WEBP")])
def test_a_filter_leaves_what_it_counted(page: Page, collection: Collection, name: str, value: str) -> None:
    """Choosing a value shows as many pictures as it counted, all with that value, and the address holds it."""
    expected = getattr(collection, FIELDS[name])[value]
    choices(page, name).filter(has_text=value).get_by_role("checkbox").check()
    results(page, expected)
    expect(page).to_have_url(re.compile(f"{'orientation' if name == 'Shape' else name.lower()}="))
    for number in ids(page)[:6]:
        document = page.request.get(f"/v1/images/{number}".join([page.url.split("/?")[0], ""])).json()
        text = {"Folder": document["folder"], "Camera": document["camera"], "Format": document["format"]}[name]
        assert value in text
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Clear filters").click()
    results(page, collection.images)


@pytest.mark.parametrize("shape", SHAPES)
def test_orientation_filters_match_the_proportions(page: Page, collection: Collection, shape: str) -> None:
    """Landscape is wider than high, portrait higher than wide."""
    choices(page, "Shape").filter(has_text=shape).get_by_role("checkbox").check()
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(f"orientation={shape}"))
    results(page, collection.orientations[shape])
    seen(page)
    ratios = tiles(page).evaluate_all("tiles => tiles.map(({offsetWidth: w, offsetHeight: h}) => w / h)")
    for ratio in ratios:
        assert {"landscape": ratio > 1.005, "portrait": ratio < 0.995, "square": 0.97 < ratio < 1.03}[shape]


def test_years_are_counted_and_chosen(page: Page, collection: Collection) -> None:
    """Years are counted, and so are pictures without a date."""
    rows = choices(page, "Date")
    assert counted(rows) == Counter(collection.years)
    rows.filter(has_text=str(YEARS[1])).get_by_role("checkbox").check()
    results(page, collection.years[str(YEARS[1])])
    expect(page).to_have_url(re.compile(rf"from={YEARS[1]}&to={YEARS[1]}"))


def test_an_unfinished_date_says_what_is_missing(page: Page) -> None:
    """The filter holds no half of a date, and the page says so beside the field until the date is whole or empty."""
    choices(page, "Date")
    start, note = page.get_by_label("From"), page.locator("#date-note")
    start.press("2")  # one part of three
    expect(note).to_have_text("")
    page.get_by_label("To", exact=True).focus()
    expect(note).to_have_text("A date needs day, month and year.")
    expect(start).to_have_accessible_description("A date needs day, month and year.")
    assert "from=" not in page.url
    start.fill("2020-01-02")
    expect(page).to_have_url(re.compile("from=2020-01-02"))
    expect(note).to_have_text("")


def test_dates_in_the_wrong_order_say_so(page: Page) -> None:
    """No picture can match them, which need not be the filters' fault otherwise."""
    choices(page, "Date")
    page.get_by_label("From").fill("2021-05-04")
    page.get_by_label("To", exact=True).fill("2021-05-03")
    note = page.locator("#date-note")
    expect(note).to_have_text("From is after To, so no picture matches.")
    expect(note).to_be_visible()
    page.get_by_label("To", exact=True).fill("2021-05-04")
    expect(note).to_have_text("")


def test_filters_hold_together_and_each_counts_under_the_others(page: Page, collection: Collection) -> None:
    """A filter counts only what the others leave; several values of one filter can be chosen."""
    rows = choices(page, "Format")
    rows.filter(has_text="WEBP").get_by_role("checkbox").check()
    rows.filter(has_text="PNG").get_by_role("checkbox").check()
    results(page, collection.formats["WEBP"] + collection.formats["PNG"])
    page.keyboard.press("Escape")
    found = counted(choices(page, "Folder"))
    assert found["copies"] < collection.folders["copies"]
    assert sum(found.values()) < sum(collection.folders.values())


def test_a_search_keeps_to_the_filters(page: Page) -> None:
    """A search returns only pictures that match the filters."""
    choices(page, "Folder").filter(has_text="space").get_by_role("checkbox").check()
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile("folder="))
    answer = search(page, "a tabby cat")
    assert answer["hits"]
    assert all("/space/" in hit["path"] for hit in answer["hits"])


def timeline(page: Page) -> Locator:
    """The timeline's bars, once drawn."""
    bars = page.get_by_role("toolbar", name=re.compile("Pictures by time")).get_by_role("button")
    expect(bars.first).to_be_visible()
    animations_over(page)  # it rises from the edge of the window
    return bars


def test_the_timeline_shows_each_month_and_leads_to_it(page: Page, collection: Collection) -> None:
    """There is a bar for each month; pressing one shows the pictures of that month."""
    bars = timeline(page)
    names = [name for name in bars.evaluate_all("bars => bars.map(bar => bar.ariaLabel)") if ", 0 " not in name]
    assert sum(int(name.split(", ", 1)[1].split()[0]) for name in names) == sum(
        count for year, count in collection.years.items() if year
    )
    chosen = names[len(names) // 2]
    number = int(chosen.split(", ", 1)[1].split()[0])
    page.get_by_role("button", name=chosen).focus()
    page.keyboard.press("Enter")
    results(page, number)
    expect(page).to_have_url(re.compile(r"from=20\d\d-\d\d"))


def test_a_long_time_without_pictures_is_one_bar(page: Page, collection: Collection) -> None:
    """One old scan does not squeeze the years that have pictures."""

    def with_a_scan(route: Route) -> None:
        document = route.fetch().json()
        document["months"].append({"value": "1931-05", "count": 1})
        document["years"].append({"value": "1931", "count": 1})
        route.fulfill(json=document)

    before = timeline(page).count()
    page.route("**/v1/facets*", with_a_scan)
    page.reload()
    names = timeline(page).evaluate_all("bars => bars.map(bar => bar.ariaLabel)")
    assert len(names) == before + 2
    assert names[0].startswith("May 1931")
    assert names[1].startswith(f"June 1931 to December {min(map(int, filter(None, collection.years))) - 1}")


def test_the_timeline_takes_a_span_by_dragging(page: Page) -> None:
    """Dragging selects from one month to another, both included."""
    bars = timeline(page)
    first, last = bars.nth(3).bounding_box(), bars.nth(9).bounding_box()
    assert first is not None
    assert last is not None
    page.mouse.move(first["x"] + first["width"] / 2, first["y"] + first["height"] / 2)
    page.mouse.down()
    page.mouse.move(last["x"] + last["width"] / 2, last["y"] + last["height"] / 2, steps=8)
    page.mouse.up()
    names = bars.evaluate_all("bars => bars.slice(3, 10).map(bar => bar.ariaLabel)")
    results(page, sum(int(name.split(", ", 1)[1].split()[0]) for name in names))


def test_the_timeline_is_walked_with_arrows(page: Page) -> None:
    """The timeline is one tab stop; arrows move within it."""
    bars = timeline(page)
    assert bars.evaluate_all("bars => bars.filter(bar => bar.tabIndex === 0).length") == 1
    place = "Number(document.activeElement.dataset.place)"
    page.locator(".bars [tabindex='0']").focus()
    at = page.evaluate(place)
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(place) < at
    assert page.evaluate("!document.activeElement.disabled")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(place) == at
    assert bars.evaluate_all("bars => bars.filter(bar => bar.tabIndex === 0).length") == 1


def dated(page: Page) -> int:
    """The number of pictures in all bars."""
    names = timeline(page).evaluate_all("bars => bars.map(bar => bar.ariaLabel)")
    return sum(int(name.split(", ", 1)[1].split()[0].replace(",", "")) for name in names)


def late_counts(page: Page) -> list[Route]:
    """Hold back all counts for the filter WEBP, the timeline's too, until the test releases them."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        if "WEBP" in route.request.url and "PNG" not in route.request.url:
            held.append(route)
        else:
            route.continue_()

    page.route("**/v1/facets?**", hold)
    return held


def both(page: Page, held: list[Route]) -> None:
    """Wait until the summary and the timeline have both requested counts."""
    wait_until(page, lambda: len(held) == 2)


def let_go(page: Page, held: list[Route]) -> None:
    """Release the counts, and wait until the page has handled them."""
    for route in held:
        with page.expect_response("**/v1/facets?**") as late:
            route.continue_()
        late.value.finished()
    frames(page, 10)


def test_counts_that_come_late_do_not_take_the_place_of_later_ones(page: Page) -> None:
    """The bars always show the filters chosen last."""
    timeline(page)
    held = late_counts(page)
    rows = choices(page, "Format")
    rows.filter(has_text="WEBP").get_by_role("checkbox").check()
    expect(page).to_have_url(re.compile("format=WEBP"))
    both(page, held)
    with page.expect_response(lambda r: "/v1/facets?" in r.url and "PNG" in r.url) as counted_last:
        rows.filter(has_text="PNG").get_by_role("checkbox").check()
    months = counted_last.value.json()["months"]
    expected = sum(month["count"] for month in months if month["value"] is not None)
    wait_until(page, lambda: dated(page) == expected)
    let_go(page, held)
    assert dated(page) == expected


def test_counts_that_come_late_do_not_lay_the_timeline_over_another_view(page: Page) -> None:
    """The timeline, hidden meanwhile, stays hidden."""
    timeline(page)
    held = late_counts(page)
    choices(page, "Format").filter(has_text="WEBP").get_by_role("checkbox").check()
    expect(page).to_have_url(re.compile("format=WEBP"))
    both(page, held)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Index folders").click()
    expect(page.get_by_role("heading", name="Indexing")).to_be_visible()
    let_go(page, held)
    expect(page.locator("#timeline")).to_be_hidden()


@pytest.mark.parametrize("name", RESIZED)
def test_near_duplicates_are_folded_and_unfold(visits: Visits, url: str, name: str) -> None:
    """One picture represents its group, shows the number of copies, and unfolds them below its row."""
    page = visits("about:blank").page
    groups = page.request.get(f"{url}/v1/duplicates").json()["groups"]
    stem = name.split(".", maxsplit=1)[0]
    with near_duplicates_known(page):
        page.goto(f"{url}/?q={stem}")
    group = next(g for g in groups if any(f"/{stem}_small.jpg" in file["path"] for file in g["files"]))
    assert len(group["image_ids"]) >= 2
    seen(page)
    assert sum(number in group["image_ids"] for number in ids(page)) <= 1
    leader = next(number for number in ids(page) if number in group["image_ids"])
    tile = page.locator(f'.tile[data-id="{leader}"]')
    badge = tile.get_by_role("button", name=re.compile(rf"{len(group['image_ids']) - 1} near-duplicates? of"))
    expect(badge).to_have_attribute("aria-expanded", "false")
    badge.click()
    expect(badge).to_have_attribute("aria-expanded", "true")
    copies = page.locator(".tile.copy")
    expect(copies).to_have_count(len(group["image_ids"]) - 1)
    above, below = tile.bounding_box(), copies.first.bounding_box()
    assert above is not None
    assert below is not None
    assert below["y"] >= above["y"] + above["height"]
    badge.click()
    expect(copies).to_have_count(0)


def test_near_duplicates_outside_the_filters_are_not_counted(page: Page) -> None:
    """With a folder filter, copies in other folders do not count; with both folders they do."""
    stem = "chelsea"
    assert f"{stem}.png" in FOLDERS["animals"]
    groups = page.request.get(f"{page.url}v1/duplicates").json()["groups"]
    group = next(g for g in groups if any(f"/{stem}_small.jpg" in file["path"] for file in g["files"]))
    folders = {file["path"].rsplit("/", 2)[1] for file in group["files"]}
    assert folders == {"animals", "copies"}
    search(page, stem)
    badge = page.get_by_role("button", name=re.compile(f"^1 near-duplicate of {stem}"))
    expect(badge).to_have_count(1)
    rows = choices(page, "Folder")
    with page.expect_response(lambda response: asks(response, stem)):
        rows.filter(has_text="animals").get_by_role("checkbox").check()
    drawn(page)
    expect(badge).to_have_count(0)
    expect(tiles(page).first).to_be_visible()
    with page.expect_response(lambda response: asks(response, stem)):
        rows.filter(has_text="copies").get_by_role("checkbox").check()
    expect(badge).to_have_count(1)
