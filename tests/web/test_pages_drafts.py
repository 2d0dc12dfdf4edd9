"""What people typed into a form is never lost: not by a second sending, a refusal, or somebody else's change."""

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.web.pages import conflicts
from backend.web.pages.posted import Fields
from tests.conftest import Client
from tests.web.test_pages import page, send


def inputs(html: str, form: str) -> dict[str, str]:
    """The fields of the form whose opening tag holds `form`, as a browser would send them untouched."""
    opening = html.index(form)
    inside = html[html.rindex("<form", 0, opening) : html.index("</form>", opening)]
    found: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", inside):
        name, value = re.search(r'\bname="([^"]+)"', tag), re.search(r'\bvalue="([^"]*)"', tag)
        box = 'type="checkbox"' in tag or 'type="radio"' in tag
        if name and not (box and " checked" not in tag) and 'type="file"' not in tag:
            found[name[1]] = unescape(value[1]) if value else ""
    for name, text in re.findall(r'<textarea[^>]*\bname="([^"]+)"[^>]*>\n?(.*?)</textarea>', inside, re.DOTALL):
        found[name] = unescape(text)
    for name, options in re.findall(r'<select[^>]*\bname="([^"]+)"[^>]*>(.*?)</select>', inside, re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)" selected', options)
        found[name] = chosen[1] if chosen else ""
    return found


class TestHiddenKey:
    """The same key and content is one act; with another content it is a second one."""

    def act(self, admin: Client, agent: Client, what: str) -> tuple[Callable[[str], int], Callable[[], list[Any]]]:
        """How to send the form with this word in it, and what came of it."""
        ticket = agent.ticket()
        way, others = f"/tickets/{ticket['id']}", {word: agent.ticket()["number"] for word in ("first", "second")}

        def sending(who: Client, path: str, **fields: str) -> Callable[[str], int]:
            def sent(word: str) -> int:
                filled = {name: value.format(word=word, number=others[word]) for name, value in fields.items()}
                return send(who, path, once="the-same", **filled).status_code

            return sent

        def file(word: str) -> int:
            files = {"files": ("note.txt", f"This is the {word} file".encode())}
            fields = {"once": "the-same"}
            return agent.post(f"{way}/comments", data=fields, files=files, follow_redirects=False).status_code

        def listed(who: Client, path: str) -> Callable[[], list[Any]]:
            return lambda: who.get(path).json()["items"]

        return {
            "comment": (
                sending(agent, f"{way}/comments", body="{word}"),
                listed(agent, f"/api/tickets/{ticket['id']}/comments"),
            ),
            "file": (file, listed(agent, f"/api/tickets/{ticket['id']}/attachments")),
            "ticket": (
                sending(agent, "/tickets", title="{word}", description="D", severity="low", category="Of this test"),
                listed(agent, "/api/tickets?category=Of+this+test"),
            ),
            "link": (
                sending(agent, f"{way}/link", kind="related", other="{number}"),
                lambda: agent.get(f"/api/tickets/{ticket['id']}").json()["links"],
            ),
            "view": (sending(agent, "/views", name="{word}", here=""), listed(agent, "/api/views")),
            "reply": (sending(agent, "/admin/replies", title="{word}", body="B"), listed(agent, "/api/replies")),
            "category": (
                sending(admin, "/admin/categories", name="{word}", active="yes"),
                listed(admin, "/api/categories"),
            ),
            "webhook": (
                sending(admin, "/admin/webhooks", url="https://hooks.example.org/{word}", active="yes"),
                listed(admin, "/api/webhooks"),
            ),
        }[what]

    @pytest.mark.parametrize("what", ["comment", "file", "ticket", "link", "view", "reply", "category", "webhook"])
    def test_with_another_content_is_a_second_act(self, admin: Client, agent: Client, what: str) -> None:
        sent, found = self.act(admin, agent, what)
        before = len(found())
        for word, count in (("first", 1), ("first", 1), ("second", 2), ("second", 2), ("first", 2)):
            assert sent(word) < 400
            assert len(found()) == before + count, f"{what} {word}"

    def test_of_a_token(self, admin: Client) -> None:
        """A repeated one shows no secret again, so it is a redirection."""
        answers = [send(admin, "/admin/tokens", name=name, role="agent", once="k") for name in ("A", "A", "B")]
        assert [answer.status_code for answer in answers] == [200, 303, 200]
        assert [token["name"] for token in admin.get("/api/tokens").json()["items"]][-2:] == ["A", "B"]

    def test_of_a_resolution_after_reopening(self, agent: Client) -> None:
        ticket = agent.ticket()
        way = f"/tickets/{ticket['id']}"
        assert send(agent, f"{way}/resolve", resolution="One", once="k").status_code == 303
        assert send(agent, f"{way}/resolve", resolution="One", once="k").status_code == 303
        html = page(send(agent, f"{way}/resolve", resolution="Two, which took long", once="k"), 409)
        assert "Two, which took long" in html, "it was resolved before, which is said, and the text is there"
        send(agent, f"{way}/reopen")
        assert send(agent, f"{way}/resolve", resolution="Two", once="k").status_code == 303
        assert agent.get(f"/api/tickets/{ticket['id']}").json()["resolution"] == "Two"

    def test_of_a_bulk_change(self, agent: Client) -> None:
        one, other = agent.ticket(), agent.ticket()
        for pick, severity in ((one, "high"), (other, "high"), (one, "critical")):
            send(agent, "/queue", act="change", pick=pick["id"], severity=severity, once="k")
        found = [agent.get(f"/api/tickets/{ticket['id']}").json()["severity"] for ticket in (one, other)]
        assert found == ["critical", "high"]

    def test_of_whether_a_memory_helped(self, agent: Client) -> None:
        path = f"/memories/{agent.post('/api/memories', json={'title': 'M', 'body': 'B'}).json()['id']}"
        once = inputs(page(agent.get(path)), 'id="feedback"')["once"]
        for said in ("yes", "yes", "no", "yes"):
            assert send(agent, f"{path}/feedback", helpful=said, once=once).status_code == 303
        memory = agent.get(f"/api{path}").json()
        assert (memory["helpful"], memory["unhelpful"]) == (1, 1)

    def test_of_the_api_goes_with_one_request(self, agent: Client) -> None:
        path, headers = f"/api/tickets/{agent.ticket()['id']}/comments", {"idempotency-key": "k"}
        assert agent.post(path, json={"body": "One"}, headers=headers).status_code == 201
        assert agent.post(path, json={"body": "Two"}, headers=headers).status_code == 422


class TestRefused:
    """A refusal shows the form as it was filled in, boxes and choices included."""

    def test_new_ticket_field_by_field(self, agent: Client, admin: Client) -> None:
        good = {
            "title": "A title",
            "description": "A text\n\nof lines",
            "severity": "high",
            "category": "Hardware",
            "tags": "one, two",
            "requester": "grace@example.org",
            "assignee": "",
            "team": "Network",
        }
        many = ", ".join(f"tag{n}" for n in range(25))
        for name, bad in (
            ("title", "x" * 201),
            ("title", ""),
            ("description", "y" * 200_000),
            ("tags", many),
            ("tags", "z" * 60),
            ("requester", "r" * 300),
            ("team", "t" * 101),
            ("category", "c" * 101),
        ):
            typed = good | {name: bad}
            html = page(send(agent, "/tickets", **typed), 422)
            again = inputs(html, 'id="new-ticket"')
            assert {key: again[key] for key in typed} == typed, name

    def test_unknown_category_stays_chosen(self, agent: Client, admin: Client) -> None:
        send(admin, "/admin/categories", name="Hardware", active="yes")
        html = page(send(agent, "/tickets", title="T", description="D", severity="low", category="Gone"), 422)
        assert "<option selected>Gone</option>" in html

    def test_wrong_file_keeps_the_texts_before_and_after_it_and_says_which_to_choose_again(self, agent: Client) -> None:
        files = {"files": ("huge.bin", b"\1" * (agent.app.state.ports.limits.upload + 1))}
        texts = {"title": "T", "description": "Typed for an hour", "severity": "high", "category": "C"}
        html = page(agent.post("/tickets", data=texts, files=files), 413)
        after = (
            b'--b\r\nContent-Disposition: form-data; name="files"; filename="huge.bin"\r\n\r\n'
            + files["files"][1]
            + b'\r\n--b\r\nContent-Disposition: form-data; name="description"\r\n\r\nTyped after it\r\n--b--\r\n'
        )
        for body, kind, text in (
            (None, None, "Typed for an hour"),
            (after, "multipart/form-data; boundary=b", "Typed after it"),
        ):
            if body:
                html = page(agent.post("/tickets", content=body, headers={"content-type": kind}), 413)
            assert text in html and "Please choose these files again" in html and "huge.bin" in html
        assert agent.get("/api/tickets").json()["items"] == []

    @pytest.mark.parametrize(
        ("name", "bad"),
        [
            ("tags", ", ".join(f"tag{n}" for n in range(25))),
            ("category", "c" * 101),
            ("team", "t" * 101),
            ("requester", ""),
            ("assignee", "a" * 300),
        ],
    )
    def test_a_fact_of_a_ticket(self, agent: Client, name: str, bad: str) -> None:
        ticket = agent.ticket()
        way = f"/tickets/{ticket['id']}"
        form = inputs(page(agent.get(way)), f'id="fact-{name}"')
        html = page(send(agent, f"{way}/change", **(form | {name: bad})), 422)
        again = inputs(html, f'id="fact-{name}"')
        assert again == form | {name: bad}, "what was typed, and what the ticket still says"

    def test_edit_with_an_emptied_title(self, agent: Client) -> None:
        ticket = agent.ticket()
        way = f"/tickets/{ticket['id']}"
        form = inputs(page(agent.get(way)), 'id="edit-form"')
        html = page(send(agent, f"{way}/change", **(form | {"title": "", "description": "Much\n\nbetter"})), 422)
        assert inputs(html, 'id="edit-form"')["title"] == ""
        assert inputs(html, 'id="edit-form"')["description"] == "Much\n\nbetter"

    def test_resolution_link_and_reply(self, agent: Client) -> None:
        way = f"/tickets/{agent.ticket()['id']}"
        html = page(send(agent, f"{way}/resolve", resolution="x" * 200_000), 422)
        form = inputs(html, 'action="' + way + '/resolve"')
        assert form["resolution"] == "x" * 200_000 and "remember" not in form
        form = inputs(page(send(agent, f"{way}/link", kind="merge", other="#99999"), 422), f'action="{way}/link"')
        assert (form["kind"], form["other"]) == ("merge", "#99999")
        form = inputs(
            page(send(agent, f"{way}/comments", body="y" * 200_000, internal="yes", then="waiting"), 422),
            'id="composer"',
        )
        assert (form["body"], form["internal"], form["then"]) == ("y" * 200_000, "yes", "waiting")

    def test_bulk_change_keeps_what_was_chosen(self, agent: Client) -> None:
        one, other = agent.ticket(), agent.ticket()
        html = page(
            send(agent, "/queue", act="change", pick=[one["id"], other["id"]], team="t" * 101, severity="high"), 422
        )
        form = inputs(html, 'id="bulk"')
        assert (form["team"], form["severity"]) == ("t" * 101, "high")
        assert len(re.findall(r'name="pick" value="\w+" form="bulk" checked', html)) == 2
        agent.post(f"/api/tickets/{other['id']}/resolve", json={"resolution": "R"})
        html = page(
            send(
                agent,
                "/queue",
                act="change",
                pick=[one["id"], other["id"]],
                status="waiting",
                here="status=any",
            ),
            409,
        )
        assert re.findall(r'name="pick" value="(\w+)" form="bulk" checked', html) == [other["id"]], (
            "only what was not changed"
        )

    def test_administration(self, admin: Client) -> None:
        for path, form, typed in (
            ("/admin/replies", 'action="/admin/replies"', {"title": "t" * 201, "body": "A text"}),
            (
                "/admin/categories",
                'action="/admin/categories"',
                {"name": "n" * 101, "description": "D", "team": "T", "assignee": "A"},
            ),
            (
                "/admin/tokens",
                'action="/admin/tokens"',
                {"name": "N", "role": "requester", "email": "no address", "teams": "a, b", "expires_on": "2999-01-01"},
            ),
            (
                "/admin/webhooks",
                'action="/admin/webhooks"',
                {"url": "ftp://x", "description": "D", "events": "ticket.created", "internal": "yes"},
            ),
            ("/views", 'action="/views"', {"name": "n" * 101, "shared": "yes"}),
        ):
            again = inputs(page(send(admin, path, **typed), 422), form)
            assert {name: again[name] for name in typed} == typed, path

    def test_an_expired_session_keeps_every_text_through_a_wrong_token(self, admin: Client) -> None:
        ticket = admin.ticket()
        stranger = admin.speaking(None)
        fields = {"body": "Typed for an hour", "once": "k"}
        files = {"files": ("a.txt", b"abc")}
        html = page(stranger.post(f"/tickets/{ticket['id']}/comments", data=fields, files=files), 401)
        form = inputs(html, 'id="sign-in"')
        assert "Typed for an hour" in html and 'name="kept" form="sign-in"' in html
        html = page(send(stranger, "/sign-in", **form | {"token": "tb_wrong", "kept": "Typed for an hour"}), 401)
        assert "Typed for an hour" in html and "tb_wrong" not in html


class TestConflict:
    def test_of_a_ticket_is_chosen_field_by_field(self, agent: Client) -> None:
        ticket = agent.ticket(title="Phone", description="Line one\n\n" + "x" * 300)
        way = f"/tickets/{ticket['id']}"
        form = inputs(page(agent.get(way)), 'id="edit-form"')
        agent.patch(f"/api/tickets/{ticket['id']}", json={"title": "Phone (Jonas)"})
        mine = form | {"title": "Phone (Mia)", "description": "Rewritten by Mia"}
        for _ in range(2):
            html = page(send(agent, f"{way}/change", **mine), 412)
            again = inputs(html, 'id="edit-form"')
            assert (again["title"], again["description"]) == ("Phone (Mia)", "Rewritten by Mia")
        assert again["was_title"] == "Phone (Jonas)"
        assert "keep_title" in html and "keep_description" not in html, "only what both changed"
        assert agent.get(f"/api/tickets/{ticket['id']}").json()["description"].startswith("Line one"), "nothing half"
        send_again = send(agent, f"{way}/change", **again, keep_title="theirs")
        assert send_again.status_code == 303
        kept = agent.get(f"/api/tickets/{ticket['id']}").json()
        assert (kept["title"], kept["description"]) == ("Phone (Jonas)", "Rewritten by Mia")
        form = inputs(page(agent.get(way)), 'id="edit-form"')
        agent.patch(f"/api/tickets/{ticket['id']}", json={"title": "Phone (Lin)"})
        again = inputs(page(send(agent, f"{way}/change", **form | {"title": "Phone (Mia)"}), 412), 'id="edit-form"')
        assert send(agent, f"{way}/change", **again, keep_title="mine").status_code == 303
        assert agent.get(f"/api/tickets/{ticket['id']}").json()["title"] == "Phone (Mia)"

    def test_of_different_fields_is_none(self, agent: Client) -> None:
        ticket = agent.ticket()
        way = f"/tickets/{ticket['id']}"
        form = inputs(page(agent.get(way)), 'id="edit-form"')
        agent.patch(f"/api/tickets/{ticket['id']}", json={"title": "By Jonas"})
        assert send(agent, f"{way}/change", **form | {"description": "By Mia"}).status_code == 303
        kept = agent.get(f"/api/tickets/{ticket['id']}").json()
        assert (kept["title"], kept["description"]) == ("By Jonas", "By Mia")

    def test_of_a_fact_shows_both(self, agent: Client) -> None:
        ticket = agent.ticket(tags=["a"])
        way = f"/tickets/{ticket['id']}"
        form = inputs(page(agent.get(way)), 'id="fact-tags"')
        agent.patch(f"/api/tickets/{ticket['id']}", json={"tags": ["a", "theirs"]})
        html = page(send(agent, f"{way}/change", **form | {"tags": "a, mine"}), 412)
        assert "Keep mine" in html and "Take theirs" in html and "a, theirs" in html
        assert send(agent, f"{way}/change", **inputs(html, 'id="fact-tags"')).status_code == 303
        assert agent.get(f"/api/tickets/{ticket['id']}").json()["tags"] == ["a", "mine"]

    def test_of_line_ends_is_none(self, agent: Client) -> None:
        """A text box turns every line end into one of its own; nobody has changed anything by that."""
        ticket = agent.ticket(description="\nOne\r\nTwo\rThree\n")
        way = f"/tickets/{ticket['id']}"
        form = inputs(page(agent.get(way)), 'id="edit-form"')
        sent = form | {"title": "Other", "description": "\r\nOne\r\nTwo\r\nThree\r\n"}
        assert send(agent, f"{way}/change", **sent).status_code == 303
        assert agent.get(f"/api/tickets/{ticket['id']}").json()["description"] == ticket["description"]

    def test_of_a_reply_and_a_category(self, admin: Client) -> None:
        send(admin, "/admin/replies", title="Restart", body="One")
        html = page(admin.get("/admin/replies"))
        way = re.search(r'action="(/admin/replies/\w+)"', html)[1]
        form = inputs(html, f'action="{way}"')
        assert send(admin, way, **form | {"body": "By Jonas"}).status_code == 303
        assert send(admin, way, **form | {"title": "Restart it"}).status_code == 303, "another field"
        html = page(send(admin, way, **form | {"body": "By Mia"}), 412)
        assert "By Jonas" in html and "keep_body" in html and "keep_title" not in html
        again = inputs(html, f'action="{way}"')
        assert send(admin, way, **again, keep_body="mine").status_code == 303
        (kept,) = admin.get("/api/replies").json()["items"]
        assert (kept["title"], kept["body"]) == ("Restart it", "By Mia")

    def test_of_promises_and_a_webhook(self, admin: Client) -> None:
        form = inputs(page(admin.get("/admin/sla")), 'action="/admin/sla"')
        assert send(admin, "/admin/sla", **form | {"monday": "08:00-12:00"}).status_code == 303
        assert send(admin, "/admin/sla", **form | {"tuesday": "08:00-12:00"}).status_code == 303
        hours = admin.get("/api/sla").json()["hours"]
        assert hours["monday"] == hours["tuesday"] == ["08:00-12:00"]
        html = page(send(admin, "/admin/sla", **form | {"monday": "10:00-11:00"}), 412)
        again = inputs(html, 'action="/admin/sla"')
        assert send(admin, "/admin/sla", **again, keep_monday="mine").status_code == 303
        assert admin.get("/api/sla").json()["hours"]["monday"] == ["10:00-11:00"]
        html = page(send(admin, "/admin/webhooks", url="https://hooks.example.org/x", active="yes"))
        way = re.search(r'action="(/admin/webhooks/\w+)"', html)[1]
        form = inputs(html, "was_url")
        assert send(admin, way, **form | {"description": "One"}).status_code == 303
        html = page(send(admin, way, **form | {"description": "Two", "active": ""}), 412)
        again = inputs(html, "was_url")
        assert again["description"] == "Two" and "active" not in again
        assert send(admin, way, **again, keep_description="theirs").status_code == 303
        (kept,) = admin.get("/api/webhooks").json()["items"]
        assert (kept["description"], kept["active"]) == ("One", False)


@given(*[st.text(st.characters(codec="utf-8"), max_size=250)] * 3, st.sampled_from(["", "mine", "theirs"]))
def test_merging_never_loses_what_one_side_alone_changed(was: str, mine: str, theirs: str, keep: str) -> None:
    sent = Fields([("was_x", conflicts.seen(was)), ("x", mine)] + ([("keep_x", keep)] if keep else []))
    mine = sent.one("x").replace("\r", "\n")
    changed = [
        text.replace("\r\n", "\n").replace("\r", "\n") != was.replace("\r\n", "\n").replace("\r", "\n")
        for text in (mine, theirs)
    ]
    try:
        both = conflicts.merged(sent, {"x": theirs})
    except conflicts.Clash as clash:
        assert changed == [True, True] and keep != "theirs"
        assert clash.theirs == {"x": theirs}
    else:
        assert both.values["x"] == (mine if changed[0] and keep != "theirs" and not changed[1] else theirs)

    def test_what_was_given_up_stays_given_up_when_another_clash_comes(self, agent: Client) -> None:
        ticket = agent.ticket(title="Phone", description="As filed")
        api, way = f"/api/tickets/{ticket['id']}", f"/tickets/{ticket['id']}"
        form = inputs(page(agent.get(way)), 'id="edit-form"')
        agent.patch(api, json={"title": "Tom's", "description": "Tom's words"})
        again = inputs(page(send(agent, f"{way}/change", **form | {"title": "Ida's", "description": "Ida's words"}), 412),
                       'id="edit-form"')  # fmt: skip
        agent.patch(api, json={"title": "Tom's second"})
        choices = {"keep_title": "mine", "keep_description": "theirs"}
        again = inputs(page(send(agent, f"{way}/change", **again | choices), 412), 'id="edit-form"')
        assert again["description"] == "Tom's words"
        assert send(agent, f"{way}/change", **again | {"keep_title": "mine"}).status_code == 303
        stored = agent.get(api).json()
        assert (stored["title"], stored["description"]) == ("Ida's", "Tom's words")
