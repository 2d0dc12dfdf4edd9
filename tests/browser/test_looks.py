"""Every page at three widths, light and dark: seen by axe-core, kept as pictures, and weighed."""

from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import ARTIFACTS, Visitor, visits
from tests.browser.world import World

WIDTHS = (390, 1024, 1600)
RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}
MOST_BYTES = 60_000
ROUNDS = 12


def addresses(world: World) -> dict[str, tuple[str, str]]:
    """A name for each page: who looks at it, and where it is."""
    vpn, hostile, arabic, solved = (world.tickets[number]["id"] for number in (0, 8, 5, 9))
    return {
        "sign-in": ("nobody", "/sign-in"),
        "queue": ("agent", "/queue?status=any"),
        "queue-empty": ("agent", "/queue?q=zebra"),
        "ticket": ("agent", f"/tickets/{vpn}"),
        "ticket-hostile": ("agent", f"/tickets/{hostile}"),
        "ticket-arabic": ("agent", f"/tickets/{arabic}"),
        "ticket-resolved": ("agent", f"/tickets/{solved}"),
        "ticket-suggestions": ("agent", f"/tickets/{world.alike['id']}"),
        "suggestions": ("agent", f"/tickets/{world.alike['id']}/suggestions"),
        "ticket-long": ("agent", f"/tickets/{world.long['id']}"),
        "new-ticket": ("agent", "/tickets/new"),
        "memories": ("agent", "/memories"),
        "memory": ("agent", f"/memories/{solved}"),
        "dashboard": ("agent", "/dashboard"),
        "error": ("agent", "/tickets/nothing"),
        "tokens": ("admin", "/admin/tokens"),
        "categories": ("admin", "/admin/categories"),
        "replies": ("admin", "/admin/replies"),
        "sla": ("admin", "/admin/sla"),
        "webhooks": ("admin", "/admin/webhooks"),
        "audit": ("admin", "/admin/audit"),
        "my-tickets": ("requester", "/queue"),
        "my-ticket": ("requester", f"/tickets/{world.tickets[1]['id']}"),
        "my-new-ticket": ("requester", "/tickets/new"),
    }


NAMES = tuple(addresses(World("", None, None, None, None, [{"id": ""}] * 12, {"id": ""}, {"id": ""})))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def stage(chromium: Browser, base: tuple[str, str]) -> Iterator[Visitor]:
    with visits(chromium, base[0]) as visitor:
        visitor.expect("404")
        yield visitor


@pytest.fixture(scope="module")
def look(stage: Visitor, world: World) -> Callable[[str, str], Page]:
    """A page for each person and colour scheme, opened once."""
    pages: dict[tuple[str, str], Page] = {}

    def at(name: str, scheme: str) -> Page:
        who, address = addresses(world)[name]
        if (who, scheme) not in pages:
            person = {"nobody": None, "agent": world.agent, "admin": world.admin, "requester": world.requester}[who]
            pages[who, scheme] = stage(person, "/sign-in", color_scheme=scheme, reduced_motion="reduce")
        page = pages[who, scheme]
        page.goto(address)
        expect(page.locator("[data-later] > p > a")).to_have_count(0)  # what comes later is there
        return page

    return at


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_page(look: Callable[[str, str], Page], name: str, scheme: str) -> None:
    page = look(name, scheme)
    found = Axe().run(page, options=RULES)
    assert found.violations_count == 0, found.generate_report()
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{name} is {wide} pixels wider than {width}"
        path = ARTIFACTS / "screenshots" / f"{name}-{scheme}-{width}.png"
        page.screenshot(path=path, full_page=width == WIDTHS[0] and name != "ticket-long")
        assert path.stat().st_size > 4_000


def test_open_parts_of_pages(look: Callable[[str, str], Page]) -> None:
    """What is folded away or shown only now and then is held against the same rules."""
    for scheme in ("light", "dark"):
        for name in ("ticket", "ticket-suggestions"):
            page = look(name, scheme)
            page.set_viewport_size({"width": 1024, "height": 900})
            page.evaluate("document.querySelectorAll('details').forEach((box) => { box.open = true; })")
            page.locator("#is-note").check()
            found = Axe().run(page, options=RULES)
            assert found.violations_count == 0, found.generate_report()
            page.screenshot(path=ARTIFACTS / "screenshots" / f"{name}-open-{scheme}-1024.png", full_page=True)
        page = look("queue", scheme)
        page.set_viewport_size({"width": 1600, "height": 900})
        page.locator(".c-pick input").first.check()
        page.evaluate("document.querySelector('#help').showModal()")
        found = Axe().run(page, options=RULES)
        assert found.violations_count == 0, found.generate_report()
        page.screenshot(path=ARTIFACTS / "screenshots" / f"queue-open-{scheme}-1600.png")


def test_targets_can_be_hit(look: Callable[[str, str], Page]) -> None:
    """WCAG 2.2, 2.5.8: at least 24 by 24 pixels, or in a line of text."""
    for name in ("queue", "ticket", "ticket-suggestions", "new-ticket", "tokens"):
        page = look(name, "light")
        page.set_viewport_size({"width": 390, "height": 900})
        small = page.evaluate(
            """() => [...document.querySelectorAll('button, select, input:not([type=hidden]), summary, .button')]
              .filter((one) => one.checkVisibility({visibilityProperty: true}))
              .map((one) => [one.outerHTML.slice(0, 80), (one.closest('label') ?? one).getBoundingClientRect()])
              .filter(([, box]) => box.width > 1 && (box.width < 24 || box.height < 24)).map(([html, box]) => `${html} ${box.width}x${box.height}`)"""
        )
        assert small == [], name


def _first_visit(context: BrowserContext, path: str) -> dict[str, float]:
    """Times and bytes of a page in a browser that has nothing of it yet."""
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    received: list[float] = []
    session.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    page.goto(path, wait_until="load")
    times = page.evaluate(
        """() => { const visit = performance.getEntriesByType('navigation')[0];
        return [visit.domInteractive, performance.getEntriesByName('ready')[0]?.startTime ?? visit.domInteractive]; }"""
    )
    page.close()
    return {"bytes": sum(received), "interactive": times[0], "ready": times[1]}


def test_first_page_is_light(visit: Visitor, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """At most 60 kB over the wire. Printed beside it: how long until it is interactive, against an empty page of the
    same server in the same run.

    Interactive is what browsers call so: links and forms are there, and they work without script. When the script is
    ready too is printed as well. The quickest of some visits counts, since other work on the machine only delays.
    """
    for number in range(50 - len(world.tickets)):
        world.agent.file(f"To fill the first page, number {number}", tags=["some", "tags"])
    visit.expect("404")  # the empty page has no icon
    context = visit(world.agent, "/queue").context
    _first_visit(context, "/health/live")
    pairs = [(_first_visit(context, "/health/live"), _first_visit(context, "/queue")) for _ in range(ROUNDS)]
    empty = min(first["interactive"] for first, _ in pairs)
    interactive, ready = (min(second[name] for _, second in pairs) for name in ("interactive", "ready"))
    weight = max(second["bytes"] for _, second in pairs)
    with capsys.disabled():
        print(
            f"\nfirst page: {weight / 1000:.1f} kB over the wire; interactive after {interactive:.0f} ms, its script ready "
            f"after {ready:.0f} ms, an empty page after {empty:.0f} ms: {interactive / empty:.2f} and {ready / empty:.2f} times"
        )
    assert weight <= MOST_BYTES
