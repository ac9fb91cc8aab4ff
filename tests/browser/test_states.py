"""The page while loading, empty, offline, busy, failed or without a key."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.actions import box, far_down, give_key, search, searched, seen, tiles, wait_until, wheel
from tests.browser.conftest import Keyed, Quick, Visits


def refuse(status: int, detail: str, **headers: str) -> Callable[[Route], None]:
    """A route that answers with a problem."""

    def answer(route: Route) -> None:
        body = {"type": "urn:crosslook:problem:x", "title": "x", "status": status, "detail": detail}
        route.fulfill(status=status, json=body, headers=headers, content_type="application/problem+json")

    return answer


def test_an_empty_index_says_what_to_do(visits: Visits, quick: Quick, tmp_path: Path) -> None:
    """A button leads to the folders that can be indexed."""
    page = visits(quick(tmp_path).url).page
    expect(page.get_by_role("heading", name="No pictures yet")).to_be_visible()
    page.get_by_role("button", name="Index a folder").click()
    expect(page.get_by_role("heading", name="Indexing")).to_be_visible()
    expect(page.get_by_role("button", name="Index now")).to_be_visible()


def test_placeholder_tiles_are_shown_while_loading(visits: Visits, url: str) -> None:
    """While the first answer loads there are placeholder tiles, and the page is marked as busy."""
    page = visits("about:blank").page
    held: list[Route] = []
    page.route("**/v1/images?**", lambda route: held.append(route))  # noqa: PLW0108  Playwright takes no bound method of C
    page.goto(url)
    expect(page.locator("#grid .fake").first).to_be_visible()
    expect(page.locator("#results")).to_have_attribute("aria-busy", "true")
    page.wait_for_timeout(200)
    held[0].continue_()
    seen(page)
    expect(page.locator("#grid .fake")).to_have_count(0)
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")


@pytest.mark.troubled
def test_the_page_recovers_when_the_server_is_back(visits: Visits, url: str) -> None:
    """The shown page stays, and works again when the server is back."""
    page = visits(url).page
    seen(page)
    page.route("**/v1/**", lambda route: route.abort("connectionrefused"))
    box(page).fill("a tabby cat")
    expect(page.get_by_text(re.compile("does not answer")).first).to_be_visible()
    expect(tiles(page).first).to_be_visible()
    page.unroute("**/v1/**")
    expect(tiles(page).first.get_by_role("link")).to_have_accessible_name(re.compile("chelsea"))
    expect(page.get_by_text(re.compile("does not answer"))).to_be_hidden()


@pytest.mark.troubled
def test_a_first_visit_to_a_server_that_has_gone_waits_for_it(visits: Visits, url: str) -> None:
    """Without pictures the page shows a state, and keeps trying."""
    page = visits("about:blank").page
    page.route("**/v1/**", lambda route: route.abort("connectionrefused"))
    page.goto(url)
    expect(page.get_by_role("heading", name="crosslook does not answer")).to_be_visible()
    page.unroute("**/v1/**")
    seen(page)


@pytest.mark.troubled
def test_a_machine_that_is_offline_is_told_so(page: Page) -> None:
    """The notice goes when the machine is online again, and searches work."""
    seen(page)
    page.context.set_offline(offline=True)
    expect(page.get_by_text("This machine is offline")).to_be_visible()
    page.context.set_offline(offline=False)
    expect(page.get_by_text("This machine is offline")).to_be_hidden()
    search(page, "a tabby cat")


@pytest.mark.troubled
def test_a_busy_server_is_asked_again_after_retry_after(page: Page) -> None:
    """After a 503 with Retry-After the page says that it waits, and retries."""
    seen(page)
    times = 0
    held: list[Route] = []

    def busy_once(route: Route) -> None:
        nonlocal times
        times += "cursor" not in searched(route.request)
        if times == 1:
            refuse(503, "as many requests wait as may", **{"Retry-After": "1"})(route)
        else:
            held.append(route)

    page.route("**/v1/search", busy_once)
    box(page).fill("a tabby cat")
    expect(page.get_by_text("The server is busy")).to_be_visible()
    wait_until(page, lambda: held)
    for route in held:
        route.continue_()
    page.unroute("**/v1/search")
    expect(tiles(page).first.get_by_role("link")).to_have_accessible_name(re.compile("chelsea"))
    expect(page.get_by_text("The server is busy")).to_be_hidden()
    assert times == 2


@pytest.mark.troubled
@pytest.mark.parametrize(
    ("status", "detail"),
    [
        (503, "the index cannot be used now; the server's log tells more"),
        (500, "Internal error. Search the server log for this request id."),
    ],
)
def test_an_error_says_what_the_server_said_and_can_be_tried_again(
    visits: Visits, url: str, status: int, detail: str
) -> None:
    """Without pictures an error is shown in their place."""
    page = visits("about:blank").page
    page.route("**/v1/search", refuse(status, detail))
    page.goto(f"{url}/?q=a+tabby+cat")
    expect(page.get_by_text(detail)).to_be_visible()
    page.unroute("**/v1/search")
    page.get_by_role("button", name="Try again").click()
    expect(tiles(page).first.get_by_role("link")).to_have_accessible_name(re.compile("chelsea"))
    expect(page.get_by_text(detail)).to_be_hidden()


@pytest.mark.troubled
def test_an_incomplete_query_changes_only_the_summary(page: Page) -> None:
    """With a lone hyphen the pictures stay, and the reason is shown above them."""
    search(page, "a tabby cat")
    with page.expect_response(lambda r: r.url.endswith("/v1/search") and r.status == 422) as answered:
        box(page).fill("-cat")
    expect(page.locator("#summary")).to_have_text(answered.value.json()["detail"], ignore_case=True)
    expect(tiles(page).first).to_be_visible()


@pytest.mark.troubled
def test_an_error_is_cleared_when_returning_to_the_previous_query(page: Page) -> None:
    """After an incomplete query and a failure, returning to the previous query shows its summary and no notice."""
    search(page, "a tabby cat")
    told = page.locator("#summary").inner_text()
    with page.expect_response(lambda r: r.url.endswith("/v1/search") and r.status == 422):
        box(page).fill("-cat")
    expect(page.locator("#summary")).not_to_have_text(told)
    box(page).fill("a tabby cat")
    expect(page.locator("#summary")).to_have_text(told)
    page.route("**/v1/search", refuse(500, "Internal error. Search the server log for this request id."))
    box(page).fill("a tabby cat asleep")
    expect(page.get_by_text("Internal error.")).to_be_visible()
    box(page).fill("a tabby cat")
    expect(page.get_by_text("Internal error.")).to_be_hidden()
    expect(page.locator("#summary")).to_have_text(told)


@pytest.mark.troubled
def test_a_failed_next_page_is_retried_by_its_button(page: Page) -> None:
    """Scrolling does not retry; the button does, and the scroll position stays."""
    times = 0

    def fail(route: Route) -> None:
        nonlocal times
        if "cursor" in searched(route.request):
            times += 1
            refuse(500, "Internal error. Search the server log for this request id.")(route)
        else:
            route.continue_()

    page.route("**/v1/search", fail)
    search(page, "a photograph")
    for _ in range(10):
        wheel(page, 400)
    expect(page.get_by_text("Internal error.")).to_be_visible()
    assert times == 1
    at = page.evaluate("scrollY")
    page.unroute("**/v1/search")
    with page.expect_response(lambda response: "cursor" in searched(response.request) and response.ok):
        page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("Internal error.")).to_be_hidden()
    assert at > 0
    assert page.evaluate("scrollY") == at


@pytest.mark.troubled
@pytest.mark.parametrize("view", ["compare", "indexing"])
def test_a_view_that_failed_to_load_can_be_opened_later(page: Page, view: str) -> None:
    """The page says so, shows the pictures, and fetches it anew."""
    seen(page)
    page.route(f"**/static/{view}.js", lambda route: route.abort("connectionrefused"))
    button = page.locator(f"#open-{view}")
    button.click()
    expect(page.get_by_text("could not be loaded")).to_be_visible()
    expect(page.locator("#results")).to_be_visible()
    expect(button).to_have_attribute("aria-pressed", "false")
    page.unroute(f"**/static/{view}.js")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("button", name="Back to the pictures")).to_be_visible()
    page.get_by_role("button", name="Back to the pictures").click()
    button.click()
    expect(page.get_by_role("button", name="Back to the pictures")).to_be_visible()


def test_browsing_is_not_interrupted_when_indexing_ends(page: Page) -> None:
    """A notice offers the new pictures; without it nothing moves."""
    at = far_down(page)
    page.evaluate("document.getElementById('indexing').dispatchEvent(new Event('indexed'))")
    expect(page.get_by_text("The index has changed")).to_be_visible()
    assert page.evaluate("scrollY") == at
    with page.expect_response(lambda response: searched(response.request).get("text") == "a photograph"):
        page.get_by_role("button", name="Show").click()
    page.wait_for_function("() => scrollY === 0")
    expect(page.get_by_text("The index has changed")).to_be_hidden()


def test_filters_that_leave_nothing_can_be_taken_away(visits: Visits, url: str) -> None:
    """One button clears all filters."""
    page = visits(f"{url}/?format=JPEG&from=1990&to=1991").page
    expect(page.get_by_role("heading", name="No pictures match these filters")).to_be_visible()
    page.locator("#state").get_by_role("button", name="Clear filters").click()
    seen(page)


@pytest.mark.troubled
def test_a_server_with_keys_is_used_with_one(visits: Visits, keyed: Keyed) -> None:
    """The page asks for a key, refuses a wrong one, keeps it for the tab, and shows everything with it."""
    page = visits(keyed.url).page
    dialog = page.get_by_role("dialog", name="This server requires an API key")
    dialog.get_by_label("API key").fill("not a key")
    page.keyboard.press("Enter")
    expect(dialog.get_by_text("not valid")).to_be_visible()
    give_key(page, keyed.key)
    seen(page)
    assert tiles(page).first.locator("img").evaluate("image => image.src.startsWith('blob:')")
    search(page, "a tabby cat")
    page.reload()
    seen(page)
    expect(page.get_by_role("dialog")).to_be_hidden()
    tiles(page).first.get_by_role("link").click()
    expect(page.get_by_role("button", name=re.compile("^tabby: "))).to_be_visible()
    page.wait_for_function("() => document.querySelector('dialog#picture img').naturalWidth > 0")
    assert keyed.key not in page.url
    assert page.evaluate("localStorage.length") == 0


@pytest.mark.troubled
def test_a_dismissed_key_dialog_does_not_reopen_at_once(visits: Visits, keyed: Keyed) -> None:
    """Closing the dialog shows a state with a button that opens it again."""
    page = visits(keyed.url).page
    dialog = page.get_by_role("dialog", name="This server requires an API key")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.wait_for_timeout(700)
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Try again").click()
    expect(dialog).to_be_visible()
    give_key(page, keyed.key)
    seen(page)


@pytest.mark.troubled
def test_a_refusal_sent_before_the_key_does_not_reject_it(visits: Visits, keyed: Keyed) -> None:
    """A 401 that arrives after a key was entered is retried with it, without asking again."""
    page = visits("about:blank").page
    held: list[Route] = []

    def hold(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route("**/v1/stats", hold)
    page.goto(keyed.url)
    expect(page.get_by_role("dialog")).to_be_visible()
    wait_until(page, lambda: held)
    give_key(page, keyed.key)
    with page.expect_response(lambda response: "/v1/stats" in response.url and response.ok):
        held[0].continue_()
    seen(page)
    expect(page.get_by_role("dialog")).to_be_hidden()


@pytest.mark.troubled
def test_a_picture_whose_file_is_gone_is_shown_as_such(page: Page) -> None:
    """Its tile stays, so that no other moves."""
    seen(page)
    page.route(re.compile(r"/thumbnail"), lambda route: route.fulfill(status=404, body=""))
    search(page, "green grass")
    expect(page.locator(".tile.gone").first).to_be_visible(timeout=20_000)
