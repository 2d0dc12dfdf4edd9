"""Categories, teams, canned replies and views over HTTP: the same calls, and what each means for tickets."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI

from backend.domain.access import Caller
from backend.domain.catalogue import Kind
from backend.domain.collections import VIEWS
from backend.domain.values import now
from backend.errors import Conflict
from backend.usecases import records, setup
from tests.builders import ADA
from tests.conftest import Client, problem

BODIES: dict[str, dict[str, Any]] = {
    "categories": {"name": "Hardware", "description": "Can be touched", "active": True, "team": None, "assignee": None},
    "teams": {"name": "Network", "description": "", "active": True},
    "replies": {"title": "Restart", "body": "Turn it off and on."},
    "views": {"name": "Mine", "shared": False, "query": {"status": ["open"], "q": "printer"}},
}
BAD_QUESTIONS: list[Any] = [
    {"status": ["done"]},
    {"status": "open"},
    {"stauts": ["open"]},
    {"limit": 5},
    {"cursor": "x"},
    {"sort": "relevance"},
    {"q": "x", "deleted": True},
    {"q": "x" * 501},
    {"tag": ["x"] * 21},
    {"q": "status:done"},
    {"due_before": "2026-01-01T00:00:00"},
    {"due_before": "0001-01-01T00:00:00+14:00"},
    None,
    [],
]
SPOOFS = ["a\u202eb", "a\u2066b", "a\u200bb", "a\x1bb", "a\x9bb", "\u200fab\r\n"]


@pytest.mark.parametrize("name", BODIES)
class TestEveryCollection:
    def test_adds_reads_changes_and_removes(self, admin: Client, name: str) -> None:
        made = admin.post(f"/api/{name}", json=BODIES[name])
        record = made.json()
        assert made.status_code == 201, made.text
        assert made.headers["location"] == f"/api/{name}/{record['id']}"
        assert BODIES[name].items() <= record.items() and record["version"] == 1
        assert admin.get(f"/api/{name}").json() == {"items": [record]}
        path = made.headers["location"]
        read = admin.get(path)
        assert (read.json(), read.headers["etag"]) == (record, '"1"')
        assert admin.get(path, headers={"if-none-match": '"1"'}).status_code == 304
        key = "title" if "title" in record else "name"
        changed = admin.put(path, json=BODIES[name] | {key: "Other"}, headers={"if-match": '"1"'})
        assert (changed.json()[key], changed.headers["etag"]) == ("Other", '"2"')
        problem(admin.put(path, json=BODIES[name], headers={"if-match": '"1"'}), 412)
        problem(admin.delete(path, headers={"if-match": '"1"'}), 412)
        assert admin.delete(path, headers={"if-match": '"2"'}).status_code == 204
        for gone in (admin.get(path), admin.put(path, json=BODIES[name]), admin.delete(path)):
            problem(gone, 404)
        assert admin.get(f"/api/{name}").json() == {"items": []}

    def test_name_is_taken_once(self, admin: Client, name: str) -> None:
        key = "title" if name == "replies" else "name"
        first = admin.post(f"/api/{name}", json=BODIES[name] | {key: "Café"}).json()
        for same in ("CAFÉ", "cafe\u0301", " café "):
            problem(admin.post(f"/api/{name}", json=BODIES[name] | {key: same}), 409)
        other = admin.post(f"/api/{name}", json=BODIES[name] | {key: "Tea"}).json()
        problem(admin.put(f"/api/{name}/{other['id']}", json=BODIES[name] | {key: "café"}), 409)
        assert admin.put(f"/api/{name}/{first['id']}", json=BODIES[name] | {key: "CAFÉ"}).status_code == 200
        admin.delete(f"/api/{name}/{first['id']}")
        assert admin.post(f"/api/{name}", json=BODIES[name] | {key: "café"}).status_code == 201

    def test_refuses_names_that_are_none(self, admin: Client, name: str) -> None:
        key = "title" if name == "replies" else "name"
        for value in ("a\0b", "\u202e", "", "  ", "x" * 201, None, 1, ["x"]):
            problem(admin.post(f"/api/{name}", json=BODIES[name] | {key: value}), 422)
        for identity in ("x", "0" * 26, "..%2f..", "sla"):
            problem(admin.get(f"/api/{name}/{identity}"), 404)

    def test_no_name_passes_for_another(self, admin: Client, name: str) -> None:
        key = "title" if name == "replies" else "name"
        assert admin.post(f"/api/{name}", json=BODIES[name] | {key: "ab"}).status_code == 201
        for value in SPOOFS:
            problem(admin.post(f"/api/{name}", json=BODIES[name] | {key: value}), 409)

    def test_refuses_unknown_fields(self, admin: Client, name: str) -> None:
        problem(admin.post(f"/api/{name}", json=BODIES[name] | {"owner": "x"}), 422)


class TestCategoriesAndTeams:
    def test_anything_goes_until_there_is_one(self, admin: Client) -> None:
        ticket = admin.ticket(category="Whatever", team="Whoever")
        made = admin.post("/api/categories", json={"name": "Old", "active": False}).json()
        admin.ticket(category="Whatever")
        admin.put(f"/api/categories/{made['id']}", json={"name": "Hardware"})
        admin.post("/api/categories", json={"name": "Access"})
        body = {"title": "T", "description": "D", "severity": "low", "category": "Whatever"}
        said = problem(admin.post("/api/tickets", json=body), 422)
        assert said["errors"] == [{"field": "category", "message": "must be one of: Hardware, Access"}]
        assert admin.ticket(category="hardWARE")["category"] == "Hardware"
        path = f"/api/tickets/{ticket['id']}"
        problem(admin.patch(path, json={"category": "Nothing"}), 422)
        assert admin.patch(path, json={"category": "Whatever", "title": "X"}).status_code == 200, "it may stay"
        assert admin.patch(path, json={"category": "access"}).json()["category"] == "Access"
        form = admin.post("/api/tickets", data=body, files={"f": ("a.txt", b"one")})
        problem(form, 422)

    def test_teams_are_held_to_as_well(self, admin: Client) -> None:
        made = admin.post("/api/teams", json={"name": "Network"}).json()
        body = {"title": "T", "description": "D", "severity": "low", "category": "C", "team": "Other"}
        assert problem(admin.post("/api/tickets", json=body), 422)["errors"][0]["field"] == "team"
        ticket = admin.ticket(team="network")
        assert ticket["team"] == "Network"
        admin.delete(f"/api/teams/{made['id']}")
        assert admin.patch(f"/api/tickets/{ticket['id']}", json={"team": "Anyone"}).json()["team"] == "Anyone"

    def test_category_says_who_gets_a_ticket(
        self, admin: Client, requester: Client, person: Callable[..., Client]
    ) -> None:
        person("agent", "Ada"), person("agent", "Bob")
        team = admin.post("/api/teams", json={"name": "Workplace"}).json()
        body = {"name": "Hardware", "team": "workplace", "assignee": "ada@example.org"}
        problem(admin.post("/api/categories", json=body | {"team": "Nobody"}), 422)
        admin.post("/api/categories", json=body)
        ticket = requester.ticket(category="hardware")
        assert (ticket["team"], ticket["assignee"]) == ("Workplace", "ada@example.org")
        named = admin.ticket(category="Hardware", assignee="bob@example.org")
        assert (named["team"], named["assignee"]) == ("Workplace", "bob@example.org")
        admin.post("/api/teams", json={"name": "Others"})
        admin.put(f"/api/teams/{team['id']}", json={"name": "Workplace", "active": False})
        assert requester.ticket(category="hardware")["team"] is None, "nobody is left with a team that is no more"

    def test_agent_of_one_team_files_into_it(self, person: Callable[..., Client], admin: Client) -> None:
        agent = person("agent", "Lin", teams=["Network"])
        ticket = agent.ticket()
        assert ticket["team"] == "Network"
        assert agent.get(f"/api/tickets/{ticket['id']}").status_code == 200

    def test_everybody_may_read_them_and_admins_change_them(self, admin: Client, requester: Client) -> None:
        made = admin.post("/api/categories", json={"name": "Hardware"}).json()
        assert requester.get("/api/categories").json()["items"] == [made]
        assert requester.get(f"/api/categories/{made['id']}").json() == made

    def test_other_processes_follow_within_moments(self, app: FastAPI, admin: Client) -> None:
        admin.ticket(category="Whatever")
        kept = app.state.ports.setup
        before = kept.setup, kept.good_until
        admin.post("/api/categories", json={"name": "Hardware"})
        kept.setup, kept.good_until = before  # as another process has it
        admin.ticket(category="Whatever")
        kept.good_until -= setup.GOOD_FOR_SECONDS
        body = {"title": "T", "description": "D", "severity": "low", "category": "Whatever"}
        problem(admin.post("/api/tickets", json=body), 422)

    def test_changes_are_audited(self, app: FastAPI, admin: Client) -> None:
        made = admin.post("/api/categories", json={"name": "Hardware"}).json()
        admin.put(f"/api/categories/{made['id']}", json={"name": "Hard"})
        admin.delete(f"/api/categories/{made['id']}")
        admin.post("/api/views", json=BODIES["views"])
        acts = asyncio.run(app.state.ports.catalogue.list_acts(10, None)).items
        assert [act.action for act in acts] == [
            f"category.{done}" for done in ("removed", "renamed", "changed", "created")
        ]


class TestReplies:
    def test_gaps_are_filled_once_and_unknown_ones_left(self, agent: Client) -> None:
        ticket = agent.ticket(title="It says {{agent}}", requester="grace@example.org")
        body = "#{{number}} {{ title }} {{requester}} {{agent}} {{secret}} {{number}{{}} {number} {{__class__}}"
        reply = agent.post("/api/replies", json={"title": "All", "body": body}).json()
        answer = agent.get(f"/api/tickets/{ticket['id']}/replies/{reply['id']}")
        assert answer.json() == {
            "body": f"#{ticket['number']} It says {{{{agent}}}} grace@example.org Ada "
            "{{secret}} {{number}{{}} {number} {{__class__}}"
        }
        problem(agent.get(f"/api/tickets/{ticket['id']}/replies/{ticket['id']}"), 404)
        problem(agent.get(f"/api/tickets/{reply['id']}/replies/{reply['id']}"), 404)

    def test_any_agent_may_change_them(self, agent: Client, person: Callable[..., Client]) -> None:
        made = agent.post("/api/replies", json=BODIES["replies"]).json()
        lin = person("agent", "Lin")
        assert lin.put(f"/api/replies/{made['id']}", json={"title": "X", "body": "Y"}).status_code == 200


class TestViews:
    def test_own_and_shared_ones_are_seen(self, admin: Client, agent: Client, person: Callable[..., Client]) -> None:
        lin = person("agent", "Lin")
        own = agent.post("/api/views", json=BODIES["views"]).json()
        shared = agent.post("/api/views", json=BODIES["views"] | {"name": "Ours", "shared": True}).json()
        theirs = lin.post("/api/views", json=BODIES["views"]).json()
        assert own["owner"] == "ada@example.org"
        assert agent.get("/api/views").json()["items"] == [own, shared]
        assert lin.get("/api/views").json()["items"] == [shared, theirs]
        problem(lin.get(f"/api/views/{own['id']}"), 404)
        problem(lin.put(f"/api/views/{own['id']}", json=BODIES["views"]), 404)
        for call in (
            lin.put(f"/api/views/{shared['id']}", json=BODIES["views"]),
            lin.delete(f"/api/views/{shared['id']}"),
        ):
            assert "ada@example.org" in problem(call, 403)["detail"]
        changed = admin.put(f"/api/views/{own['id']}", json=BODIES["views"] | {"name": "Fixed"}).json()
        assert changed["owner"] == "ada@example.org"
        assert admin.delete(f"/api/views/{own['id']}").status_code == 204

    def test_its_address_asks_for_what_it_says(self, admin: Client) -> None:
        ours = admin.ticket(title="printer & co", tags=["a b"])
        admin.ticket(title="printer", severity="high")
        query = {"severity": ["low", "medium"], "tag": ["a b"], "q": "printer", "overdue": False}
        view = admin.post("/api/views", json={"name": "V", "query": query}).json()
        assert view["query"] == {"severity": ["low", "medium"], "tag": ["a b"], "q": "printer"}
        assert [ticket["id"] for ticket in admin.get(view["url"]).json()["items"]] == [ours["id"]]
        late = admin.post("/api/views", json={"name": "L", "query": {"overdue": True, "sort": "due_at"}}).json()
        assert late["url"] == "/api/tickets?overdue=true&sort=due_at"
        assert admin.get(late["url"]).json()["items"] == []
        whole = {"due_before": "2026-01-01T00:00:00+01:00", "status": ["open"], "deleted": True}
        assert admin.get(admin.post("/api/views", json={"name": "W", "query": whole}).json()["url"]).status_code == 200

    def test_refuses_questions_that_the_list_would_refuse(self, admin: Client) -> None:
        for query in BAD_QUESTIONS:
            problem(admin.post("/api/views", json={"name": "V", "query": query}), 422)


def test_there_is_an_end_to_how_many(app: FastAPI, agent: Client) -> None:
    few = replace(VIEWS, most=2)

    async def add(caller: Caller, name: str) -> None:
        await records.create_record(
            app.state.ports, caller, few, VIEWS.draft.model_validate({"name": name, "query": {}})
        )

    for name in ("One", "Two"):
        asyncio.run(add(ADA, name))
    with pytest.raises(Conflict, match="2 views already"):
        asyncio.run(add(ADA, "Three"))
    asyncio.run(add(replace(ADA, address="lin@example.org"), "Three"))


def test_what_no_version_understands_does_not_stop_tickets(app: FastAPI, admin: Client) -> None:
    admin.put("/api/sla", json={"time_zone": "UTC", "hours": {"monday": ["09:00-17:00"]}, "promises": {}})
    catalogue = app.state.ports.catalogue

    async def break_it() -> None:
        (record,) = (await catalogue.list_records(Kind.SLA, 9, None)).items
        await catalogue.put(record.with_body({**record.body, "time_zone": "Mars/Olympus"}, now()))

    asyncio.run(break_it())
    app.state.ports.setup.good_until = 0.0
    assert admin.ticket()["due_at"] is None
