"""A real Chromium on a real server: whoever signs in there is watched for errors and for requests to elsewhere."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

from tests.browser.world import Caller, World, build
from tests.conftest import ADMIN_TOKEN
from tests.process.test_process import running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
ROOT = Path(__file__).parents[2]
ARTIFACTS = Path(os.environ.get("TICKET_ARTIFACTS", ROOT / "artifacts"))
SECONDS = 10


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without Chromium these are skipped, and say so; with --require-browser that is a failure."""
    if CHROMIUM or config.getoption("require_browser"):
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="no Chromium here: install the package `chromium`"))


@pytest.fixture(scope="session")
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Where the helpdesk is, and its administrator's token: a new one, or the one that --base-url names."""
    given = request.config.getoption("base_url")
    if given:
        yield given.rstrip("/"), request.config.getoption("base_token")
        return
    root = tmp_path_factory.mktemp("browser")
    with running(root, MAX_UPLOAD_SIZE_MB="8") as (_, port):
        yield f"http://127.0.0.1:{port}", ADMIN_TOKEN
    assert "Traceback" not in (root / "log").read_text()


@pytest.fixture(scope="session")
def world(base: tuple[str, str]) -> World:
    """People and tickets."""
    return build(*base)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    assert CHROMIUM, "these tests need Chromium: install the package `chromium`"
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    yield browser
    browser.close()


@dataclass(slots=True)
class Watch:
    """What must not happen in a browser."""

    host: str
    problems: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()

    def over(self, context: BrowserContext) -> None:
        """Watch every page of the context."""
        context.add_init_script(
            "addEventListener('securitypolicyviolation', (e) => console.error('CSP', e.violatedDirective, e.blockedURI))"
        )
        context.on("console", lambda said: said.type == "error" and self._note(f"console: {said.text}"))
        context.on("weberror", lambda raised: self._note(f"script: {raised.error}"))
        context.on("request", lambda sent: self._asked(sent.url))

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("blob", "data", "about") and parts.netloc != self.host:
            self._note(f"a request to elsewhere: {url}")

    def _note(self, problem: str) -> None:
        if not any(word in problem for word in self.expected):
            self.problems.append(problem)


@dataclass(slots=True)
class Visitor:
    """Opens browsers for people."""

    browser: Browser
    base: str
    watch: Watch
    contexts: list[BrowserContext] = field(default_factory=list)

    def __call__(self, who: Caller | None = None, path: str = "/", **options: Any) -> Page:
        """A page, of a browser of its own, at which this person has signed in."""
        context = self.browser.new_context(base_url=self.base, **options)
        context.set_default_timeout(SECONDS * 1000)
        self.contexts.append(context)
        self.watch.over(context)
        if who:
            sign_in(context, self.base, who)
        page = context.new_page()
        page.goto(path)
        return page

    def expect(self, *problems: str) -> None:
        """These may happen in this test."""
        self.watch.expected += problems


def sign_in(context: BrowserContext, base: str, who: Caller) -> None:
    """As the form does, without showing it each time."""
    answer = context.request.post("/sign-in", form={"token": who.token}, headers={"origin": base}, max_redirects=0)
    assert answer.status == 303, answer.text()


@contextmanager
def visits(browser: Browser, base: str) -> Iterator[Visitor]:
    """Browsers that are closed in the end, when nothing may have gone wrong in them."""
    watch = Watch(urlsplit(base).netloc)
    visitor = Visitor(browser, base, watch)
    try:
        yield visitor
    finally:
        for context in visitor.contexts:
            context.close()
    assert watch.problems == []


@pytest.fixture
def visit(chromium: Browser, base: tuple[str, str]) -> Iterator[Callable[..., Page]]:
    """`visit(world.agent, "/queue")`."""
    with visits(chromium, base[0]) as visitor:
        yield visitor
