"""Every state of every page at the widths people have: nothing scrolls sideways, overlaps, breaks or is cut."""

import re
from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import ARTIFACTS, visits
from tests.browser.states import EMPTY, FULL, HELD_AGAINST_RULES, WRONG, Scene, State, fill, of
from tests.browser.test_looks import RULES
from tests.browser.world import Caller, person
from tests.conftest import ADMIN_TOKEN
from tests.process.test_process import running

Look = Callable[[State], Page]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A helpdesk of its own, which is empty at first."""
    root = tmp_path_factory.mktemp("states")
    with running(root, MAX_UPLOAD_SIZE_MB="8") as (_, port):
        admin = Caller(f"http://127.0.0.1:{port}", ADMIN_TOKEN)
        yield Scene(admin, person(admin, "Ada Lovelace", "agent"), person(admin, "Grace Hopper", "requester"))
    assert "Traceback" not in (root / "log").read_text()


@pytest.fixture(scope="module")
def look(scene: Scene, chromium: Browser) -> Iterator[Look]:
    """The page in a state, in one browser for each person, colour scheme and choice about scripts."""
    pages: dict[tuple[str, str, bool], Page] = {}
    with visits(chromium, scene.admin.base) as visitor:
        visitor.expect("404")

        def at(state: State) -> Page:
            key = (state.who, state.scheme, state.script)
            if key not in pages:
                who = getattr(scene, state.who)
                options = {"color_scheme": state.scheme, "java_script_enabled": state.script}
                pages[key] = visitor(who, "/sign-in", reduced_motion="reduce", **options)
            page = pages[key]
            page.set_viewport_size({"width": 1366, "height": 900})
            answer = page.goto(state.address if isinstance(state.address, str) else state.address(scene))
            assert answer and answer.status < 500, "a page that failed has no state to look at"
            if state.script:
                expect(page.locator("[data-later] > p > a")).to_have_count(0)
            if state.act:
                state.act(page)
            return page

        yield at


def must_be_well(page: Page, name: str, state: State) -> None:
    wrong = []
    for width in state.widths:
        page.set_viewport_size({"width": width, "height": 900})
        wrong += [f"{width}: {line}" for line in page.evaluate(WRONG)]
        if width in state.shown:
            path = ARTIFACTS / "screenshots" / "states" / f"{name}-{width}.png"
            page.screenshot(path=path, full_page=True)
    assert wrong == [], "\n" + "\n".join(wrong)
    if name in HELD_AGAINST_RULES:
        found = Axe().run(page, options=RULES)
        assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("name", EMPTY)
def test_state_of_an_empty_installation(look: Look, name: str) -> None:
    page = look(EMPTY[name])
    if name == "empty-admin":
        expect(page.locator(".empty")).to_contain_text("No tickets yet")
        expect(page.locator(".empty").get_by_role("link", name="let your colleagues in")).to_be_visible()
    must_be_well(page, name, EMPTY[name])


@pytest.fixture(scope="module")
def full(scene: Scene, look: Look) -> Scene:
    fill(scene)
    return scene


@pytest.mark.parametrize("name", FULL)
def test_state(full: Scene, look: Look, name: str) -> None:
    must_be_well(look(FULL[name]), name, FULL[name])


def test_words_of_promises_follow_the_time_without_a_reload(full: Scene, look: Look, chromium: Browser) -> None:
    late = look(State("agent", "/queue?overdue=true", script=False))
    expect(late.locator(".due.late", has_text="first answer 1")).to_have_count(1)
    expect(late.locator(".due.late", has_text="overdue by 1")).to_have_count(1)
    with visits(chromium, full.admin.base) as visitor:
        page = visitor(full.agent, "/sign-in")
        page.clock.install()
        page.goto("/queue?q=ordinary")
        promise = page.locator(".row .due").first
        expect(promise).to_contain_text("first answer in 5")
        assert "late" not in promise.get_attribute("class")
        page.clock.fast_forward("01:05:00")
        expect(promise).to_contain_text(re.compile(r"first answer \d+ min late"))
        expect(promise).to_have_class(re.compile("late"))
        page.goto("/queue?overdue=true")
        with page.expect_response(lambda answer: answer.url.endswith("/queue?overdue=true")):
            page.clock.fast_forward("01:01")  # nobody does anything when a promise breaks


@pytest.mark.parametrize("width", [320, 683])
def test_narrow_pages_have_search_all_of_the_way_and_the_latest_days(full: Scene, look: Look, width: int) -> None:
    page = look(State("admin", "/dashboard"))
    page.set_viewport_size({"width": width, "height": 700})
    for link in page.locator(".where a").all():
        box = link.bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= width, link.text_content()
    last = page.locator(".sideways rect").last.bounding_box()
    assert last and last["x"] + last["width"] <= width, "the plot begins with the latest days"
    page.get_by_label("Search tickets").fill("ordinary")
    page.keyboard.press("Enter")
    expect(page.locator("#list .row")).to_have_count(3)
    mine = look(State("requester", of("late")))
    mine.set_viewport_size({"width": width, "height": 700})
    mine.get_by_label("Search tickets").fill("ordinary")
    mine.keyboard.press("Enter")
    expect(mine.locator("#list .row")).to_have_count(3)


def test_errors_and_first_steps_speak_to_who_reads_them(full: Scene, look: Look) -> None:
    page = look(FULL["my-ticket-unknown"])
    expect(page.locator("h1")).to_have_text("There is no such ticket, or you may not see it.")
    expect(page.get_by_role("link", name="To my tickets")).to_be_visible()
