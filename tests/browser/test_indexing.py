"""Indexing from the page: folders, progress, failures, cancelling and errors."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from api.server.gate.keys import KeyStore
from indexer.ingest.rules import LeftOut, describe
from tests.browser.actions import give_key, listen, wait_until
from tests.browser.collection import make_copies
from tests.browser.conftest import Quick, QuickServer, Visits

FEW, MANY = 40, 1500
"""Pictures of a short job, and of one that the tests pause."""


UNREAD = ("mp4", "avi", "svg", "pdf", "ico", "tga", "exr", "eps")
"""Kinds of files that are not read, one more than are named with `.mov`."""


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is not indexed yet, with a broken file."""
    path = tmp_path_factory.mktemp("few") / "inbox"
    make_copies(path, FEW)
    return path


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that takes a while to index."""
    path = tmp_path_factory.mktemp("many") / "archive"
    make_copies(path, MANY)
    return path


@pytest.fixture
def long_job(quick: Quick, archive: Path) -> QuickServer:
    """A server whose first job stops after two batches, until it is released."""
    server = quick(archive)
    server.encoder.hold(after=2)
    return server


def panel(page: Page) -> Page:
    """Open the indexing panel with its button."""
    page.get_by_role("button", name="Index folders").click()
    expect(page.get_by_role("heading", name="Indexing")).to_be_focused()
    return page


def test_a_folder_is_indexed_with_progress_and_its_failures_are_listed(
    visits: Visits, quick: Quick, inbox: Path
) -> None:
    """Progress, counts, failures with their reasons, and at last the pictures are shown."""
    server = quick(inbox)
    server.encoder.hold(after=1)
    page = panel(visits(server.url).page)
    expect(page.get_by_role("checkbox", name=re.compile(r"^inbox\s*0 pictures$"))).to_be_checked()
    listen(page)
    page.get_by_role("button", name="Index now").click()
    bar = page.get_by_role("progressbar")
    expect(bar).to_be_visible()
    expect(page.get_by_role("button", name="Index now")).to_be_disabled()
    server.encoder.release()
    job = page.locator("#indexing li").first
    expect(job).to_contain_text("Done")
    expect(job).to_contain_text(f"{FEW + 1} files found: {FEW} new, 1 failed")
    expect(bar).to_be_hidden()
    assert job.evaluate("job => job.getBoundingClientRect().height") < 150, "a job is a few lines"
    job.get_by_text("1 file could not be indexed").click()
    row = job.get_by_role("row").nth(1)
    expect(row.get_by_role("cell").nth(0)).to_have_text("inbox/broken.jpg")
    expect(row.get_by_role("cell").nth(1)).not_to_be_empty()
    expect(page.get_by_role("checkbox", name=f"inbox {FEW} pictures")).to_be_visible()
    page.wait_for_function("() => window.heard.some((text) => text.startsWith('Indexing: done.'))")
    page.get_by_role("button", name="Back to the pictures").click()
    expect(page.locator("#grid img").first).to_be_visible()


def test_what_was_left_out_is_said_as_on_the_command_line(visits: Visits, quick: Quick, tmp_path: Path) -> None:
    """In one phrase, with the most frequent names."""
    folder = tmp_path / "holiday"
    make_copies(folder, 1)
    for name in ("a.mov", "b.MOV", "@eaDir/thumb.jpg", ".hidden.jpg", *(f"c.{kind}" for kind in UNREAD)):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    page = panel(visits(quick(folder).url).page)
    page.get_by_role("button", name="Index now").click()
    left_out = LeftOut(folders={"@eaDir": 1}, hidden=1, kinds={".mov": 2, **{f".{kind}": 1 for kind in UNREAD}})
    expect(page.locator("#indexing li").first).to_contain_text(f"Left out: {describe(left_out)}")


def test_a_job_shows_rate_and_time_left_and_can_be_cancelled(visits: Visits, long_job: QuickServer) -> None:
    """Cancelling keeps what is finished and indexes no more."""
    page = panel(visits(long_job.url).page)
    page.get_by_role("button", name="Index now").click()
    numbers = page.locator(".indexing-numbers")
    expect(numbers).to_contain_text(re.compile(r"[\d,]+ of 1,501 · [\d.]+ a second · .* left"))
    bar = page.get_by_role("progressbar")
    assert 0 < float(bar.evaluate("bar => bar.position")) < 1
    expect(bar).to_have_accessible_name("Reading and embedding pictures in archive")
    cancel = page.get_by_role("button", name="Cancel")
    expect(cancel).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Stopping after the current batch")).to_be_visible()
    long_job.encoder.release()
    job = page.locator("#indexing li").first
    expect(job).to_contain_text("Cancelled")
    found = re.search(r"([\d,]+) new", job.inner_text())
    assert found is None or int(found[1].replace(",", "")) < MANY
    kept = found[1] if found else "0"
    expect(page.get_by_role("checkbox", name=f"archive {kept} pictures")).to_be_visible()
    expect(page.get_by_role("button", name="Index now")).to_be_focused()


@pytest.mark.troubled
def test_a_job_that_runs_already_is_shown_and_not_begun_again(visits: Visits, long_job: QuickServer) -> None:
    """A second visitor watches the first one's job; closing the panel does not end it."""
    url = long_job.url
    first = panel(visits(url).page)
    second = panel(visits(url).page)
    expect(second.get_by_role("button", name="Index now")).to_be_enabled()
    first.get_by_role("button", name="Index now").click()
    expect(first.get_by_role("progressbar")).to_be_visible()
    second.get_by_role("button", name="Index now").click()
    expect(second.get_by_text("Indexing is already running")).to_be_visible()
    expect(second.get_by_role("progressbar")).to_be_visible()
    first.get_by_role("button", name="Back to the pictures").click()
    panel(first)
    expect(first.get_by_role("progressbar")).to_be_visible()
    second.get_by_role("button", name="Cancel").click()
    expect(second.get_by_text("Stopping after the current batch")).to_be_visible()
    long_job.encoder.release()
    expect(first.locator("#indexing li").first).to_contain_text("Cancelled")


def test_without_folders_the_page_says_how_to_name_some(visits: Visits, quick: Quick) -> None:
    """The page shows the command to type instead of a form."""
    page = panel(visits(quick().url).page)
    expect(page.get_by_text("crosslook serve --root ~/Pictures")).to_be_visible()
    expect(page.get_by_role("button", name="Index now")).to_be_hidden()


@pytest.mark.troubled
def test_a_key_that_may_only_read_is_told_what_is_missing(visits: Visits, quick: Quick, inbox: Path) -> None:
    """A read-only key sees folders and jobs, and the command that makes a key with more scopes."""
    server = quick(inbox, require_keys=True)
    secret = KeyStore(server.index).add("reader", ["read"])[1]
    page = visits(server.url).page
    give_key(page, secret)
    panel(page)
    page.get_by_role("button", name="Index now").click()
    expect(page.get_by_text("Your key can search but not index.")).to_be_visible()
    expect(page.get_by_text("crosslook keys add NAME --scope read --scope write")).to_be_visible()
    expect(page.get_by_role("button", name="Index now")).to_be_enabled()


@pytest.mark.troubled
def test_a_server_that_goes_away_is_told_and_looked_for_again(visits: Visits, long_job: QuickServer) -> None:
    """Without the server the panel keeps the last progress, shows an error, and continues when it is back."""
    visit = visits(long_job.url)
    page = panel(visit.page)
    page.get_by_role("button", name="Index now").click()
    expect(page.locator(".indexing-numbers")).to_contain_text("a second")
    page.context.set_offline(offline=True)
    trouble = page.locator("#indexing .view-notice")
    expect(trouble).to_contain_text("does not answer")
    expect(trouble.get_by_role("button", name="Try again")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_be_visible()
    page.context.set_offline(offline=False)
    expect(trouble).to_be_hidden()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Stopping after the current batch")).to_be_visible()
    long_job.encoder.release()
    expect(page.locator("#indexing li").first).to_contain_text("Cancelled")


@pytest.mark.troubled
@pytest.mark.parametrize("lost", ["**/v1/jobs/*", "**/v1/**"])
def test_the_end_of_a_job_is_not_missed(visits: Visits, quick: Quick, inbox: Path, lost: str) -> None:
    """The end is announced exactly once, whichever of the two requests notices it."""
    page = panel(visits(quick(inbox).url).page)
    page.evaluate("window.ends = 0; addEventListener('indexed', () => { ends += 1; })")
    page.route("**/v1/jobs/*", lambda route: route.abort())
    with page.expect_response("**/v1/index"):
        page.get_by_role("button", name="Index now").click()
    expect(page.locator("#indexing .view-notice")).to_contain_text("does not answer")
    address = f"{page.url.split('/?')[0]}/v1/jobs"
    wait_until(page, lambda: page.request.get(address).json()[0]["state"] == "done")
    page.route(lost, lambda route: route.abort())
    page.evaluate("dispatchEvent(new Event('online'))")
    if lost == "**/v1/**":
        page.wait_for_timeout(500)
        page.unroute_all()
    expect(page.locator("#indexing li").first).to_contain_text("Done")
    page.wait_for_timeout(1000)
    assert page.evaluate("ends") == 1
    page.get_by_role("button", name="Back to the pictures").click()
    expect(page.locator("#grid img").first).to_be_visible()
