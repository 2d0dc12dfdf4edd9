"""Two people at once see each other's changes, and neither takes anything from the other."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_flows import address
from tests.browser.world import World

Visit = Callable[..., Page]


def listening(page: Page) -> Page:
    expect(page.locator("html[data-live=yes]")).to_have_count(1)
    return page


def test_two_agents_on_one_ticket(visit: Visit, world: World) -> None:
    ticket = world.agent.file("Seen by two")
    ada, lin = visit(world.agent, address(ticket)), visit(world.colleague, address(ticket))
    listening(ada), listening(lin)
    lin.locator("#body").fill("I am typing this")
    lin.locator("#body").evaluate("field => field.setSelectionRange(5, 7)")
    ada.locator("#body").fill("Ada answers")
    ada.get_by_role("button", name="Send the reply").click()
    expect(lin.locator("#timeline .comment")).to_contain_text("Ada answers")
    expect(lin.locator("#notice")).to_contain_text("Ada Lovelace has written something")
    expect(lin.locator("#body")).to_have_value("I am typing this")
    expect(lin.locator("#body")).to_be_focused()
    assert lin.locator("#body").evaluate("field => [field.selectionStart, field.selectionEnd]") == [5, 7]
    lin.get_by_role("button", name="Assign to me").click()
    expect(ada.locator("#assignee")).to_have_value("lin@example.org")
    ada.locator("#status").select_option("waiting")
    expect(lin.locator("#head")).to_contain_text("Waiting")
    expect(lin.locator("#body")).to_have_value("I am typing this")


def test_requester_sees_the_answer_and_never_the_note(visit: Visit, world: World) -> None:
    ticket = world.requester.file("Watched from both sides")
    page = listening(visit(world.requester, address(ticket)))
    world.agent.say(ticket, "For agents alone", internal=True)
    world.agent.say(ticket, "For you")
    expect(page.locator("#timeline .comment")).to_contain_text("For you")
    expect(page.locator("#timeline .comment")).to_have_count(1)
    expect(page.locator("body")).not_to_contain_text("For agents alone")


def test_queue_follows_and_keeps_focus_and_choice(visit: Visit, world: World) -> None:
    page = listening(visit(world.agent, "/queue?status=any"))
    world.colleague.file("Came in while nobody pointed")
    expect(page.locator("#list .title").first).to_have_text("Came in while nobody pointed")
    page.keyboard.press("j")
    page.keyboard.press("j")
    chosen = page.evaluate("document.activeElement.id")
    page.keyboard.press("x")
    expect(page.locator(".bulk")).to_be_visible()
    before = page.locator("#list .title").all_text_contents()
    seen = world.agent.ask("GET", f"/api/tickets/{chosen.removeprefix('t-')}")
    world.colleague.file("Came in while somebody chose")
    world.colleague.change(seen, title="Called otherwise meanwhile")
    expect(page.locator(f"#{chosen}")).to_have_text("Called otherwise meanwhile")
    expect(page.locator("#pending")).to_have_text("1 new")
    assert page.locator("#list .title").count() == len(before), "no row has come or gone"
    assert page.evaluate("document.activeElement.closest('.row').querySelector('.title').id") == chosen
    page.locator("#pending").click()
    expect(page.locator("#list .title").first).to_have_text("Came in while somebody chose")
    expect(page.locator("#pending")).to_have_count(0)
    assert page.evaluate("document.activeElement.closest('.row').querySelector('.title').id") == chosen
    expect(page.locator(f"tr:has(#{chosen}) input[name=pick]")).to_be_checked()


def test_no_row_moves_under_the_pointer(visit: Visit, world: World) -> None:
    page = listening(visit(world.agent, "/queue?status=any"))
    second = page.locator("#list .row").nth(1)
    second.hover(position={"x": 400, "y": 5})
    under = "document.querySelector('#list .row:hover').dataset.key"
    pointed, place = page.evaluate(under), second.bounding_box()
    for number in range(2):
        world.colleague.file(f"Would push the others down {number}")
        expect(page.locator("#pending")).to_have_text(f"{number + 1} new")
    assert page.evaluate(under) == pointed
    assert page.locator(f"[data-key='{pointed}']").bounding_box() == place
    page.mouse.move(5, 5)
    expect(page.locator("#list .title").first).to_have_text("Would push the others down 1")
    expect(page.locator("#pending")).to_have_count(0)


@pytest.mark.parametrize("how", ["trash", "merge"])
def test_nothing_is_offered_on_what_is_over_and_typed_text_stays(visit: Visit, world: World, how: str) -> None:
    ticket, other = world.agent.file(f"Over by {how}"), world.agent.file("Where it goes on")
    path = f"/api/tickets/{ticket['id']}"
    mine, page = visit(world.agent, address(ticket)), listening(visit(world.colleague, address(ticket)))
    page.locator("#body").fill("Half an answer")
    if how == "trash":
        mine.get_by_text("Trash…").click()
        mine.get_by_role("button", name="Move it to the trash").click()
    else:
        mine.get_by_text("Link or merge…").click()
        mine.get_by_label("This ticket is").select_option("merge")
        mine.get_by_label("the ticket", exact=True).fill(f"#{other['number']}")
        mine.get_by_role("button", name="Do it").click()
    for one in (mine, page):
        for gone in ("#composer", "#resolve", "#severity", "#assign-to-me", "#edit"):
            expect(one.locator(gone)).to_have_count(0)
    expect(page.get_by_label("What you had typed")).to_have_value("Half an answer")
    world.agent.ask("POST", f"{path}/{'restore' if how == 'trash' else 'reopen'}")
    for one in (mine, page):
        expect(one.locator("#severity")).to_have_value("medium")
        expect(one.locator("#resolve")).to_have_count(1)
    expect(page.locator("#body")).to_have_value("Half an answer")
    expect(page.get_by_label("What you had typed")).to_have_count(0)
    mine.locator("#body").fill("It goes on")
    mine.get_by_role("button", name="Send the reply").click()
    expect(page.locator("#timeline .comment")).to_contain_text("It goes on")
    expect(page.locator("#body")).to_have_value("Half an answer")


def test_hidden_pages_hold_no_connection_and_catch_up(visit: Visit, world: World) -> None:
    ticket = world.agent.file("Out of sight")
    page = listening(visit(world.agent, address(ticket)))
    show = "state => { Object.defineProperty(document, 'hidden', {value: state === 'hidden', configurable: true}); document.dispatchEvent(new Event('visibilitychange')); }"
    page.evaluate(show, "hidden")
    world.colleague.say(ticket, "Said meanwhile")
    assert page.evaluate("stream === null")
    expect(page.locator("#timeline .comment")).to_have_count(0)
    page.evaluate(show, "visible")
    expect(page.locator("#timeline .comment")).to_contain_text("Said meanwhile")


def test_says_when_the_session_has_ended(visit: Visit, world: World) -> None:
    page = listening(visit(world.agent, "/queue"))
    page.context.clear_cookies()
    world.colleague.file("Somebody else's")
    expect(page.locator("#notice")).to_contain_text("Your session has ended")
