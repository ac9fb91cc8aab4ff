"""The page below a path of a site, behind a proxy."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import Response
from playwright.sync_api import expect

from tests.api.server.conftest import listening
from tests.browser.actions import box, open_first, tiles
from tests.browser.collection import make_copies
from tests.browser.conftest import Quick, Visits

FEW = 6
PREFIX = "/my/photos"
NOT_FORWARDED = {"content-length", "content-encoding", "transfer-encoding", "connection"}

Proxy = Callable[..., str]


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """Start a proxy for `PREFIX` in front of a server, which removes the path or not; returns its URL."""
    with ExitStack() as stack:

        def start(server: str, *, removes: bool) -> str:
            app = FastAPI(openapi_url=None)

            @app.api_route(f"{PREFIX}{{rest:path}}", methods=["GET", "POST", "DELETE"])
            async def forward(request: Request, rest: str) -> Response:
                address = f"{server}{rest if removes else PREFIX + rest}"
                async with httpx2.AsyncClient() as client:
                    answer = await client.request(
                        request.method,
                        f"{address}?{request.url.query}",
                        content=await request.body(),
                        headers=request.headers.raw,
                    )
                kept = {name: value for name, value in answer.headers.items() if name.lower() not in NOT_FORWARDED}
                return Response(answer.content, answer.status_code, kept)

            running = listening(app)
            stack.enter_context(running)
            return f"http://127.0.0.1:{running.port}"

        yield start


@pytest.mark.parametrize("removes", [False, True], ids=["kept", "removed"])
def test_the_whole_page_works_below_a_path(
    visits: Visits, quick: Quick, proxy: Proxy, tmp_path: Path, *, removes: bool
) -> None:
    """Files, pictures, indexing, searching, views, links and reloading stay below it."""
    folder = tmp_path / "inbox"
    make_copies(folder, FEW)
    site = proxy(quick(folder, root_path=PREFIX).url, removes=removes)
    visit = visits(f"{site}{PREFIX}/")
    page = visit.page
    page.get_by_role("button", name="Index folders").click()
    page.get_by_role("button", name="Index now").click()
    expect(page.locator("#indexing li").first).to_contain_text("Done")
    page.get_by_role("link", name="crosslook: all pictures").click()
    expect(tiles(page).first).to_be_visible()  # the others may be folded as near-duplicates
    box(page).fill("a red thing")
    expect(page).to_have_url(re.compile(rf"{PREFIX}/\?q=a\+red\+thing$"))
    expect(tiles(page).first.locator(".caption")).to_contain_text("%")
    dialog = open_first(page)
    expect(dialog.get_by_role("img").first).to_have_js_property("complete", True)  # noqa: FBT003  Playwright's signature
    page.reload()
    expect(page.locator("dialog#picture")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Compare orders and models").click()
    expect(page.get_by_role("heading", name=re.compile("Compar")).first).to_be_visible()
    page.go_back()
    visit.wait_until_quiet()
    addresses = [request.url for request in visit.requests if not request.url.startswith(("blob:", "data:"))]
    assert {urlsplit(address).path.startswith(f"{PREFIX}/") for address in addresses} == {True}
    assert any(address.endswith("/v1/search") for address in addresses)


@pytest.mark.parametrize("removes", [False, True], ids=["kept", "removed"])
def test_a_proxy_that_removes_the_path_needs_no_setting(
    visits: Visits, quick: Quick, proxy: Proxy, tmp_path: Path, *, removes: bool
) -> None:
    """The page's addresses are relative; with the setting, the path without its slash leads to the page, too."""
    root_path = "" if removes else PREFIX
    site = proxy(quick(tmp_path, root_path=root_path).url, removes=removes)
    page = visits(f"{site}{PREFIX}{'/' if removes else ''}").page
    expect(page.get_by_text("No pictures yet")).to_be_visible()
    assert urlsplit(page.url).path == f"{PREFIX}/"
