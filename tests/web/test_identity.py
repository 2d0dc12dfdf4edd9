"""Who somebody is: rights and lists compare ids and one normal form of addresses, never names or spellings."""

import asyncio
from collections.abc import Callable
from urllib.parse import quote

import pytest
from fastapi import FastAPI

from backend.domain.catalogue import Kind, new_record
from backend.domain.values import now
from tests.conftest import Client, problem

Person = Callable[..., Client]
SPELLINGS = [
    "Grace@Example.org",
    "GRACE@EXAMPLE.ORG",
    "Grace <grace@example.org>",
    "mailto:grace@example.org",
    "grace@example.org;",
]


def path(ticket: dict, end: str = "") -> str:
    return f"/api/tickets/{ticket['id']}{end}"


def ids(answer) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["items"]]


@pytest.mark.parametrize("spelling", SPELLINGS)
class TestSpellings:
    """Grace, however her address is written."""

    def test_a_token_and_a_ticket_are_one_persons(self, agent: Client, person: Person, spelling: str) -> None:
        ticket = agent.ticket(requester=spelling)
        assert ticket["requester"] == "grace@example.org"
        for grace in (person("requester", "G", email=spelling), person("requester", "H", email="gRACE@example.ORG")):
            assert grace.get("/api/session").json()["address"] == "grace@example.org"
            assert grace.get(path(ticket)).status_code == 200
            assert ids(grace.get("/api/tickets")) == [ticket["id"]]
            assert grace.post(path(ticket, "/comments"), json={"body": "x"}).status_code == 201

    def test_every_filter_finds_both(self, agent: Client, person: Person, spelling: str) -> None:
        person("agent", "Grace")
        ticket = agent.ticket(requester="grace@example.org", assignee=spelling)
        agent.patch(path(ticket), json={"watchers": [spelling, "grace@example.org"]})
        assert agent.get(path(ticket)).json()["watchers"] == ["grace@example.org"]
        for field in ("requester", "assignee", "watcher"):
            assert ids(agent.get(f"/api/tickets?{field}={quote(spelling)}")) == [ticket["id"]]
            assert ids(agent.get("/api/tickets", params={"q": f'{field}:"{spelling}"'})) == [ticket["id"]]
        view = agent.post("/api/views", json={"name": "V", "query": {"assignee": [spelling]}}).json()
        assert ids(agent.get(view["url"])) == [ticket["id"]]


def test_mine_and_me_are_the_person(person: Person) -> None:
    one, other = person("agent", "Ada", email="Ada@Example.org"), person("agent", "Ada L.", email="ada@example.org ")
    ticket = one.ticket(assignee="ADA@example.org")
    other.post(path(ticket, "/watch"))
    for query in ("assignee=me", "watcher=me", "q=assignee:me", "q=watcher:me", "assignee=ada@example.org"):
        assert ids(one.get(f"/api/tickets?{query}")) == [ticket["id"]]
    assert ids(one.get("/api/tickets?requester=me")) == [ticket["id"]]
    made = one.post("/api/views", json={"name": "V", "query": {}}).json()
    assert other.delete(f"/api/views/{made['id']}").status_code == 204, "it is the same person's"


@pytest.mark.parametrize("word", ["none", "unassigned", "nobody", "None"])
def test_nobody_has_what_is_unassigned(agent: Client, word: str) -> None:
    free, taken = agent.ticket(), agent.ticket(assignee="ada@example.org")
    assert ids(agent.get(f"/api/tickets?assignee={word}")) == [free["id"]]
    assert ids(agent.get(f"/api/tickets?q=assignee:{word}")) == [free["id"]]
    both = agent.get(f"/api/tickets?assignee={word}&assignee=Ada@Example.org&sort=created_at")
    assert ids(both) == [free["id"], taken["id"]]
    view = agent.post("/api/views", json={"name": "V", "query": {"assignee": [word]}}).json()
    assert ids(agent.get(view["url"])) == [free["id"]]


class TestSameNames:
    """A name is nobody's: several tokens may have it, and it gives no right."""

    def test_a_requester_removes_no_file_of_an_agent_of_that_name(self, agent: Client, person: Person) -> None:
        mallory = person("requester", "Ada", email="mallory@example.org")
        ticket = mallory.ticket()
        sent = agent.post(path(ticket, "/attachments"), files={"files": ("a.txt", b"x")}).json()["items"][0]
        problem(mallory.delete(path(ticket, f"/attachments/{sent['id']}")), 403)
        own = mallory.post(path(ticket, "/attachments"), files={"files": ("b.txt", b"x")}).json()["items"][0]
        again = person("requester", "M.", email="Mallory@Example.org")
        assert again.delete(path(ticket, f"/attachments/{own['id']}")).status_code == 204

    @pytest.mark.parametrize("name", ["admin", "Admin", "environment", "token:environment"])
    def test_nobody_is_the_administrator_by_name(self, admin: Client, person: Person, name: str) -> None:
        ticket = admin.ticket()
        other = person("requester", name, email=None)
        problem(other.get(path(ticket)), 404)
        assert ids(other.get("/api/tickets")) == []
        assert ids(other.get("/api/tickets?watcher=me")) == []

    def test_tokens_without_an_address_are_themselves(self, admin: Client, person: Person) -> None:
        one, twin = person("requester", "Kiosk", email=None), person("requester", "Kiosk", email=None)
        ticket = one.ticket()
        assert ticket["requester"] == one.get("/api/session").json()["address"]
        assert ids(one.get("/api/tickets")) == [ticket["id"]] and ids(twin.get("/api/tickets")) == []
        problem(twin.get(path(ticket)), 404)
        named = person("requester", "grace@example.org", email=None)
        assert ids(named.get("/api/tickets")) == []
        problem(named.get(path(admin.ticket(requester="grace@example.org"))), 404)
        filed = admin.ticket(requester="Kiosk")
        assert filed["requester"] == "Kiosk"
        problem(one.get(path(filed)), 404)
        meant = admin.ticket(requester=ticket["requester"].lower())
        assert one.get(path(meant)).status_code == 200

    def test_views_are_the_persons_and_not_the_names(self, person: Person) -> None:
        one, twin = person("agent", "Bob", email=None), person("agent", "Bob", email=None)
        view = one.post("/api/views", json={"name": "V", "query": {}}).json()
        problem(twin.get(f"/api/views/{view['id']}"), 404)
        problem(twin.delete(f"/api/views/{view['id']}"), 404)

    def test_views_of_an_earlier_spelling_stay_their_owners(self, app: FastAPI, agent: Client, person: Person) -> None:
        record = new_record(Kind.VIEW, {"name": "V", "shared": False, "query": {}}, now(), owner="Ada@Example.org")
        asyncio.run(app.state.ports.catalogue.put(record))
        assert [one["id"] for one in agent.get("/api/views").json()["items"]] == [record.id]
        problem(person("agent", "Lin").get(f"/api/views/{record.id}"), 404)
        assert agent.delete(f"/api/views/{record.id}").status_code == 204

    def test_a_reply_greets_by_name(self, agent: Client, person: Person) -> None:
        ticket = person("requester", "Kiosk", email=None).ticket()
        reply = agent.post("/api/replies", json={"title": "R", "body": "Hello {{requester}}"}).json()
        assert agent.get(path(ticket, f"/replies/{reply['id']}")).json()["body"] == "Hello Kiosk"

    def test_the_first_answer_is_not_by_who_asked(self, agent: Client, person: Person) -> None:
        namesake = person("requester", "Ada", email="ada2@example.org")
        ticket = namesake.ticket()
        agent.post(path(ticket, "/comments"), json={"body": "x"})
        assert agent.get(path(ticket)).json()["first_responded_at"] is not None


def test_one_address_with_two_roles_leaks_nothing_upward(person: Person) -> None:
    as_agent, as_requester = person("agent", "Ada"), person("requester", "Ada")
    others, own = as_agent.ticket(requester="grace@example.org", assignee="ada@example.org"), as_agent.ticket()
    as_agent.post(path(own, "/comments"), json={"body": "secret", "internal": True})
    as_agent.post(path(others, "/watch"))
    problem(as_requester.get(path(others)), 404)
    assert ids(as_requester.get("/api/tickets")) == [own["id"]]
    assert ids(as_requester.get("/api/tickets?assignee=me")) == []
    assert as_requester.get(path(own, "/comments")).json()["items"] == []
    problem(as_requester.get("/api/views"), 403)
    problem(as_requester.patch(path(own), json={"assignee": "ada@example.org"}), 403)


@pytest.mark.parametrize("bad", ["grace@", "a@x.org, b@x.org", "x" * 300, "\u200b", "a\x00@x.org"])
def test_what_names_nobody_is_422_in_one_line(admin: Client, bad: str) -> None:
    draft = {"title": "T", "description": "D", "severity": "low", "category": "C", "requester": bad}
    (error,) = problem(admin.post("/api/tickets", json=draft), 422)["errors"]
    assert error["field"] == "requester" and "\n" not in error["message"]
    token = {"name": "G", "role": "requester", "email": bad}
    assert problem(admin.post("/api/tokens", json=token), 422)["errors"][0]["field"] == "email"


def test_whoever_looks_may_write_half_an_address(agent: Client) -> None:
    assert ids(agent.get("/api/tickets?requester=grace@")) == []
