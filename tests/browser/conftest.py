"""Chromium, and real servers over a real index of real photographs, made once for this folder of tests.

Without Chromium these tests are skipped, with the reason; where BROWSER_TESTS is `required`, as in CI, its
absence is a failure.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from encoders import load_encoder
from indexer import Catalog, add_model, index_paths
from tests.browser.collection import Collection, make_collection, make_second_model

ROOT = Path(__file__).parent.parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
LONG = 120.0  # seconds until a server has loaded its model, on a slow machine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.flaky(reruns=2))  # what is shown in time depends on who else uses the machine


@dataclass
class Served:
    """A running server."""

    url: str
    process: subprocess.Popen[str]

    def stop(self) -> None:
        """End it, as an administrator does."""
        self.process.terminate()
        self.process.wait(LONG)


@contextmanager
def serving(index: Path, *arguments: object, environment: Mapping[str, str] | None = None) -> Iterator[Served]:
    """`crosslook serve` over an index, ready to search."""
    command = [sys.executable, "-m", "api.cli", "serve", "--port", "0", "--index", str(index), *map(str, arguments)]
    log = index.parent / f"{index.name}-{time.monotonic_ns()}.log"
    with log.open("w", encoding="utf-8") as stderr:
        variables = os.environ | {"XDG_CACHE_HOME": str(index.parent / "cache")} | dict(environment or {})
        process = subprocess.Popen(command, cwd=ROOT, stderr=stderr, stdout=stderr, text=True, env=variables)
        try:
            yield Served(_ready(process, log), process)
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(LONG)


def _ready(process: subprocess.Popen[str], log: Path) -> str:
    """Where it is, once it can search."""
    until = time.monotonic() + LONG
    while time.monotonic() < until and process.poll() is None:
        found = re.search(r"at (http://\S+:\d+)", log.read_text(encoding="utf-8"))
        if found:
            try:
                with urlopen(f"{found[1]}/readyz", timeout=5):  # noqa: S310  http
                    return found[1]
            except OSError:
                pass
        time.sleep(0.1)
    pytest.fail(f"no server: {log.read_text(encoding='utf-8')}")


@pytest.fixture(scope="package")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """The photographs."""
    return make_collection(tmp_path_factory.mktemp("photographs") / "pictures")


@pytest.fixture(scope="package")
def index(collection: Collection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of them, by the base model and a second one."""
    path = tmp_path_factory.mktemp("index") / "index"
    second = make_second_model(tmp_path_factory.mktemp("model") / "second")
    with Catalog.open(path, create=True) as catalog:
        report = index_paths(catalog, load_encoder(), [collection.path])
        assert report.added == collection.images
        add_model(catalog, load_encoder(second))
    return path


@pytest.fixture(scope="package")
def served(index: Path, collection: Collection) -> Iterator[Served]:
    """A server over that index, which no test changes."""
    with serving(index, "--root", collection.path) as running:
        yield running


Start = Callable[..., Served]


@pytest.fixture
def start() -> Iterator[Start]:
    """Further servers, with settings of their own; they end with the test."""
    with ExitStack() as stack:
        yield lambda *arguments, **options: stack.enter_context(serving(*arguments, **options))


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium; ended when this folder's tests are done, for its event loop would hinder asyncio in others."""
    named = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if named is None:
        reason = "no Chromium: apt-get install chromium, or name one in CHROMIUM"
        if os.environ.get("BROWSER_TESTS") == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    expect.set_options(timeout=15_000)  # CI's machines have much to do
    sandbox = [] if os.geteuid() else ["--no-sandbox"]  # root's Chromium has none
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=named, args=sandbox)
        yield chromium
        chromium.close()


@dataclass
class Visit:
    """A page, and what it said and asked for meanwhile."""

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)

    def watch(self) -> None:
        """Listen from the start."""
        self.page.on("console", self._listen)
        self.page.on("pageerror", lambda error: self.said.append(f"uncaught: {error}"))
        self.page.on("request", lambda request: self.asked.append(request))  # noqa: PLW0108  takes no bound method of C

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.said.append(f"{message.type}: {message.text}")

    def elsewhere(self) -> list[str]:
        """What was asked of any other origin than the page's own."""
        own = re.match(r"https?://[^/]+", self.page.url)
        addresses = [request.url for request in self.asked]
        return [a for a in addresses if not a.startswith(("data:", "blob:", own[0] if own else "http"))]

    def faults(self, *, failed_loads: bool) -> list[str]:
        """Errors and warnings; Chromium also writes one for each answer of 400 and more."""
        return [said for said in self.said if not (failed_loads and "Failed to load resource" in said)]


Visits = Callable[..., Visit]


@pytest.fixture
def visits(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visits]:
    """Open pages as new visitors do. At the end none may have complained, or asked anything of another origin.

    A test whose requests are meant to fail is marked `troubled`.
    """
    opened: list[Visit] = []
    contexts: list[BrowserContext] = []

    def visit(url: str, **options: object) -> Visit:
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 800}} | options))  # type: ignore[arg-type]
        context.set_default_timeout(20_000)
        contexts.append(context)
        found = Visit(context.new_page())
        found.watch()
        opened.append(found)
        found.page.goto(url)
        return found

    yield visit
    troubled = request.node.get_closest_marker("troubled") is not None
    faults = [fault for found in opened for fault in found.faults(failed_loads=troubled)]
    elsewhere = [address for found in opened for address in found.elsewhere()]
    for context in contexts:
        context.close()
    assert not faults
    assert not elsewhere


@pytest.fixture
def page(visits: Visits, served: Served) -> Page:
    """The page of the server over the photographs, just opened, on a laptop."""
    return visits(served.url).page
