"""What keeps the house in order: bulk changes, views, ties between tickets, administration."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.test_flows import address
from tests.browser.world import Caller, World

Visit = Callable[..., Page]


def test_bulk_change_and_a_saved_view(visit: Visit, world: World) -> None:
    for number in range(3):
        world.agent.file(f"Bulk {number}", tags=["bulky"])
    page = visit(world.agent, "/queue?tag=bulky")
    page.get_by_role("checkbox", name="Choose #").first.check()
    page.get_by_role("button", name="All on this page").click()
    expect(page.locator(".bulk .count")).to_have_text("3 chosen")
    page.locator(".bulk").get_by_label("Assignee").fill("lin@example.org")
    page.locator(".bulk").get_by_label("Severity").select_option("high")
    page.get_by_role("button", name="Change", exact=True).click()
    expect(page.locator("#list")).to_contain_text("3 tickets changed.")
    expect(page.locator("#list .sev-high")).to_have_count(3)
    expect(page.locator("#list .person")).to_have_count(3)
    expect(page.locator(".bulk")).not_to_be_visible()
    page.get_by_text("Save this list…").click()
    page.get_by_label("Name").fill("Bulky ones")
    page.get_by_role("button", name="Save", exact=True).click()
    page.goto("/queue")
    page.get_by_role("link", name="Bulky ones").click()
    expect(page.locator("#list .row")).to_have_count(3)


def test_link_watch_and_merge(visit: Visit, world: World) -> None:
    one, other = world.agent.file("Mouse is slow"), world.agent.file("Mouse is slow, again")
    page = visit(world.agent, address(one))
    page.get_by_role("button", name="Watch", exact=True).click()
    expect(page.get_by_role("button", name="Stop watching")).to_be_visible()
    page.get_by_text("Link or merge…").click()
    page.get_by_label("This ticket is").select_option("merge")
    page.get_by_label("the ticket", exact=True).fill(f"#{other['number']}")
    page.get_by_role("button", name="Do it").click()
    expect(page.locator("#head")).to_contain_text("was merged into")
    page.get_by_role("button", name="Split it off again").click()
    expect(page.locator("#head")).not_to_contain_text("was merged into")


def test_canned_reply_goes_into_the_text(visit: Visit, world: World) -> None:
    world.admin.ask("POST", "/api/replies", {"title": "Restart", "body": "Hello {{requester}}, please restart it."})
    ticket = world.agent.file("Frozen", requester="grace@example.org")
    page = visit(world.agent, address(ticket))
    page.get_by_label("Insert").select_option(label="Restart")
    expect(page.locator("#body")).to_have_value("Hello grace@example.org, please restart it.")
    expect(page.locator("#body")).to_be_focused()


def test_administrator_makes_and_revokes_a_token(visit: Visit, world: World) -> None:
    page = visit(world.admin, "/admin/tokens")
    page.get_by_text("New token").click()
    page.get_by_label("Name").fill("Margaret Hamilton")
    page.get_by_role("button", name="Make the token").click()
    secret = page.get_by_label("The new token").input_value()
    assert Caller(world.base, secret).ask("GET", "/api/tickets?limit=1")["items"]
    page.goto("/admin/tokens")
    expect(page.locator("body")).not_to_contain_text(secret)
    record = page.locator(".record", has_text="Margaret Hamilton")
    record.get_by_text("Revoke…").click()
    record.get_by_role("button", name="Revoke").click()
    expect(page.locator("body")).not_to_contain_text("Margaret Hamilton")
    page.goto("/admin/audit")
    expect(page.locator(".log")).to_contain_text("token.revoked")


def test_administrator_keeps_categories_and_webhooks(visit: Visit, world: World) -> None:
    page = visit(world.admin, "/admin/teams")
    page.get_by_text("Add", exact=True).first.click()
    page.locator("#new-name").fill("Field service")
    page.locator("#add").get_by_role("button", name="Add").click()
    page.locator(".name", has_text="Field service").click()
    page.locator(".record details[open]").get_by_role("button", name="Remove").click()
    expect(page.locator("body")).not_to_contain_text("Field service")
    page.goto("/admin/webhooks")
    page.get_by_text("Add", exact=True).first.click()
    page.get_by_label("Address").fill("https://hooks.example.org/7")
    page.locator("#add").get_by_role("button", name="Add").click()
    expect(page.get_by_label("The secret")).to_have_value(re.compile("whsec_"))
    page.get_by_role("button", name="Remove").click()
    page.wait_for_url("**/admin/webhooks")


def test_dashboard_draws_and_says_the_same(visit: Visit, world: World) -> None:
    page = visit(world.agent, "/dashboard")
    drawing = page.get_by_role("img", name="Opened and resolved per day")
    expect(drawing.locator("rect")).to_have_count(60)
    page.get_by_text("As a table").click()
    expect(page.get_by_role("region", name="Figures per day").locator("tbody tr")).to_have_count(30)
    page.get_by_role("link", name="7 days").click()
    expect(page.get_by_role("img", name="Opened and resolved per day").locator("rect")).to_have_count(14)
