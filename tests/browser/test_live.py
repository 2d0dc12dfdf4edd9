"""Two people at once see each other's changes, and neither takes anything from the other."""

from collections.abc import Callable

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
    page.keyboard.press("j")
    page.keyboard.press("j")
    chosen = page.evaluate("document.activeElement.id")
    page.keyboard.press("x")
    expect(page.locator(".bulk")).to_be_visible()
    world.colleague.file("Came in while somebody looked")
    expect(page.locator("#list .title").first).to_have_text("Came in while somebody looked")
    assert page.evaluate("document.activeElement.closest('.row').querySelector('.title').id") == chosen
    expect(page.locator(f"tr:has(#{chosen}) input[name=pick]")).to_be_checked()


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
