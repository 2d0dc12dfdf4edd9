"""A requester answers what is resolved, and one whose ticket was merged into another's goes on there."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.world import Caller, World

Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def emma(world: World) -> Caller:
    token = world.admin.ask(
        "POST", "/api/tokens", {"name": "Emma Blanc", "role": "requester", "email": "emma.blanc@example.org"}
    )
    return Caller(world.base, token["token"], "Emma Blanc")


def test_answer_to_a_resolved_ticket_brings_it_back(visit: Visit, world: World, emma: Caller) -> None:
    ticket = emma.file("Outlook does not open")
    world.agent.ask(
        "POST", f"/api/tickets/{ticket['id']}/resolve", {"resolution": "Sign out and in.", "remember": False}
    )
    watching = visit(world.agent, f"/tickets/{ticket['id']}")
    expect(watching.locator("#head .status")).to_have_text("Resolved")
    page = visit(emma, f"/tickets/{ticket['id']}")
    expect(page.locator("#sending")).to_have_text(re.compile("Sending this reopens the ticket."))
    page.locator("#body").fill("It is back again!")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#timeline > li").last).to_contain_text("reopened this ticket by answering")
    expect(page.locator("#sending")).to_have_text("")
    entries = page.locator("#timeline > li")
    texts = [entries.nth(n).inner_text() for n in range(entries.count())]
    assert [("Resolution" in text, "back again" in text) for text in texts[:2]] == [(True, False), (False, True)]
    expect(watching.locator("#head .status")).to_have_text("Open")
    expect(watching.locator("#timeline")).to_contain_text("It is back again!")
    page = visit(world.agent, "/queue")
    expect(page.locator(f"#t-{ticket['id']}")).to_be_visible()


def test_merged_requester_goes_on_with_the_other_ticket(visit: Visit, world: World, emma: Caller) -> None:
    hers = emma.file("Outlook error after password change", description="Since yesterday.")
    emma.say(hers, "Still nothing.")
    target = world.requester.file("Outlook says 0x80070005", description="Since this morning.")
    agent = visit(world.agent, f"/tickets/{hers['id']}")
    agent.locator("#tie summary").click()
    agent.locator("#kind").select_option("merge")
    agent.locator("#other").fill(f"#{target['number']}")
    agent.get_by_role("button", name="Do it").click()
    expect(agent.locator("#head")).to_contain_text(f"merged into #{target['number']}")
    agent.goto(f"{world.base}/tickets/{target['id']}")
    expect(agent.locator("#timeline")).to_contain_text("Since yesterday.")
    expect(agent.get_by_role("link", name=f"from #{hers['number']}")).to_have_count(2)
    page = visit(emma, f"/tickets/{hers['id']}")
    expect(page.locator("#reopen")).to_have_count(0)
    expect(page.locator("#sending")).to_contain_text(f"answers on #{target['number']}")
    page.locator("#body").fill("Any news?")
    page.get_by_role("button", name="Send").click()
    page.wait_for_url(re.compile(f"/tickets/{target['id']}"))
    expect(page.locator("#head")).to_contain_text(f"What you sent on #{hers['number']} is here")
    expect(page.locator("#timeline")).to_contain_text("Any news?")
    expect(agent.locator("#timeline")).to_contain_text("Any news?")
    page.goto(f"{world.base}/queue")
    expect(page.locator(f"#t-{target['id']}")).to_be_visible()
    agent.goto(f"{world.base}/tickets/{hers['id']}")
    agent.get_by_role("button", name="Split it off again").click()
    expect(agent.locator("#head .status")).to_have_text("Open")
    visit.expect("404")
    page.goto(f"{world.base}/tickets/{target['id']}")
    expect(page.locator("main")).to_contain_text("no such ticket")
