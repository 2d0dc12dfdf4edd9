"""What is suggested for a ticket, as agents see it and take it up, in a real browser."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.test_flows import address
from tests.browser.test_live import listening
from tests.browser.world import World, file_alike

Visit = Callable[..., Page]


def test_come_after_the_page_and_are_taken_up_without_a_reload(visit: Visit, world: World) -> None:
    ticket = file_alike(world, "Keycard")
    page, other = listening(visit(world.agent, address(ticket))), listening(visit(world.colleague, address(ticket)))
    page.evaluate("window.same = true")
    part = page.locator("#suggestions")
    expect(part.locator("li[data-key]")).to_have_count(5)
    expect(part.locator("li[data-key=category]")).to_contain_text("% sure")
    part.locator("li[data-key=category] summary").click()
    expect(part.locator("li[data-key=category] .evidence a")).not_to_have_count(0)
    page.locator("#body").fill("Typed meanwhile")
    part.get_by_role("button", name="Apply category").press("Enter")
    expect(page.locator("#category")).to_have_value("Access")
    expect(page.locator("#timeline")).to_contain_text(
        "took a suggestion of the built-in assistant: set category to Access"
    )
    expect(part.locator("li[data-key=category]")).to_have_count(0)
    assert page.evaluate("document.activeElement.closest('#suggestions') !== null"), "the keyboard stays there"
    expect(other.locator("#suggestions li[data-key]")).to_have_count(4)
    part.get_by_role("button", name="Apply all").click()
    expect(part).to_contain_text("already has everything")
    for name, value in {"severity": "high", "team": "Workplace", "assignee": "lin@example.org"}.items():
        expect(page.locator(f"#{name}")).to_have_value(value)
    expect(page.locator("#tags")).to_have_value("badge, door")
    expect(other.locator("#suggestions")).to_contain_text("already has everything")
    expect(page.locator("#body")).to_have_value("Typed meanwhile")
    assert page.evaluate("window.same"), "the page was never loaded again"


def test_conflict_is_told_and_what_is_offered_is_fresh(visit: Visit, world: World) -> None:
    visit.expect("412")
    ticket = file_alike(world, "Transponder")
    page = visit(world.agent, address(ticket))
    part = page.locator("#suggestions")
    expect(part.locator("li[data-key=severity]")).to_have_count(1)
    page.evaluate("stopListening()")
    world.colleague.change(ticket, severity="critical")
    part.get_by_role("button", name="Apply severity").click()
    expect(page.get_by_role("alert")).to_contain_text("Somebody else changed this meanwhile: severity is critical now")
    expect(page.locator("#severity")).to_have_value("critical")
    expect(part.locator("input[name=was_severity]")).to_have_value("critical")
    part.get_by_role("button", name="Apply severity").click()
    expect(page.locator("#severity")).to_have_value("high")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_resolution_of_a_similar_ticket_goes_into_the_reply(visit: Visit, world: World) -> None:
    page = visit(world.agent, address(world.alike))
    page.locator("#body").fill("Hello Grace,\n")
    page.get_by_role("button", name="Use in the reply").first.click()
    expect(page.locator("#body")).to_have_value(
        "Hello Grace,\n" + page.locator("[data-insert]").first.get_attribute("data-insert")
    )
    expect(page.locator("#body")).to_be_focused()
    assert page.evaluate("window.ran") is None


def test_page_does_without_them_where_they_do_not_come(visit: Visit, world: World) -> None:
    visit.expect("ERR_FAILED")
    page = visit(world.agent, "/queue")
    page.route("**/suggestions?*", lambda route: route.abort())
    with page.expect_event("requestfailed"):
        page.goto(address(world.alike))
    page.get_by_role("link", name="What is suggested, and similar tickets").click()
    expect(page.get_by_role("button", name="Apply category")).to_be_visible()
    expect(page.get_by_role("button", name="Use in the reply")).to_have_count(0)


def test_without_script_they_are_a_page_of_plain_forms(visit: Visit, world: World) -> None:
    ticket = file_alike(world, "Chip")
    page = visit(world.agent, address(ticket), java_script_enabled=False)
    page.get_by_role("link", name="What is suggested, and similar tickets").click()
    page.get_by_role("button", name="Apply team").click()
    expect(page.locator("#team")).to_have_value("Workplace")
    page.go_back()
    page.get_by_role("button", name="Apply severity").click()
    expect(page.locator("#severity")).to_have_value("high")
    expect(page.locator("#timeline")).to_contain_text("set severity to high (was medium)")


def test_requester_sees_and_asks_for_nothing(visit: Visit, world: World) -> None:
    ticket = world.requester.file("Badge does not open the door of the laboratory")
    visit.expect("403")
    page = visit(world.requester, "/queue")
    asked: list[str] = []
    page.on("request", lambda sent: asked.append(sent.url))
    listening(page).goto(address(ticket))
    listening(page)
    expect(page.locator("#suggestions")).to_have_count(0)
    assert not any("suggestions" in url for url in asked)
    assert page.goto(f"{address(ticket)}/suggestions").status == 403
