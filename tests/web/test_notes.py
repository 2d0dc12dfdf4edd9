"""What belongs to an internal note is internal with it: no address shows a requester its files, by name or by bytes."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.usecases import outbox
from backend.web.pages import rendering
from tests.conftest import Client, problem
from tests.stored import Stored
from tests.streams import Stream, serving
from tests.targets import plain, target

NAME, BYTES = "PSST-name.txt", b"PSST-bytes"
FILE = {"files": (NAME, BYTES)}
ABSENT = "01M82WN1MF4T9XV22B24PC6B8F"


def path(ticket: dict[str, Any]) -> str:
    return f"/api/tickets/{ticket['id']}"


def note(agent: Client, ticket: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An internal note with a file."""
    answer = agent.post(f"{path(ticket)}/comments", data={"body": "PSST-note", "internal": "true"}, files=FILE, **more)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture
def ticket(requester: Client) -> dict[str, Any]:
    return requester.ticket()


class _Names(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ABSENT


def reached(app: FastAPI, requester: Client, ticket: dict[str, Any], file_id: str) -> dict[str, bytes]:
    """Everything that a requester can read, of the API and of the pages, headers included."""
    names = _Names(ticket_id=ticket["id"], attachment_id=file_id)
    addresses = [a.format_map(names) for a, calls in app.openapi()["paths"].items() if "get" in calls]
    addresses = [a for a in addresses if a not in ("/api/events", "/metrics")]
    addresses += [f"/tickets/{ticket['id']}", f"/tickets/{ticket['id']}?all=1", "/queue", "/queue?q=note"]
    addresses += [
        f"/tickets/{ticket['id']}/suggestions",
        "/api/search?q=PSST",
        "/api/tickets?q=PSST",
        "/api/search?q=txt",
    ]
    found = {}
    for address in addresses:
        answer = requester.get(address)
        found[address] = str(answer.headers).encode() + answer.content
    return found


class TestWithAComment:
    def test_one_request_one_line_of_history(self, agent: Client, requester: Client, ticket: dict[str, Any]) -> None:
        answer = agent.post(
            f"{path(ticket)}/comments",
            data={"body": "Try this", "internal": ""},
            files=[("files", ("a.txt", b"one")), ("files", ("b.txt", b"two"))],
        )
        assert answer.status_code == 201
        said = answer.json()
        assert [file["name"] for file in said["attachments"]] == ["a.txt", "b.txt"]
        assert {(file["comment_id"], file["internal"]) for file in said["attachments"]} == {(said["id"], False)}
        assert requester.get(f"{path(ticket)}/comments").json()["items"] == [said]
        assert requester.get(f"{path(ticket)}/attachments").json()["items"] == said["attachments"]
        _, line = requester.get(f"{path(ticket)}/history").json()["items"]
        assert (line["kind"], line["changes"]["attachments"]) == ("commented", {"from": None, "to": ["a.txt", "b.txt"]})
        assert requester.get(said["attachments"][1]["url"]).content == b"two"

    def test_requester_sends_files_too_but_no_internal_ones(
        self, requester: Client, ticket: dict[str, Any], stored: Stored
    ) -> None:
        said = requester.post(f"{path(ticket)}/comments", data={"body": "Here"}, files=FILE)
        assert said.status_code == 201 and said.json()["attachments"][0]["uploader"] == said.json()["author"]
        before = stored.uploads()
        problem(requester.post(f"{path(ticket)}/comments", data={"body": "x", "internal": "true"}, files=FILE), 403)
        problem(requester.post(f"{path(ticket)}/attachments", data={"internal": "true"}, files=FILE), 403)
        assert stored.uploads() == before

    @pytest.mark.parametrize(
        ("data", "status"),
        [
            ({}, 422),
            ({"body": ""}, 422),
            ({"body": "x", "internal": "maybe"}, 422),
            ({"body": "x", "status": "open"}, 422),
        ],
    )
    def test_what_is_refused_leaves_nothing(
        self, agent: Client, ticket: dict[str, Any], stored: Stored, data: dict[str, str], status: int
    ) -> None:
        problem(agent.post(f"{path(ticket)}/comments", data=data, files=FILE), status)
        problem(agent.post(f"/api/tickets/{ABSENT}/comments", data={"body": "x"}, files=FILE), 404)
        assert stored.uploads() == []
        assert agent.get(f"{path(ticket)}/comments").json()["items"] == []

    @pytest.mark.parametrize("what", ["comments", "attachments"])
    def test_what_stands_in_the_address_is_refused(
        self, agent: Client, ticket: dict[str, Any], stored: Stored, what: str
    ) -> None:
        for sent in ({"data": {"body": "PSST"}, "files": FILE}, {"json": {"body": "PSST"}}):
            body = problem(agent.post(f"{path(ticket)}/{what}?internal=true", **sent), 422)
            assert [error["field"] for error in body["errors"]] == ["internal"]
        assert stored.uploads() == [] and agent.get(f"{path(ticket)}/comments").json()["items"] == []

    def test_same_key_takes_effect_once(self, agent: Client, ticket: dict[str, Any], stored: Stored) -> None:
        key = {"idempotency-key": "k"}
        first = note(agent, ticket, headers=key)
        again = agent.post(
            f"{path(ticket)}/comments", data={"body": "PSST-note", "internal": "true"}, files=FILE, headers=key
        )
        assert (again.status_code, again.json(), again.headers["idempotency-replayed"]) == (201, first, "true")
        other = {"files": (NAME, b"other bytes")}
        form = {"body": "PSST-note", "internal": "true"}
        problem(agent.post(f"{path(ticket)}/comments", data=form, files=other, headers=key), 422)
        assert len(stored.uploads()) == len(agent.get(f"{path(ticket)}/comments").json()["items"]) == 1

    def test_described_with_its_fields_and_files(self, app: FastAPI) -> None:
        document = app.openapi()
        bodies = document["paths"]["/api/tickets/{ticket_id}/comments"]["post"]["requestBody"]["content"]
        assert set(bodies["multipart/form-data"]["schema"]["properties"]) == {"body", "internal", "files"}
        shapes = document["components"]["schemas"]
        assert "attachments" in shapes["CommentOut"]["examples"][0]
        assert {"comment_id", "internal"} <= shapes["AttachmentOut"]["examples"][0].keys()


class TestOfANote:
    def test_agents_have_it(self, agent: Client, ticket: dict[str, Any]) -> None:
        (file,) = note(agent, ticket)["attachments"]
        assert file["internal"] and agent.get(file["url"]).content == BYTES
        assert agent.get(f"{path(ticket)}/attachments").json()["items"] == [file]
        assert agent.get(f"{path(ticket)}/history").json()["items"][-1]["internal"]

    def test_requester_can_not_tell_it_from_one_that_is_not_there(
        self, agent: Client, requester: Client, ticket: dict[str, Any]
    ) -> None:
        (file,) = note(agent, ticket)["attachments"]
        nowhere = f"{path(ticket)}/attachments/{ABSENT}"
        for method in ("get", "head", "delete"):
            for headers in ({}, {"range": "bytes=0-1"}, {"if-none-match": "*"}, {"sec-fetch-dest": "image"}):
                there, not_there = (getattr(requester, method)(url, headers=headers) for url in (file["url"], nowhere))
                assert there.status_code == not_there.status_code == 404
                assert there.text == not_there.text.replace(ABSENT, file["id"])
        answer = requester.post(f"/tickets/{ticket['id']}/attachments/{file['id']}/remove", headers=SAME)
        assert answer.status_code == 404
        assert agent.get(file["url"]).content == BYTES, "nor removed it"

    def test_no_address_shows_it_while_it_is_there_and_after(
        self, app: FastAPI, agent: Client, requester: Client, ticket: dict[str, Any]
    ) -> None:
        (file,) = note(agent, ticket)["attachments"]
        alone = agent.post(f"{path(ticket)}/attachments", data={"internal": "true"}, files=FILE).json()["items"][0]
        assert (alone["internal"], alone["comment_id"]) == (True, None)
        for one in (file, alone):
            for address, content in reached(app, requester, ticket, one["id"]).items():
                assert b"PSST" not in content and one["sha256"].encode() not in content, address
                assert f'"id":"{one["id"]}'.encode() not in content, address
            assert agent.delete(one["url"]).status_code == 204
        for address, content in reached(app, requester, ticket, file["id"]).items():
            assert b"PSST" not in content, address
        kinds = [one["kind"] for one in agent.get(f"{path(ticket)}/history").json()["items"]]
        assert kinds == ["created", "commented", "attached", "detached", "detached"]
        assert [one["kind"] for one in requester.get(f"{path(ticket)}/history").json()["items"]] == ["created"]

    def test_streams_and_webhooks_tell_only_who_may_know(
        self, app: FastAPI, admin: Client, agent: Client, requester: Client, ticket: dict[str, Any]
    ) -> None:
        with serving(app) as port, Stream(port, requester.token) as stream, target(plain(200)) as there:
            stream.hello()
            hooks = [
                admin.post("/api/webhooks", json={"url": there.url, "internal": internal}).json()["id"]
                for internal in (False, True)
            ]
            (file,) = note(agent, ticket)["attachments"]
            agent.delete(file["url"])
            agent.post(f"{path(ticket)}/attachments", files={"f": ("public.txt", b"x")})
            event = next(iter(stream.events()))
            assert (event.event, event.data["changes"]["attachments"]["to"]) == ("ticket.attached", ["public.txt"])
            admin.portal.call(outbox.fan_out, app.state.ports)
        kinds = [[one["kind"] for one in sent(admin, hook)] for hook in hooks]
        assert kinds == [["ticket.attached"], ["ticket.attached", "ticket.detached", "ticket.commented"]]

    def test_page_shows_it_under_the_note_to_agents(
        self, agent: Client, requester: Client, ticket: dict[str, Any]
    ) -> None:
        place = f"/tickets/{ticket['id']}"
        form = {"body": "PSST-note", "internal": "yes", "once": "1"}
        assert agent.post(f"{place}/comments", data=form, files=FILE, headers=SAME).status_code == 200
        (said,) = agent.get(f"{path(ticket)}/comments").json()["items"]
        assert said["internal"] and said["attachments"][0]["internal"]
        html = agent.get(place).text
        entry = html.partition(f'id="c-{said["id"]}"')[2].partition("</li>\n</ol>")[0]
        assert NAME in entry and "Internal" in entry
        assert "PSST" not in requester.get(place).text
        # Without words they are the ticket's own, and internal all the same.
        agent.post(f"{place}/comments", data={"body": "", "internal": "yes"}, files=FILE, headers=SAME)
        assert [one["internal"] for one in agent.get(f"{path(ticket)}/attachments").json()["items"]] == [True, True]
        assert "PSST" not in requester.get(place).text

    def test_form_beside_the_ticket(self, agent: Client, requester: Client, ticket: dict[str, Any]) -> None:
        place = f"/tickets/{ticket['id']}"
        assert "agents_only" in agent.get(place).text and "agents_only" not in requester.get(place).text
        agent.post(f"{place}/attachments", data={"adding": "yes", "agents_only": "yes"}, files=FILE, headers=SAME)
        requester.post(f"{place}/attachments", data={"adding": "yes"}, files={"f": ("mine.txt", b"x")}, headers=SAME)
        found = agent.get(f"{path(ticket)}/attachments").json()["items"]
        assert [(one["name"], one["internal"]) for one in found] == [(NAME, True), ("mine.txt", False)]
        refused = requester.post(f"{place}/attachments", data={"agents_only": "yes"}, files=FILE, headers=SAME)
        assert refused.status_code == 403 and "Only agents" in refused.text
        empty = agent.post(f"{place}/attachments", data={"adding": "yes"}, headers=SAME)
        assert empty.status_code == 400 and "choose a file" in empty.text


SAME = {"sec-fetch-site": "same-origin", "accept": "text/html"}


def sent(admin: Client, hook: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = admin.get(f"/api/webhooks/{hook}/deliveries").json()["items"]
    return found


def told(app: FastAPI, requester: Client, ticket: dict[str, Any]) -> dict[str, bytes]:
    """What of it the requester can tell apart: all that they reach, less what is another with every request."""
    found = reached(app, requester, ticket, ABSENT)
    once = re.compile(
        rb'name="once" value="[^"]*"|data-position="[0-9]+"|"ms":[0-9.]+|x-request-id[^,]*|content-length[^,]*'
    )
    return {address: once.sub(b"", content) for address, content in found.items() if not address.startswith("/health")}


class TestNothingMoves:
    """A requester who asks again and again can't tell that agents have written to each other."""

    def test_no_answer_changes(
        self, app: FastAPI, agent: Client, requester: Client, ticket: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rendering, "distance", lambda *_: "some time")
        requester.ticket(title="A later one")
        foreign = agent.ticket(title="Foreign")
        before = told(app, requester, ticket)
        note(agent, ticket)
        agent.post(f"{path(ticket)}/attachments", data={"internal": "true"}, files=FILE)
        agent.post(f"{path(ticket)}/watch")
        agent.post(f"{path(ticket)}/links", json={"kind": "related", "ticket_id": foreign["id"]})
        assert told(app, requester, ticket) == before
        ours = agent.get(path(ticket)).json()
        assert (ours["version"], ours["updated_at"] > ticket["updated_at"]) == (4, True)
        assert "public" not in json.dumps(ours)

    def test_lists_keep_their_order_and_filters(self, agent: Client, requester: Client, ticket: dict[str, Any]) -> None:
        later = requester.ticket(title="A later one")
        note(agent, ticket)

        def ids(client: Client, query: str) -> list[str]:
            return [one["id"] for one in client.get(f"/api/tickets?{query}").json()["items"]]

        assert ids(requester, "sort=-updated_at") == [later["id"], ticket["id"]]
        assert ids(requester, "sort=updated_at&limit=1") == [ticket["id"]]
        assert ids(agent, "sort=-updated_at") == [ticket["id"], later["id"]]
        noted_at = agent.get(path(ticket)).json()["updated_at"]
        assert ids(agent, f"q=updated:>={noted_at}") == [ticket["id"]]
        assert ids(requester, f"q=updated:>={noted_at}") == []

    def test_conditions_count_what_each_is_told(self, agent: Client, requester: Client, ticket: dict[str, Any]) -> None:
        theirs = requester.get(path(ticket)).headers["etag"]
        note(agent, ticket)
        assert requester.get(path(ticket), headers={"if-none-match": theirs}).status_code == 304
        ours = agent.get(path(ticket)).headers["etag"]
        assert (theirs, ours) == ('"1"', '"2"')
        problem(agent.patch(path(ticket), json={"title": "X"}, headers={"if-match": theirs}), 412)
        done = requester.patch(path(ticket), json={"title": "Mine"}, headers={"if-match": theirs})
        assert (done.status_code, done.headers["etag"], done.json()["version"]) == (200, '"2"', 2)
        problem(agent.patch(path(ticket), json={"title": "X"}, headers={"if-match": ours}), 412)
        refused = requester.patch(path(ticket), json={"title": "X"}, headers={"if-match": theirs})
        assert "version 2" in problem(refused, 412)["detail"]
        form = {"title": "From the page", "description": "D", "was_title": "Mine"}
        assert requester.post(f"/tickets/{ticket['id']}/change", data=form, headers=SAME).status_code == 200
        assert agent.get(path(ticket)).json()["version"] == 4

    def test_what_a_requester_sees_change_is_no_304(
        self, agent: Client, requester: Client, ticket: dict[str, Any]
    ) -> None:
        """Their own watching and links among their own tickets are no change of the ticket, but of what is shown."""
        other = requester.ticket(title="Another of mine")
        tags = [requester.get(path(ticket)).headers["etag"]]
        for act in (
            lambda: requester.post(f"{path(ticket)}/watch"),
            lambda: agent.post(f"{path(ticket)}/links", json={"kind": "related", "ticket_id": other["id"]}),
            lambda: agent.delete(f"/api/tickets/{other['id']}"),
            lambda: requester.post(f"{path(ticket)}/unwatch"),
        ):
            assert act().status_code < 300
            shown = requester.get(path(ticket), headers={"if-none-match": tags[-1]})
            assert shown.status_code == 200
            tags.append(shown.headers["etag"])
        assert tags[0] == tags[-1]
        for tag in tags:
            same = {"title": ticket["title"]}
            assert requester.patch(path(ticket), json=same, headers={"if-match": tag}).status_code == 200


ACTS = st.lists(st.sampled_from(["reply", "note", "attach", "attach internally", "remove", "resolve"]), max_size=8)


def test_whatever_is_done_no_file_of_a_note_is_reached(
    app: FastAPI, agent: Client, requester: Client, person: Callable[..., Client]
) -> None:
    """Any mixture of public and internal acts, with files of the same names as notes' on other notes."""

    @given(ACTS)
    @settings(max_examples=8)
    def check(acts: list[str]) -> None:
        ticket = requester.ticket()
        shown = set()
        for number, act in enumerate(acts):
            internal = act in ("note", "attach internally")
            before = requester.get(path(ticket))
            name = f"{'PSST' if internal else 'open'}-{number % 3}.txt"
            files = {"f": (name, f"{name} {number}")}
            if act in ("reply", "note"):
                form = {"body": f"{'PSST' if internal else 'Said'} {number}", "internal": str(internal).lower()}
                assert agent.post(f"{path(ticket)}/comments", data=form, files=files).status_code == 201
            elif act.startswith("attach"):
                form = {"internal": str(internal).lower()}
                assert agent.post(f"{path(ticket)}/attachments", data=form, files=files).status_code == 201
            elif act == "remove":
                for one in agent.get(f"{path(ticket)}/attachments").json()["items"][:1]:
                    agent.delete(one["url"])
                    shown.discard(one["id"])
            else:
                agent.post(f"{path(ticket)}/resolve", json={"resolution": "Done", "remember": False})
            after = requester.get(path(ticket))
            if internal:
                assert (after.content, after.headers["etag"]) == (before.content, before.headers["etag"])
            elif act == "reply":
                assert after.headers["etag"] != before.headers["etag"]
        every = agent.get(f"{path(ticket)}/attachments").json()["items"]
        hidden = [one for one in every if one["internal"]]
        listed = requester.get(f"{path(ticket)}/attachments").json()["items"]
        assert listed == [one for one in every if not one["internal"]]
        assert all(one["name"].startswith("PSST") for one in hidden)
        for rest in ("", "/comments", "/history", "/attachments"):
            assert "PSST" not in json.dumps(requester.get(f"{path(ticket)}{rest}").json())
        assert "PSST" not in requester.get(f"/tickets/{ticket['id']}?all=1").text
        for one in hidden:
            assert requester.get(one["url"]).status_code == 404

    check()
