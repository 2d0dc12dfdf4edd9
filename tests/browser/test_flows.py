"""What people do, in a real browser."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.world import World, picture

Visit = Callable[..., Page]


def address(ticket: dict) -> str:
    return f"/tickets/{ticket['id']}"


class TestSigningIn:
    def test_in_and_out_and_back_to_where_it_was_asked(self, visit: Visit, world: World) -> None:
        visit.expect("401")
        page = visit(None, address(world.tickets[0]))
        page.wait_for_url(re.compile(r"/sign-in\?next="))
        page.get_by_label("Your token").fill("tb_wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("unknown, revoked or expired")
        page.get_by_label("Your token").fill(world.agent.token)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"**{address(world.tickets[0])}")
        cookie = next(one for one in page.context.cookies() if one["name"].startswith("ticket_session"))
        assert cookie["httpOnly"] and cookie["sameSite"] == "Lax"
        page.locator(".account summary").click()
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/sign-in")
        page.goto(address(world.tickets[0]))
        page.wait_for_url(re.compile(r"/sign-in\?next="))

    def test_never_leads_to_elsewhere(self, visit: Visit, world: World) -> None:
        page = visit(None, "/sign-in?next=//evil.example/x")
        page.get_by_label("Your token").fill(world.agent.token)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{world.base}/queue")


class TestQueue:
    def test_finds_while_somebody_types(self, visit: Visit, world: World) -> None:
        page = visit(world.agent, "/queue?status=any")
        assert page.locator("#list .row").count() > len(world.tickets)
        page.get_by_label("Words to look for").press_sequentially("prin")
        expect(page.locator("#list .row")).to_have_count(1)
        expect(page.locator("#list .title")).to_have_text("Printer on floor 2 prints blank pages")
        expect(page).to_have_url(re.compile("q=prin"))
        page.reload()
        expect(page.get_by_label("Words to look for")).to_have_value("prin")
        expect(page.locator("#list .row")).to_have_count(1)

    def test_completes_tags_while_somebody_types(self, visit: Visit, world: World) -> None:
        page = visit(world.agent, "/tickets/new")
        page.locator("#tags").fill("something new, pri")
        offered = page.locator("#tags-in-use option[value='something new, printer']")
        expect(offered).to_be_attached()
        page = visit(world.agent, "/queue")
        page.get_by_label("Tag").fill("PRI")
        expect(page.locator("#tags-in-use option[value='printer']")).to_be_attached()

    def test_filters_sorts_and_says_when_nothing_matches(self, visit: Visit, world: World) -> None:
        page = visit(world.agent, "/queue")
        page.locator("#filters select[name=severity]").select_option("critical")
        expect(page.locator("#list .row")).to_have_count(2)
        page.locator("#filters select[name=sort]").select_option("created_at")
        expect(page.locator("#list .title").first).to_have_text("VPN drops every day at ten past nine")
        page.get_by_label("Words to look for").fill("nothing like this")
        expect(page.locator("#list")).to_contain_text("Nothing matches")

    def test_keys_alone_are_enough(self, visit: Visit, world: World) -> None:
        page = visit(world.agent, "/queue?sort=created_at&status=any")
        page.keyboard.press("j")
        expect(page.locator("#list .title").nth(0)).to_be_focused()
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("k")
        expect(page.locator("#list .title").nth(1)).to_be_focused()
        page.keyboard.press("Enter")
        page.wait_for_url(f"**{address(world.tickets[1])}")
        page.keyboard.press("r")
        expect(page.locator("#body")).to_be_focused()
        page.keyboard.type("jjj is text here")
        expect(page.locator("#body")).to_have_value("jjj is text here")
        page.locator("#body").fill("")
        page.locator("#body").blur()
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.get_by_label("Single keys are shortcuts").uncheck()
        page.keyboard.press("Escape")
        page.keyboard.press("r")
        expect(page.locator("#body")).not_to_be_focused()
        page.locator("#keys-on").evaluate("box => { box.checked = true; box.dispatchEvent(new Event('change')); }")
        page.keyboard.press("u")
        page.wait_for_url("**/queue?sort=created_at&status=any")


class TestFiling:
    def test_with_files_chosen_dropped_and_pasted(self, visit: Visit, world: World) -> None:
        page = visit(world.agent, "/tickets/new")
        page.get_by_label("What is it about?").fill("Screen flickers")
        page.get_by_label("What happens").fill("Since the update.\nEvery minute.")
        page.get_by_label("Category").fill("Hardware")
        page.locator("input[type=file]").set_input_files(
            [{"name": "one.png", "mimeType": "image/png", "buffer": picture()}]
        )
        page.evaluate(
            """async () => {
              const carry = (name, type, text) => { const bag = new DataTransfer(); bag.items.add(new File([text], name, {type})); return bag; };
              document.dispatchEvent(new DragEvent('drop', {dataTransfer: carry('dropped.txt', 'text/plain', 'dropped'), bubbles: true, cancelable: true}));
              document.querySelector('#description').dispatchEvent(new ClipboardEvent('paste', {clipboardData: carry('pasted.txt', 'text/plain', 'pasted'), bubbles: true, cancelable: true}));
            }"""
        )
        expect(page.locator(".chosen li")).to_have_count(3)
        page.get_by_role("button", name="Remove dropped.txt").click()
        expect(page.locator(".chosen li")).to_have_count(2)
        page.get_by_role("button", name="File the ticket").click()
        expect(page.get_by_role("heading", name="Screen flickers")).to_be_visible()
        expect(page.locator(".first .files img")).to_have_count(1)
        expect(page.locator(".first .files")).to_contain_text("pasted.txt")
        expect(page.locator(".first .prose")).to_contain_text("Since the update.\nEvery minute.", use_inner_text=True)
        assert page.locator(".first .files img").evaluate("image => image.naturalWidth") == 240

    def test_shows_how_far_an_upload_has_come(self, visit: Visit, world: World) -> None:
        page = visit(world.agent, address(world.tickets[6]))
        session = page.context.new_cdp_session(page)
        page.locator("#composer input[type=file]").set_input_files(
            [
                {"name": f"part{n}.bin", "mimeType": "application/octet-stream", "buffer": b"\1\2" * 500_000}
                for n in range(3)
            ]
        )
        page.evaluate(
            """() => { window.seen = []; const bar = document.querySelector('progress');
            new MutationObserver(() => window.seen.push(bar.value)).observe(bar, {attributes: true}); }"""
        )
        limits = {"offline": False, "latency": 1, "downloadThroughput": -1, "uploadThroughput": 3_000_000}
        session.send("Network.emulateNetworkConditions", limits)
        page.get_by_role("button", name="Send the reply").click()
        expect(page.locator("#timeline .files")).to_contain_text("part2.bin")
        shares = page.evaluate("window.seen")
        assert any(0 < share < 1 for share in shares) and shares == sorted(shares)

    def test_says_what_is_wrong_and_keeps_what_was_typed(self, visit: Visit, world: World) -> None:
        visit.expect("413")
        page = visit(world.agent, "/tickets/new")
        page.get_by_label("What is it about?").fill("A picture that is none")
        page.get_by_label("What happens").fill("See the file")
        page.get_by_label("Category").fill("Hardware")
        page.locator("input[type=file]").set_input_files(
            [{"name": "huge.bin", "mimeType": "application/octet-stream", "buffer": b"\1" * 11_000_000}]
        )
        expect(page.locator(".chosen .too-large")).to_be_visible()
        page.get_by_role("button", name="File the ticket").click()
        expect(page.get_by_role("alert")).to_contain_text(re.compile(r"at most (8|10) MiB"))  # 10 on a container
        expect(page.get_by_label("What is it about?")).to_have_value("A picture that is none")


class TestTicket:
    def test_files_of_a_note_are_for_agents_alone(self, visit: Visit, world: World) -> None:
        ticket = world.agent.file("Where the key belongs", requester="grace@example.org")
        page = visit(world.agent, address(ticket))
        page.get_by_role("radio", name="Internal note").check()
        page.locator("#body").fill("Nobody else may have this.")
        shot = {"name": "shot.png", "mimeType": "image/png", "buffer": picture()}
        page.locator("#composer input[type=file]").set_input_files(
            [{"name": "key.pem", "mimeType": "text/plain", "buffer": b"KEY"}, shot]
        )
        page.get_by_role("button", name="Add the note").click()
        expect(page.locator("#timeline .note .files .internal")).to_have_count(2)
        page.get_by_text("Add files…").click()
        side = page.locator("#add-files")
        side.locator("input[type=file]").set_input_files(shot | {"name": "side.png"})
        side.get_by_label("Internal: only agents see them").check()
        side.get_by_role("button", name="Add", exact=True).click()
        expect(page.locator("#timeline .event.internal .files .internal")).to_have_count(1)
        expect(page.locator(".all-files .badge")).to_have_count(3)
        expect(side.get_by_label("Internal: only agents see them")).not_to_be_checked()
        theirs = visit(world.requester, address(ticket))
        expect(theirs.get_by_role("heading", name="Where the key belongs")).to_be_visible()
        assert not re.search("key.pem|shot.png|side.png|Internal", theirs.content())

    def test_reply_note_and_facts_without_a_reload(self, visit: Visit, world: World) -> None:
        ticket = world.agent.file("Dock does not charge", requester="grace@example.org")
        page = visit(world.agent, address(ticket))
        page.evaluate("window.same = true")
        page.locator("#body").fill("Which dock is it?\n\n`lsusb` tells, see https://example.org/(dock).")
        page.get_by_label("and make it").select_option("waiting")
        page.get_by_role("button", name="Send the reply").click()
        expect(page.locator("#timeline .comment")).to_have_count(1)
        expect(page.locator("#head")).to_contain_text("Waiting")
        expect(page.locator("#timeline .comment a")).to_have_attribute("href", "https://example.org/(dock)")
        expect(page.locator("#timeline .comment a")).to_have_attribute("rel", re.compile("noopener nofollow"))
        expect(page.locator("#body")).to_have_value("")
        page.get_by_role("radio", name="Internal note").check()
        page.locator("#body").fill("They always forget the cable.")
        page.get_by_role("button", name="Add the note").click()
        expect(page.locator("#timeline .note")).to_contain_text("They always forget the cable.")
        page.get_by_role("button", name="Assign to me").click()
        expect(page.locator("#assignee")).to_have_value("ada@example.org")
        page.locator("#severity").select_option("high")
        expect(page.locator("#head")).to_contain_text("High")
        page.locator("#tags").fill("dock, usb")
        page.locator("#tags").press("Enter")
        expect(page.locator("#timeline")).to_contain_text("set tags to dock, usb")
        page.get_by_text("Resolve…").click()
        page.get_by_label("What solved it?").fill("Another cable.")
        page.get_by_role("button", name="Resolve", exact=True).click()
        expect(page.locator("#timeline .solution")).to_contain_text("Another cable.")
        expect(page.get_by_role("button", name="Reopen")).to_be_visible()
        assert page.evaluate("window.same"), "the page was never loaded again"
        assert world.agent.ask("GET", f"/api/memories/{ticket['id']}")["title"] == "Dock does not charge"
        page.get_by_role("button", name="Reopen").click()
        expect(page.locator("#head")).to_contain_text("Open")

    def test_trash_and_back(self, visit: Visit, world: World) -> None:
        ticket = world.agent.file("To be thrown away")
        page = visit(world.agent, address(ticket))
        page.get_by_text("Trash…").click()
        page.get_by_role("button", name="Move it to the trash").click()
        expect(page.locator("#head")).to_contain_text("in the trash")
        page.get_by_role("button", name="Bring it back").click()
        expect(page.locator("#head")).not_to_contain_text("in the trash")

    def test_of_two_hundred_comments_is_whole(self, visit: Visit, world: World) -> None:
        page = visit(world.agent, address(world.long))
        expect(page.locator("#timeline .comment")).to_have_count(200)
        expect(page.get_by_role("region", name="Long text")).to_have_count(1)

    def test_nothing_that_people_send_runs(self, visit: Visit, world: World) -> None:
        visit.expect("422")
        page = visit(world.agent, address(world.tickets[8]))
        expect(page.locator("h1")).to_contain_text("<script>")
        expect(page.locator("a[href*='javascript']")).to_have_count(0)
        for name in ("drawing.svg", "page.html"):
            with page.expect_download() as download:
                page.locator("#facts").get_by_role("link", name=name).click()
            assert download.value.suggested_filename == name
        assert page.evaluate("window.ran") is None
        page.goto("/queue?status=any&q=%3Cscript%3Ewindow.ran%3D1%3C/script%3E")
        assert page.evaluate("window.ran") is None
        page.goto("/queue?status=%22%3E%3Cimg%20src%3Dx%20onerror%3Dwindow.ran%3D1%3E", wait_until="load")
        assert page.evaluate("window.ran") is None


def test_right_to_left_text_stays_in_its_place(visit: Visit, world: World) -> None:
    page = visit(world.agent, address(world.tickets[5]))
    assert page.locator("h1").evaluate("e => getComputedStyle(e).direction") == "rtl"
    assert page.locator(".number").first.evaluate("e => getComputedStyle(e).direction") == "ltr"
    page.goto(address(world.tickets[7]))
    assert page.locator("h1").evaluate("e => getComputedStyle(e).unicodeBidi") == "isolate"
    assert page.locator(".first .prose p").first.evaluate("e => getComputedStyle(e).unicodeBidi") == "plaintext"


def test_memories_are_found_and_read(visit: Visit, world: World) -> None:
    page = visit(world.agent, "/memories")
    page.get_by_label("Words to look for").press_sequentially("recycling")
    expect(page.locator("#list .row")).to_have_count(1)
    page.locator("#list .title").click()
    expect(page.locator(".prose")).to_contain_text("The old one went to recycling.")


class TestRequester:
    def test_sees_only_what_is_theirs_and_for_them(self, visit: Visit, world: World) -> None:
        visit.expect("404", "403")
        page = visit(world.requester, "/")
        expect(page.get_by_role("heading", name="My tickets")).to_be_visible()
        expect(page.locator("body")).not_to_contain_text("VPN")
        assert page.goto(address(world.tickets[0])).status == 404
        for path in ("/memories", "/dashboard", "/admin/tokens", "/admin/audit"):
            assert page.goto(path).status == 403, path
        ticket = world.requester.file("My keyboard sticks")
        world.agent.say(ticket, "Seen by agents alone", internal=True)
        world.agent.say(ticket, "Does it stick always?")
        page.goto(address(ticket))
        expect(page.locator("#timeline .comment")).to_have_count(1)
        for words in ("Seen by agents alone", "Internal note", "Resolve…", "Trash"):
            expect(page.locator("body")).not_to_contain_text(words)
        page.locator("#body").fill("Only the letter E.")
        page.get_by_role("button", name="Send", exact=True).click()
        expect(page.locator("#timeline .comment")).to_have_count(2)


def test_reads_and_files_without_script(visit: Visit, world: World) -> None:
    page = visit(world.requester, "/queue", java_script_enabled=False)
    page.get_by_role("link", name="New ticket").click()
    page.get_by_label("What is it about?").fill("Without script")
    page.get_by_label("What happens").fill("It works all the same.")
    page.get_by_label("Category").fill("Software")
    page.locator("input[type=file]").set_input_files(
        [{"name": "plain.txt", "mimeType": "text/plain", "buffer": b"text"}]
    )
    page.get_by_role("button", name="File the ticket").click()
    expect(page.get_by_role("heading", name="Without script")).to_be_visible()
    expect(page.locator(".first .files")).to_contain_text("plain.txt")
    page.locator("#body").fill("And so does this.")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#timeline .comment")).to_contain_text("And so does this.")
    agent = visit(world.agent, page.url.partition("#")[0], java_script_enabled=False)
    agent.locator("#severity").select_option("high")
    agent.locator("#fact-severity button").click()
    expect(agent.locator("#head")).to_contain_text("High")
    agent.get_by_role("link", name="Queue", exact=True).first.click()
    agent.get_by_label("Words to look for").fill("works")
    agent.get_by_role("button", name="Apply").click()
    expect(agent.locator("#list .title")).to_have_text("Without script")


def test_assignee_is_picked_from_people_and_anybody_else_is_told_the_nearest(visit: Visit, world: World) -> None:
    visit.expect("422 (Unprocessable Entity)")
    made = world.agent.file("Whose is it?", requester="person1@example.org")
    page = visit(world.agent, f"/tickets/{made['id']}")
    page.locator("#assignee").fill("Lynn Chen")
    page.locator("#assignee").press("Enter")
    expect(page.locator(".problem")).to_contain_text("Lin Chen (lin@example.org)")
    page.locator("#assignee").fill("lin chen")
    page.locator("#assignee").press("Enter")
    expect(page.locator("#assignee")).to_have_value("lin@example.org")
    queue = visit(world.agent, "/queue?q=whose", java_script_enabled=False)
    queue.locator(".c-pick input").check()
    queue.locator("#bulk input[name=assignee]").fill("Ada")
    queue.get_by_role("button", name="Change", exact=True).click()
    expect(queue.locator(".problem")).to_contain_text("Ada Lovelace (ada@example.org)")
    expect(queue.locator("#bulk input[name=assignee]")).to_have_value("Ada")
    expect(queue.locator(".c-pick input")).to_be_checked()
    queue.locator("#bulk input[name=assignee]").fill("ada lovelace")
    queue.get_by_role("button", name="Change", exact=True).click()
    expect(queue.locator("#list .c-who")).to_contain_text("ada@example.org")
