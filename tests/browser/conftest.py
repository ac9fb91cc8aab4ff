"""Chromium, and servers for it: two real ones over photographs, started once, and quick ones with a fake model.

The real ones stay until the end: in two processes files of other folders come between those of this one.

Without Chromium these tests are skipped, with the reason; where BROWSER_TESTS is `required`, as in CI, its absence is
a failure.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from api.server import Settings, create_app
from api.server.gate.keys import KeyStore
from encoders import load_encoder
from encoders.features import ImageFeatures, Pixels
from indexer import Catalog, add_model, index_paths
from search import SearchEngine
from tests.api.conftest import BANK
from tests.api.server.conftest import listening
from tests.browser.actions import frames, near_duplicates_known, wait_until
from tests.browser.collection import Collection, make_collection, make_second_model
from tests.fakes import FakeEncoder

ROOT = Path(__file__).parent.parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
START_SECONDS = 120.0  # until a server has loaded its model, on a slow machine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@contextmanager
def serving(index: Path, *arguments: object, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run `crosslook serve` over an index; yields its URL once it can search."""
    command = [sys.executable, "-m", "api.cli", "serve", "--port", "0", "--index", str(index), *map(str, arguments)]
    log = index.parent / f"{index.name}-{time.monotonic_ns()}.log"
    with log.open("w", encoding="utf-8") as stderr:
        variables = os.environ | {"XDG_CACHE_HOME": str(index.parent / "cache")} | dict(environment or {})
        process = subprocess.Popen(command, cwd=ROOT, stderr=stderr, stdout=stderr, text=True, env=variables)
        try:
            yield _ready(process, log)
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(START_SECONDS)


def _ready(process: subprocess.Popen[str], log: Path) -> str:
    """Wait until the server can search, and return its URL."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        address = re.search(r"at (http://\S+:\d+)", log.read_text(encoding="utf-8"))
        if address:
            try:
                with urlopen(f"{address[1]}/readyz", timeout=5):  # noqa: S310  http
                    return address[1]
            except OSError:
                pass
        time.sleep(0.1)
    pytest.fail(f"no server: {log.read_text(encoding='utf-8')}")


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """The photographs."""
    return make_collection(tmp_path_factory.mktemp("photographs") / "pictures")


@pytest.fixture(scope="session")
def index(collection: Collection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of them, by the base model and a second one."""
    path = tmp_path_factory.mktemp("index") / "index"
    second = make_second_model(tmp_path_factory.mktemp("model") / "second")
    with Catalog.open(path, create=True) as catalog:
        report = index_paths(catalog, load_encoder(), [collection.path])
        assert report.added == collection.images
        add_model(catalog, load_encoder(second))
    return path


@pytest.fixture(scope="session")
def url(index: Path, collection: Collection) -> Iterator[str]:
    """A server over that index, which no test changes."""
    with serving(index, "--root", collection.path) as address:
        yield address


@dataclass(frozen=True)
class Keyed:
    """A server that asks for a key, and one that may read."""

    url: str
    key: str


@pytest.fixture(scope="session")
def keyed(index: Path) -> Iterator[Keyed]:
    """A server over the same index that asks for a key."""
    key = KeyStore(index).add("reader", ["read"])[1]
    with serving(index, environment={"CROSSLOOK_REQUIRE_KEYS": "true"}) as address:
        yield Keyed(address, key)


class GatedEncoder(FakeEncoder):
    """A fake model that can be made to wait in the middle of an indexing job, for as long as a test looks at it."""

    def __init__(self) -> None:
        super().__init__()
        self._gate = threading.Event()
        self._gate.set()
        self._batches = 0

    def hold(self, *, after: int) -> None:
        """Let so many batches of pictures through, and no more until `release`."""
        self._batches = after
        self._gate.clear()

    def release(self) -> None:
        """Let all the others through."""
        self._gate.set()

    def encode_images(self, pixels: Pixels) -> ImageFeatures:
        """Wait where the test says so."""
        if self._batches == 0:
            self._gate.wait()
        self._batches = max(0, self._batches - 1)
        return super().encode_images(pixels)


@dataclass(frozen=True)
class QuickServer:
    """A server in this process over an index of its own, empty at first, with a fake model."""

    url: str
    index: Path
    encoder: GatedEncoder


Quick = Callable[..., QuickServer]


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Quick]:
    """Start servers over empty indexes: `quick(folder, …, require_keys=True)`. They end with the test."""
    monkeypatch.setattr("search.caption_search.caption_bank", lambda: BANK)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with ExitStack() as stack:

        def start(*roots: Path, require_keys: bool = False, root_path: str = "") -> QuickServer:
            index, encoder = tmp_path / "index", GatedEncoder()
            Catalog.open(index, create=True).close()
            settings = Settings(roots=list(roots), require_keys=require_keys, root_path=root_path)
            engine = stack.enter_context(SearchEngine.open(index, encoder=encoder))
            server = listening(create_app(engine, settings), settings)
            stack.enter_context(server)
            stack.callback(encoder.release)  # a job that waits would never end
            return QuickServer(f"http://127.0.0.1:{server.port}", index, encoder)

        yield start


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium; closed when this folder's tests are done, because its event loop would hinder asyncio in others."""
    executable = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        reason = "no Chromium: apt-get install chromium, or name one in CHROMIUM"
        if os.environ.get("BROWSER_TESTS") == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    expect.set_options(timeout=15_000)  # CI's machines have much to do
    sandbox = [] if os.geteuid() else ["--no-sandbox"]  # root's Chromium has none
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=sandbox)
        yield chromium
        chromium.close()


@dataclass
class Visit:
    """A page, what its console said, and its requests."""

    page: Page
    messages: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    pending: set[Request] = field(default_factory=set)

    def watch(self) -> None:
        """Listen from the start."""
        self.page.on("console", self._log)
        self.page.on("pageerror", lambda error: self.messages.append(f"uncaught: {error}"))
        self.page.on("request", self._begin)
        self.page.on("requestfinished", lambda request: self.pending.discard(request))  # noqa: PLW0108  as in _begin
        self.page.on("requestfailed", lambda request: self.pending.discard(request))  # noqa: PLW0108  as in _begin

    def _begin(self, request: Request) -> None:  # Playwright takes no bound method of a built-in type
        self.requests.append(request)
        self.pending.add(request)

    def _log(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.messages.append(f"{message.type}: {message.text}")

    def wait_until_quiet(self) -> None:
        """Wait until no request is on its way and the page has drawn the answers."""
        wait_until(self.page, lambda: not self.pending)
        frames(self.page)
        wait_until(self.page, lambda: not self.pending)  # what those answers led to
        frames(self.page)

    def foreign_requests(self) -> list[str]:
        """Requests to any origin but the page's own."""
        origin = re.match(r"https?://[^/]+", self.page.url)
        addresses = [request.url for request in self.requests]
        return [a for a in addresses if not a.startswith(("data:", "blob:", origin[0] if origin else "http"))]

    def faults(self, *, failed_loads: bool) -> list[str]:
        """Errors and warnings; Chromium also writes one for each answer of 400 and more."""
        return [text for text in self.messages if not (failed_loads and "Failed to load resource" in text)]


Visits = Callable[..., Visit]


@pytest.fixture
def visits(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visits]:
    """Open pages as new visitors do. At the end none may have complained, or asked anything of another origin.

    A test whose requests are meant to fail is marked `troubled`.
    """
    request.getfixturevalue("quick")  # so that its servers outlive the pages
    opened: list[Visit] = []
    contexts: list[BrowserContext] = []

    def visit(url: str, **options: object) -> Visit:
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 800}} | options))  # type: ignore[arg-type]
        context.set_default_timeout(20_000)
        contexts.append(context)
        new = Visit(context.new_page())
        new.watch()
        opened.append(new)
        new.page.goto(url)
        return new

    yield visit
    troubled = request.node.get_closest_marker("troubled") is not None
    faults = [fault for visit in opened for fault in visit.faults(failed_loads=troubled)]
    foreign = [address for visit in opened for address in visit.foreign_requests()]
    for context in contexts:
        context.close()
    assert not faults
    assert not foreign


@pytest.fixture
def page(visits: Visits, url: str) -> Page:
    """The page of the server over the photographs, just opened on a laptop; it knows the near-duplicates."""
    page = visits("about:blank").page
    with near_duplicates_known(page):
        page.goto(url)
    return page
