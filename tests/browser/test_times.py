"""Days and hours are the reader's, and the exact time is there for those who don't point."""

import re
from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from playwright.sync_api import Page, expect

from tests.browser.test_flows import address
from tests.browser.world import World

Visit = Callable[..., Page]
FAR = "Pacific/Kiritimati"  # 14 hours before UTC


def day_in(zone: str) -> str:
    return datetime.now(ZoneInfo(zone)).date().isoformat()


def test_dashboard_and_searches_have_the_readers_days(visit: Visit, world: World) -> None:
    page = visit(world.agent, "/dashboard", timezone_id=FAR)
    expect(page.locator(".reach")).to_contain_text("days are in the time zone Pacific/Kiritimati")
    page.get_by_text("As a table").click()
    expect(page.get_by_role("region", name="Figures per day").locator("tbody th").first).to_have_text(day_in(FAR))
    page.goto(f"/queue?status=any&q=created:{day_in(FAR)}")
    assert page.locator("#list .row").count() > 0
    page.goto(f"/queue?status=any&q=created:{day_in('Pacific/Niue')}")
    assert page.locator("#list .row").count() == 0


def test_without_script_days_are_utcs_and_say_so(visit: Visit, world: World) -> None:
    page = visit(world.agent, "/dashboard", timezone_id=FAR, java_script_enabled=False)
    expect(page.locator(".reach")).to_contain_text("days are in UTC")
    page.goto("/queue?status=any&q=created:2026")
    expect(page.locator("#list")).to_contain_text("days in UTC")
    expect(page.locator("#list time").first).to_have_attribute("title", re.compile("UTC$"))


def test_exact_time_by_focus_touch_and_print(visit: Visit, world: World) -> None:
    options = {"timezone_id": "Asia/Tokyo", "locale": "de-DE"}
    page = visit(
        world.agent, address(world.tickets[0]), **options, viewport={"width": 390, "height": 800}, has_touch=True
    )
    exact, clock = page.locator("#exact"), re.compile(r"^\d\d\.\d\d\.\d{4}, \d\d:\d\d$")
    page.locator("#head time").last.tap()
    expect(exact).to_have_text(clock)
    page.locator("h1").tap()
    expect(exact).to_have_count(0)
    page.locator("h1").press("Tab")
    page.locator("#timeline time").first.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    expect(page.locator("#timeline time").first).to_be_focused()
    expect(exact).to_have_text(clock)
    page.keyboard.press("Escape")
    expect(exact).to_have_count(0)
    page.goto("/queue?status=any")
    page.keyboard.press("j")
    expect(exact).to_have_text(re.compile(r"changed \d\d\.\d\d\.\d{4}, \d\d:\d\d$"))
    page.emulate_media(media="print")
    content = "times => [...new Set(times.map(time => getComputedStyle(time, '::after').content.replace(/\\d/g, '9')))]"
    for there in ("/queue?status=any", address(world.tickets[0])):
        page.emulate_media(media="screen")
        page.goto(there)
        page.locator("time").first.hover(force=True)
        page.emulate_media(media="print")
        expect(page.locator("time").last).to_have_attribute("title", clock)
        assert page.locator("time").evaluate_all(content) == ['"99.99.9999, 99:99"'], "one form, hovered or not"
        expect(page.locator("#exact")).to_have_count(0)
        assert page.locator("button:visible, .button:visible, [role=tooltip]:visible").all_text_contents() == []
