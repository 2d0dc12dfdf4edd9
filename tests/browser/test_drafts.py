"""What is typed and not sent yet survives everything; and it is sent once."""

from collections.abc import Callable

from playwright.sync_api import Page, Route, expect

from tests.browser.test_flows import address
from tests.browser.world import World

Visit = Callable[..., Page]
TEXT = "Half an answer that took an hour"


def write(page: Page) -> None:
    page.locator("#body").fill(TEXT)
    expect(page.get_by_text("Draft kept in this browser")).to_be_visible()


def test_survives_a_reload_a_crash_and_another_ticket(visit: Visit, world: World) -> None:
    ticket = world.agent.file("Draft one")
    page = visit(world.agent, address(ticket))
    page.get_by_role("radio", name="Internal note").check()
    write(page)
    page.reload()
    expect(page.locator("#body")).to_have_value(TEXT)
    expect(page.locator("#is-note")).to_be_checked()
    page.goto(address(world.tickets[2]))
    expect(page.locator("#body")).to_have_value("")
    page.close(run_before_unload=False)
    other = page.context.new_page()
    other.goto(address(ticket))
    expect(other.locator("#body")).to_have_value(TEXT)
    other.get_by_role("button", name="Add the note").click()
    expect(other.locator("#timeline .note")).to_contain_text(TEXT)
    other.reload()
    expect(other.locator("#body")).to_have_value("")


def test_of_a_new_ticket_survives_too(visit: Visit, world: World) -> None:
    page = visit(world.agent, "/tickets/new")
    page.get_by_label("What is it about?").fill("Not finished")
    page.locator("select[name=severity]").select_option("high")
    page.reload()
    expect(page.get_by_label("What is it about?")).to_have_value("Not finished")
    expect(page.locator("select[name=severity]")).to_have_value("high")


def test_belongs_to_one_person(visit: Visit, world: World) -> None:
    ticket = world.agent.file("Draft two")
    page = visit(world.agent, address(ticket))
    write(page)
    page.goto("/queue")
    page.locator(".account summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Your token").fill(world.colleague.token)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/queue")
    page.goto(address(ticket))
    expect(page.locator("#body")).to_have_value("")


def test_survives_the_end_of_the_session(visit: Visit, world: World) -> None:
    visit.expect("401")
    ticket = world.agent.file("Draft three")
    page = visit(world.agent, address(ticket))
    write(page)
    page.context.clear_cookies()
    page.get_by_role("button", name="Send the reply").click()
    expect(page.get_by_role("alert")).to_contain_text("Your session has ended")
    expect(page.locator("#body")).to_have_value(TEXT)
    with page.context.expect_page() as opened:
        page.locator("#notice").get_by_role("link", name="Sign in").click()
    opened.value.get_by_label("Your token").fill(world.agent.token)
    opened.value.get_by_role("button", name="Sign in").click()
    opened.value.wait_for_url(f"**{address(ticket)}")
    page.get_by_role("button", name="Send the reply").click()
    expect(page.locator("#timeline .comment")).to_contain_text(TEXT)
    expect(page.locator("#body")).to_have_value("")


def test_survives_a_refusal_a_broken_server_and_a_lost_connection(visit: Visit, world: World) -> None:
    visit.expect("409", "503", "ERR_CONNECTION")
    ticket = world.agent.file("Draft four")
    page = visit(world.agent, address(ticket))
    write(page)
    send = page.get_by_role("button", name="Send the reply")

    def broken(route: Route) -> None:
        route.fulfill(status=503, content_type="text/html", body="<h1 id=problem-line>The disk is full.</h1>")

    page.route("**/comments", broken)
    send.click()
    expect(page.get_by_role("alert")).to_contain_text("The disk is full.")
    page.unroute("**/comments")
    page.route("**/comments", lambda route: route.abort("connectionreset"))
    send.click()
    expect(page.get_by_role("alert")).to_contain_text("can't be reached")
    page.unroute("**/comments")
    expect(page.locator("#body")).to_have_value(TEXT)
    world.colleague.ask("DELETE", f"/api/tickets/{ticket['id']}")
    expect(page.locator("#head")).to_contain_text("in the trash")
    expect(page.locator("#body")).to_have_value(TEXT)
    send.click()
    expect(page.get_by_role("alert")).to_contain_text("in the trash")
    expect(page.locator("#body")).to_have_value(TEXT)


def test_sent_twice_is_said_once(visit: Visit, world: World) -> None:
    ticket = world.agent.file("Draft five")
    page = visit(world.agent, address(ticket))
    page.locator("#body").fill(TEXT)
    form = page.locator("#composer")
    fields = form.evaluate(
        "form => Object.fromEntries([...new FormData(form)].filter(([, v]) => typeof v === 'string'))"
    )
    for _ in range(2):
        answer = page.context.request.post(f"{address(ticket)}/comments", form=fields, headers={"origin": world.base})
        assert answer.ok
    assert len(world.agent.ask("GET", f"/api/tickets/{ticket['id']}/comments")["items"]) == 1


def test_a_change_that_others_made_first_is_not_overwritten(visit: Visit, world: World) -> None:
    visit.expect("412")
    ticket = world.agent.file("Two at once")
    page = visit(world.agent, address(ticket))
    page.get_by_text("Edit", exact=True).click()
    page.locator("#edit-title").fill("Two at once, by Ada")
    world.colleague.change(ticket, title="Two at once, by Lin")
    expect(page.locator("h1")).to_have_text("Two at once, by Lin")
    expect(page.locator("#edit-title")).to_have_value("Two at once, by Ada")
    page.get_by_role("button", name="Save", exact=True).first.click()
    expect(page.get_by_role("alert")).to_contain_text("Somebody else was faster")
    expect(page.locator("#edit-title")).to_have_value("Two at once, by Ada")
    assert world.agent.ask("GET", f"/api/tickets/{ticket['id']}")["title"] == "Two at once, by Lin"
