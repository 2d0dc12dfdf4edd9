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
    visit.expect("503", "ERR_CONNECTION")
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
    expect(page.get_by_label("What you had typed", exact=True)).to_have_value(TEXT)
    world.colleague.ask("POST", f"/api/tickets/{ticket['id']}/restore")
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
    expect(page.get_by_role("alert")).to_contain_text("Somebody else changed this")
    expect(page.locator("#edit-title")).to_have_value("Two at once, by Ada")
    assert world.agent.ask("GET", f"/api/tickets/{ticket['id']}")["title"] == "Two at once, by Lin"


CLIPBOARD = """(field, forms) => {
  const bag = new DataTransfer();
  for (const [type, value] of forms) {
    if (type.startsWith('image/')) bag.items.add(new File(['x'], value, {type}));
    else bag.setData(type, value);
  }
  const event = new ClipboardEvent('paste', {clipboardData: bag, bubbles: true, cancelable: true});
  return field.dispatchEvent(event);
}"""


class TestPaste:
    def test_text_with_a_picture_of_it_is_text_and_a_picture_alone_is_a_file(self, visit: Visit, world: World) -> None:
        page = visit(world.agent, address(world.agent.file("Clipboard")))
        body, chosen = page.locator("#body"), page.locator(".chosen li")
        cells = [["text/plain", "a\tb"], ["text/html", "<table><tr><td>a"], ["image/png", "image.png"]]
        assert body.evaluate(CLIPBOARD, cells), "the browser pastes the text"
        expect(chosen).to_have_count(0)
        assert not body.evaluate(CLIPBOARD, [["text/html", "<b>only</b> rich"], ["image/png", "image.png"]])
        expect(body).to_have_value("only rich")
        expect(chosen).to_have_count(0)
        assert not body.evaluate(
            CLIPBOARD, [["text/html", "<img src='https://x.example/y.png'>"], ["image/png", "image.png"]]
        )
        expect(chosen).to_have_count(1)
        assert not body.evaluate(CLIPBOARD, [["image/png", "image.png"]])
        assert not body.evaluate(CLIPBOARD, [["text/plain", "/home/ada/shot.png"], ["image/png", "shot.png"]])
        expect(chosen).to_have_count(3)

    def test_too_long_a_paste_is_kept_counted_and_becomes_a_file(self, visit: Visit, world: World) -> None:
        ticket = world.agent.file("Too long")
        page = visit(world.agent, address(ticket))
        page.locator("#body").fill("Before. ")
        log = "Line of a log\n" * 8_000
        page.locator("#body").evaluate(CLIPBOARD, [["text/plain", log]])
        page.locator("#body").evaluate(
            "(field, text) => { field.value += text; field.dispatchEvent(new Event('input', {bubbles: true})); }", log
        )
        expect(page.locator("#composer .too-long")).to_contain_text("112,008 characters; at most 100,000 fit here.")
        page.get_by_role("button", name="Send the reply").click()
        expect(page.get_by_role("alert")).to_contain_text("too long to send")
        assert page.locator("#body").input_value() == "Before. " + log
        page.get_by_role("button", name="Attach it as pasted.txt").click()
        expect(page.locator(".chosen li")).to_contain_text("pasted.txt")
        expect(page.locator("#body")).to_have_value("Before. (see pasted.txt)")
        expect(page.locator(".too-long")).to_have_count(0)
        page.get_by_role("button", name="Send the reply").click()
        expect(page.locator("#timeline .comment")).to_contain_text("Before. (see pasted.txt)")
        (file,) = world.agent.ask("GET", f"/api/tickets/{ticket['id']}/attachments")["items"]
        assert (file["name"], file["size"]) == ("pasted.txt", len(log))


def test_a_conflict_is_solved_field_by_field(visit: Visit, world: World) -> None:
    visit.expect("412")
    ticket = world.agent.file("Phone")
    page = visit(world.agent, address(ticket))
    page.get_by_text("Edit", exact=True).click()
    page.locator("#edit-title").fill("Phone (Mia)")
    page.locator("#edit-description").fill("By Mia alone")
    world.colleague.change(ticket, title="Phone (Jonas)")
    expect(page.locator("h1")).to_have_text("Phone (Jonas)")
    page.reload()
    expect(page.locator("#edit-title")).to_have_value("Phone (Mia)")
    expect(page.locator("#edit .kept-note")).to_contain_text("somebody has changed this since")
    save = page.locator("#edit-form").get_by_role("button", name="Save")
    save.click()
    expect(page.locator("#edit-form .theirs")).to_have_text("Phone (Jonas)")
    expect(page.locator("#edit-form .clash")).to_have_count(1)
    expect(page.locator("#edit-title")).to_have_value("Phone (Mia)")
    page.get_by_label("Keep mine").check()
    save.click()
    expect(page.locator("h1")).to_have_text("Phone (Mia)")
    expect(page.locator(".first .prose")).to_contain_text("By Mia alone")
    expect(page.locator("#edit-form .clash")).to_have_count(0)
    page.reload()
    expect(page.locator("#edit")).not_to_have_attribute("open", "")


def test_a_fact_that_both_changed_is_kept_or_given_up(visit: Visit, world: World) -> None:
    visit.expect("412", "422")
    ticket = world.agent.file("Facts", tags=["a"])
    page = visit(world.agent, address(ticket))
    tags = page.locator("#tags")
    for choice, left in (("Keep mine", "a, mine 0"), ("Take theirs", "a, theirs 1")):
        number = left[-1]
        tags.fill(f"a, mine {number}")
        world.colleague.change(ticket, tags=["a", f"theirs {number}"])
        expect(page.locator("#timeline")).to_contain_text(f"theirs {number}")
        tags.press("Enter")
        expect(page.locator("#fact-tags .wrong")).to_contain_text(f"a, theirs {number}")
        expect(tags).to_have_value(f"a, mine {number}")
        page.locator("#fact-tags").get_by_text(choice).click()
        expect(page.locator("#fact-tags .wrong")).to_have_count(0)
        expect(tags).to_have_value(left)
        assert world.agent.ask("GET", f"/api/tickets/{ticket['id']}")["tags"] == left.split(", ")
    many = ", ".join(f"t{n}" for n in range(25))
    tags.fill(many)
    tags.press("Enter")
    expect(page.locator("#fact-tags .wrong")).to_contain_text("Not saved")
    expect(tags).to_have_value(many)


def test_what_the_administration_took_does_not_come_back(visit: Visit, world: World) -> None:
    visit.expect("422", "409")
    admin = world.admin
    for path, fields, button in (
        ("/admin/replies", {"new-title": "Call us", "new-body": "Please call 4444."}, "Add"),
        ("/admin/teams", {"new-name": "Night shift", "new-description": "After ten"}, "Add"),
        ("/admin/tokens", {"name": "Robot of the night"}, "Make the token"),
        ("/admin/webhooks", {"url": "https://hooks.example.org/night"}, "Add"),
    ):
        page = visit(admin, path)
        page.locator("#add > summary").click()
        for name, value in fields.items():
            page.locator(f"#{name}").fill(value)
        expect(page.locator("#add .kept-note")).to_contain_text("Draft kept")
        page.locator("#add").get_by_role("button", name=button).last.click()
        shown = next(iter(fields.values()))
        expect(page.locator("#main")).to_contain_text(shown)
        page.goto(path)
        expect(page.locator("#add")).not_to_have_attribute("open", "")
        expect(page.locator(f"#{next(iter(fields))}")).to_have_value("")
    page.goto("/admin/teams")
    page.locator("#add > summary").click()
    page.locator("#new-name").fill("night shift")
    page.locator("#add").get_by_role("button", name="Add").last.click()
    expect(page.locator("#main .problem")).to_be_focused()
    expect(page.locator("#new-name")).to_have_value("night shift")
    page.reload()
    expect(page.locator("#new-name")).to_have_value("night shift")
    for team in admin.ask("GET", "/api/teams")["items"]:  # else no other test could name a team of its own
        admin.ask("DELETE", f"/api/teams/{team['id']}")


def test_what_was_sent_although_its_answer_was_lost_is_said_once(visit: Visit, world: World) -> None:
    visit.expect("ERR_")
    ticket = world.agent.file("Lost answer")
    page = visit(world.agent, address(ticket))
    write(page)

    def lost(route: Route) -> None:
        route.fetch(max_redirects=0)
        route.abort("connectionreset")

    page.route("**/comments", lost)
    page.get_by_role("button", name="Send the reply").click()
    expect(page.get_by_role("alert")).to_contain_text("can't be reached")
    page.unroute("**/comments")
    page.reload()
    expect(page.locator("#body")).to_have_value(TEXT)
    page.get_by_role("button", name="Send the reply").click()
    expect(page.locator("#body")).to_have_value("")
    assert len(world.agent.ask("GET", f"/api/tickets/{ticket['id']}/comments")["items"]) == 1


def test_a_resolution_being_written_is_kept_when_somebody_else_resolves(visit: Visit, world: World) -> None:
    ticket = world.agent.file("Both resolve")
    page = visit(world.agent, address(ticket))
    page.get_by_text("Resolve…").click()
    page.locator("#resolution").fill(TEXT)
    world.colleague.ask("POST", f"/api/tickets/{ticket['id']}/resolve", {"resolution": "Faster"})
    expect(page.locator("#timeline .solution")).to_contain_text("Faster")
    expect(page.locator("textarea.kept")).to_have_value(TEXT)


def test_keys_work_again_after_sending_and_lead_through_the_list(visit: Visit, world: World) -> None:
    page = visit(world.agent, "/queue?sort=created_at&status=any")
    ids = page.locator("#list .title").evaluate_all("links => links.map((link) => link.id.slice(2))")
    page.locator(f"#t-{ids[2]}").press("Enter")
    page.wait_for_url(f"**/tickets/{ids[2]}")
    page.keyboard.press("r")
    page.keyboard.type("A short answer")
    page.keyboard.press("Escape")
    expect(page.locator("#body")).not_to_be_focused()
    expect(page.locator("#body")).to_have_value("A short answer")
    page.keyboard.press("r")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#timeline")).to_contain_text("A short answer")
    expect(page.locator("#latest")).to_be_focused()
    page.keyboard.press("j")
    page.wait_for_url(f"**/tickets/{ids[3]}")
    page.keyboard.press("k")
    page.wait_for_url(f"**/tickets/{ids[2]}")
    page.keyboard.press("u")
    page.wait_for_url("**/queue?sort=created_at&status=any")
    expect(page.locator(f"#t-{ids[2]}")).to_be_focused()
    page.keyboard.press("j")
    expect(page.locator(f"#t-{ids[3]}")).to_be_focused()


def drafts(page: Page) -> list[str]:
    kept: list[str] = page.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('draft '))")
    return kept


def sign_in_as(page: Page, token: str) -> None:
    page.get_by_label("Your token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/queue")


def test_goes_with_whoever_signs_out_from_every_tab(visit: Visit, world: World) -> None:
    visit.expect("401")
    ticket = world.agent.file("Two people at one browser")
    page = visit(world.agent, address(ticket))
    write(page)
    other = page.context.new_page()
    other.goto("/queue")
    other.locator(".account summary").click()
    expect(other.locator(".account .menu")).to_contain_text("remove your drafts from this browser")
    other.get_by_role("button", name="Sign out").click()
    other.wait_for_url("**/sign-in")
    assert drafts(other) == []
    page.wait_for_url("**/sign-in")
    expect(page.locator("body")).not_to_contain_text(TEXT)
    sign_in_as(other, world.colleague.token)
    other.goto(address(ticket))
    expect(other.locator("#body")).to_have_value("")


def test_of_an_ended_session_goes_when_somebody_else_signs_in(visit: Visit, world: World) -> None:
    visit.expect("401")
    ticket = world.agent.file("The session ends by itself")
    page = visit(world.agent, address(ticket))
    write(page)
    page.context.clear_cookies()
    other = page.context.new_page()
    other.goto("/queue")
    assert len(drafts(other)) == 1, "it may be the same person who comes back"
    sign_in_as(other, world.colleague.token)
    assert drafts(other) == []
    page.wait_for_url("**/queue")
    page.goto(address(ticket))
    expect(page.locator("#body")).to_have_value("")


def test_refused_facts_and_ties_survive_a_reload(visit: Visit, world: World) -> None:
    visit.expect("422", "400", "409")
    ticket = world.agent.file("Too many tags", tags=["one"])
    page = visit(world.agent, address(ticket))
    many = ", ".join(f"tag{number}" for number in range(30))
    for field, typed, was in (("Tags", many, "one"), ("Assignee", "Nobody Knows", "")):
        box = page.get_by_label(field, exact=True)
        box.fill(typed)
        box.press("Tab")
        expect(page.locator("#facts .wrong")).to_contain_text("Not saved")
        page.reload()
        expect(box).to_have_value(typed)
        expect(page.locator("#facts .wrong")).to_contain_text("Not saved")
        page.get_by_role("link", name="Leave it as it was").click()
        expect(box).to_have_value(was)
        page.reload()
        expect(box).to_have_value(was)
        expect(page.locator("#facts .wrong")).to_have_count(0)
    page.get_by_text("Link or merge…").click()
    page.get_by_label("the ticket", exact=True).fill("nothing of the kind")
    page.get_by_role("button", name="Do it").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.reload()
    expect(page.get_by_label("the ticket", exact=True)).to_have_value("nothing of the kind")
    page.get_by_label("the ticket", exact=True).fill("")
    assert drafts(page) == []
