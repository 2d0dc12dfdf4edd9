"""Two tickets over HTTP: links, merging, splitting, watching, and what of it whom is shown."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi import FastAPI

from backend.domain.edits import Desk
from backend.domain.links import MOST_LINKS, link
from backend.domain.tickets import Link, LinkKind
from backend.domain.values import new_id, now
from backend.errors import Conflict
from tests.builders import ADA, a_ticket
from tests.conftest import Client, problem

NOBODY = "01M82WN1MF4T9XV22B24PC6B8F"


def path(ticket: dict[str, Any]) -> str:
    return f"/api/tickets/{ticket['id']}"


def read(client: Client, ticket: dict[str, Any]) -> dict[str, Any]:
    answer = client.get(path(ticket))
    assert answer.status_code == 200, answer.text
    return answer.json()


def merged(client: Client, one: dict[str, Any], into: dict[str, Any], **more: Any) -> Any:
    return client.post(f"{path(one)}/merge", json={"into": into["id"]}, **more)


def kinds(client: Client, ticket: dict[str, Any]) -> list[str]:
    return [item["kind"] for item in client.get(f"{path(ticket)}/history").json()["items"]]


class TestLinks:
    def test_are_kept_on_both(self, agent: Client) -> None:
        one, other = agent.ticket(), agent.ticket()
        body = {"kind": "duplicate_of", "ticket_id": other["id"]}
        answer = agent.post(f"{path(one)}/links", json=body, headers={"if-match": '"1"'})
        assert (answer.json()["links"], answer.headers["etag"]) == ([body], '"2"')
        assert read(agent, other)["links"] == [{"kind": "duplicated_by", "ticket_id": one["id"]}]
        assert agent.post(f"{path(one)}/links", json=body).json()["version"] == 2, "once is enough"
        problem(agent.post(f"{path(one)}/links", json=body, headers={"if-match": '"1"'}), 412)
        related = body | {"kind": "related"}
        assert agent.post(f"{path(one)}/links", json=related).json()["links"] == [related], "one tie, the newest"
        problem(agent.delete(f"{path(one)}/links/{other['id']}", headers={"if-match": '"1"'}), 412)
        assert agent.delete(f"{path(one)}/links/{other['id']}", headers={"if-match": '"3"'}).status_code == 204
        assert read(agent, one)["links"] == read(agent, other)["links"] == []
        for gone in (other["id"], one["id"], NOBODY, "x", "%00", "x" * 500):
            problem(agent.delete(f"{path(one)}/links/{gone}"), 404)
        changes = agent.get(f"{path(other)}/history").json()["items"][1]["changes"]
        assert changes == {"links": {"from": [], "to": [{"kind": "duplicated_by", "ticket_id": one["id"]}]}}

    @pytest.mark.parametrize("kind", ["merged_into", "merged_from", "follows", "followed_by", "friend", "", None])
    def test_kinds_that_are_not_made_by_hand_are_422(self, agent: Client, kind: str | None) -> None:
        body = {"kind": kind, "ticket_id": agent.ticket()["id"]}
        problem(agent.post(f"{path(agent.ticket())}/links", json=body), 422)

    def test_self_absent_and_trash_are_refused(self, agent: Client) -> None:
        one, gone = agent.ticket(), agent.ticket()
        agent.delete(path(gone))
        for other in (one["id"], NOBODY, "x", "", "x" * 65):
            problem(agent.post(f"{path(one)}/links", json={"kind": "related", "ticket_id": other}), 422)
        body = {"kind": "related", "ticket_id": gone["id"]}
        assert gone["id"] in problem(agent.post(f"{path(one)}/links", json=body), 409)["detail"]
        problem(agent.post(f"{path(gone)}/links", json=body | {"ticket_id": one["id"]}), 409)
        problem(agent.post(f"/api/tickets/{NOBODY}/links", json=body), 404)
        assert read(agent, one)["version"] == 1

    def test_can_be_undone_where_the_other_is_in_the_trash(self, agent: Client) -> None:
        one, other = agent.ticket(), agent.ticket()
        agent.post(f"{path(one)}/links", json={"kind": "related", "ticket_id": other["id"]})
        agent.delete(path(other))
        assert agent.delete(f"{path(one)}/links/{other['id']}").status_code == 204
        assert read(agent, other)["links"] == []


class TestMerging:
    def test_closes_one_in_favour_of_the_other(self, agent: Client, requester: Client) -> None:
        one, other = requester.ticket(), agent.ticket(requester="bob@example.org")
        requester.post(f"{path(one)}/comments", json={"body": "It is urgent"})
        agent.patch(path(one), json={"watchers": ["lin@example.org", "bob@example.org"]})
        answer = merged(agent, one, other, headers={"if-match": '"3"'})
        after = answer.json()
        assert (after["status"], answer.headers["etag"]) == ("closed", '"4"')
        assert after["links"] == [{"kind": "merged_into", "ticket_id": other["id"]}]
        target = read(agent, other)
        assert target["links"] == [{"kind": "merged_from", "ticket_id": one["id"]}]
        assert target["watchers"] == ["lin@example.org", "grace@example.org"], "whose own it is need not watch it"
        assert target["status"] == "open"
        comments = agent.get(f"{path(one)}/comments").json()["items"]
        assert [comment["body"] for comment in comments] == ["It is urgent"]
        assert kinds(agent, one) == ["created", "commented", "changed", "merged"]
        assert kinds(agent, other) == ["created", "absorbed"]

    def test_merged_one_takes_no_more(self, agent: Client) -> None:
        one, other, third = agent.ticket(), agent.ticket(), agent.ticket()
        agent.post(f"{path(one)}/links", json={"kind": "related", "ticket_id": third["id"]})
        file = agent.attach(one["id"], b"hello").json()["items"][0]
        merged(agent, one, other)
        before = read(agent, one)
        refused = [
            agent.post(f"{path(one)}/comments", json={"body": "Hello"}),
            agent.patch(path(one), json={"title": "X"}),
            agent.patch(path(one), json={"status": "open"}),
            agent.post(f"{path(one)}/resolve", json={"resolution": "X"}),
            agent.post(f"{path(one)}/watch"),
            agent.attach(one["id"], b"hello"),
            agent.delete(file["url"]),
            agent.post(f"{path(one)}/links", json={"kind": "related", "ticket_id": third["id"]}),
            agent.post(f"{path(one)}/links", json={"kind": "related", "ticket_id": other["id"]}),
            agent.delete(f"{path(one)}/links/{other['id']}"),
            agent.delete(f"{path(one)}/links/{third['id']}"),
            merged(agent, one, third),
        ]
        for answer in refused:
            assert other["id"] in problem(answer, 409)["detail"]
        refused = [
            agent.post(f"{path(other)}/links", json={"kind": "related", "ticket_id": one["id"]}),
            agent.delete(f"{path(other)}/links/{one['id']}"),
            agent.post(f"{path(third)}/links", json={"kind": "duplicate_of", "ticket_id": one["id"]}),
        ]
        for answer in refused:
            problem(answer, 409)
        assert read(agent, one) == before
        assert agent.get(file["url"]).content == b"hello"
        assert agent.get(f"/api/memories/{one['id']}").status_code == 404

    def test_cycles_self_trash_and_twice_are_refused(self, agent: Client) -> None:
        one, other, third, gone = (agent.ticket() for _ in range(4))
        agent.delete(path(gone))
        for into in (one["id"], NOBODY, "x", ""):
            problem(agent.post(f"{path(one)}/merge", json={"into": into}), 422)
        problem(merged(agent, one, gone), 409)
        problem(merged(agent, gone, one), 409)
        problem(agent.post(f"/api/tickets/{NOBODY}/merge", json={"into": one["id"]}), 404)
        assert merged(agent, one, other).status_code == 200
        assert "itself" in problem(merged(agent, other, one), 409)["detail"]
        assert merged(agent, other, third).status_code == 200, "a chain is no cycle"
        problem(merged(agent, third, one), 409)
        problem(merged(agent, third, other), 409)
        problem(merged(agent, one, third), 409)
        problem(merged(agent, third, agent.ticket(), headers={"if-match": '"9"'}), 412)

    def test_reopening_splits_it_again(self, agent: Client, requester: Client) -> None:
        one, other = requester.ticket(), agent.ticket()
        merged(agent, one, other)
        problem(agent.post(f"{path(one)}/reopen", headers={"if-match": '"1"'}), 412)
        again = agent.post(f"{path(one)}/reopen", headers={"if-match": '"2"'}).json()
        assert (again["status"], again["links"], again["resolved_at"]) == ("open", [], None)
        target = read(agent, other)
        assert (target["links"], target["watchers"], target["participants"]) == ([], [], [])
        assert kinds(agent, other) == ["created", "absorbed", "split"]
        assert agent.post(f"{path(one)}/comments", json={"body": "Hello"}).status_code == 201
        assert merged(agent, one, other).status_code == 200, "and can be merged again"

    def test_trash_takes_what_was_merged_and_gives_it_back(self, agent: Client) -> None:
        one, other = agent.ticket(), agent.ticket()
        merged(agent, one, other)
        assert agent.delete(path(one)).status_code == 204
        problem(agent.post(f"{path(one)}/reopen"), 409)
        assert agent.post(f"{path(one)}/restore").json()["links"] == read(agent, one)["links"] != []
        agent.delete(path(other))
        assert agent.post(f"{path(one)}/reopen").status_code == 200
        assert read(agent, other)["links"] == []

    def test_too_many_watchers_or_links_are_refused_whole(self, agent: Client) -> None:
        one, other = agent.ticket(), agent.ticket(requester="bob@example.org")
        agent.patch(path(other), json={"watchers": [f"w{n}@example.org" for n in range(50)]})
        assert "50" in problem(merged(agent, one, other), 409)["detail"]
        assert read(agent, one)["status"] == "open"
        full = a_ticket(links=tuple(Link(LinkKind.RELATED, new_id()) for _ in range(MOST_LINKS)))
        for pair in ([full, a_ticket()], [a_ticket(), full]):
            with pytest.raises(Conflict, match=f"{MOST_LINKS} links already"):
                link(Desk(ADA, now), LinkKind.RELATED, None)(pair)

    def test_two_that_merge_into_each_other_at_once_make_no_cycle(self, agent: Client) -> None:
        for _ in range(5):
            one, other = agent.ticket(), agent.ticket()
            with ThreadPoolExecutor(2) as pool:
                answers = list(pool.map(lambda pair: merged(agent, *pair), [(one, other), (other, one)]))
            assert sorted(answer.status_code for answer in answers) == [200, 409]


class TestSight:
    """Neither a link nor a watcher shows anybody what they could not see before."""

    def test_requester_sees_links_to_their_own_tickets_alone(self, agent: Client, requester: Client) -> None:
        one, own, foreign = requester.ticket(), requester.ticket(), agent.ticket(title="Secret", requester="bob")
        for other in (own, foreign):
            agent.post(f"{path(one)}/links", json={"kind": "related", "ticket_id": other["id"]})
        agent.patch(path(one), json={"watchers": ["bob@example.org", "grace@example.org"]})
        visible = [{"kind": "related", "ticket_id": own["id"]}]
        shown = [
            read(requester, one),
            requester.get("/api/tickets?sort=number").json()["items"][0],
            requester.patch(path(one), json={"description": "More"}).json(),
        ]
        for ticket in shown:
            assert (ticket["links"], ticket["watchers"]) == (visible, ["grace@example.org"])
        for listing in ("history", "comments"):
            text = requester.get(f"{path(one)}/{listing}").text
            assert foreign["id"] not in text and "bob@example.org" not in text
        assert kinds(requester, one) == ["created", "changed"]
        agent.delete(path(own))
        assert read(requester, one)["links"] == []
        assert read(agent, one)["links"] == [*visible, {"kind": "related", "ticket_id": foreign["id"]}]

    def test_requester_of_a_merged_ticket_learns_only_what_they_may(self, agent: Client, requester: Client) -> None:
        one, other = requester.ticket(), agent.ticket(requester="bob@example.org", title="Bob's")
        third = agent.ticket(requester="eve@example.org")
        agent.post(f"{path(other)}/comments", json={"body": "PSST", "internal": True})
        assert requester.get(path(other)).status_code == 404
        merged(agent, third, other)
        merged(agent, one, other)
        mine = read(requester, one)
        assert mine["links"] == [{"kind": "merged_into", "ticket_id": other["id"]}]
        assert mine["merged_into"] == {"id": other["id"], "number": other["number"], "title": "Bob's"}
        target = read(requester, other)
        assert target["links"] == [{"kind": "merged_from", "ticket_id": one["id"]}]
        assert target["participants"] == [{"ticket_id": one["id"], "address": "grace@example.org"}]
        for listing in ("", "/comments", "/history"):
            text = requester.get(f"{path(other)}{listing}").text
            assert "PSST" not in text and third["id"] not in text and "eve@example.org" not in text
        for call in ("reopen", "watch"):
            detail = problem(requester.post(f"{path(one)}/{call}"), 409)["detail"]
            assert other["id"] in detail and "split" not in detail
        for body in ({"title": "Mine now"}, {"tags": ["x"]}, {"description": "X"}):
            problem(requester.patch(path(other), json=body), 403)
        assert requester.get("/api/tickets?watcher=grace@example.org").json()["items"][0]["id"] == other["id"]
        assert "merged" in kinds(requester, one)
        agent.post(f"{path(one)}/reopen")
        assert requester.get(path(other)).status_code == 404, "undone by splitting"
        assert requester.get("/api/tickets?watcher=grace@example.org").json()["items"] == []
        assert other["id"] not in requester.get(f"{path(one)}/history").text

    def test_history_tells_an_agent_of_some_teams_nothing_of_other_teams_tickets(
        self, admin: Client, person: Callable[..., Client]
    ) -> None:
        agent = person("agent", "Lin", teams=["Network"])
        one, own, foreign, gone = (admin.ticket(team=team) for team in ("Network", "Network", "Desk", "Desk"))
        for other in (own, foreign):
            admin.post(f"{path(one)}/links", json={"kind": "related", "ticket_id": other["id"]})
        merged(admin, gone, one)
        answer = agent.get(f"{path(one)}/history")
        assert foreign["id"] not in answer.text and gone["id"] not in answer.text
        changes = [item["changes"] for item in answer.json()["items"]]
        related = [{"kind": "related", "ticket_id": own["id"]}]
        assert changes[1:3] == [{"links": {"from": [], "to": related}}, {}] and "links" not in changes[3]
        assert gone["id"] in admin.get(f"{path(one)}/history").text

    def test_agent_of_some_teams_ties_only_what_they_see(self, admin: Client, person: Callable[..., Client]) -> None:
        agent = person("agent", "Lin", teams=["Network"])
        one, own, foreign = admin.ticket(team="Network"), admin.ticket(team="Network"), admin.ticket(team="Other")
        problem(merged(agent, one, foreign), 422)
        problem(merged(agent, foreign, one), 404)
        problem(agent.post(f"{path(one)}/links", json={"kind": "related", "ticket_id": foreign["id"]}), 422)
        admin.post(f"{path(one)}/links", json={"kind": "related", "ticket_id": foreign["id"]})
        assert read(agent, one)["links"] == []
        problem(agent.delete(f"{path(one)}/links/{foreign['id']}"), 404)
        link = {"kind": "related", "ticket_id": own["id"]}
        assert agent.post(f"{path(one)}/links", json=link).json()["links"] == [link]
        assert merged(agent, one, own).json()["links"] == [{"kind": "merged_into", "ticket_id": own["id"]}]
        admin.patch(path(own), json={"team": "Other"})
        detail = problem(agent.post(f"{path(one)}/reopen"), 409)["detail"]
        assert own["id"] not in detail
        assert admin.post(f"{path(one)}/reopen").json()["links"] == [{"kind": "related", "ticket_id": foreign["id"]}]

    def test_304_hides_no_link_that_came_into_sight_or_went(self, admin: Client, person: Callable[..., Client]) -> None:
        nia = person("agent", "Nia", teams=["Network"])
        one, other = admin.ticket(team="Network"), admin.ticket(team="Storage")
        admin.post(f"{path(one)}/links", json={"kind": "related", "ticket_id": other["id"]})
        tag = '"1"'
        for team, links in (("Storage", 0), ("Network", 1), ("Storage", 0)):
            admin.patch(path(other), json={"team": team})
            answer = nia.get(path(one), headers={"if-none-match": tag})
            assert (answer.status_code, len(answer.json()["links"])) == (200, links)
            tag = answer.headers["etag"]
            assert nia.get(path(one), headers={"if-none-match": tag}).status_code == 304
            problem(nia.patch(path(one), json={"title": "X"}, headers={"if-match": tag.replace("2", "1", 1)}), 412)
        assert admin.get(path(one), headers={"if-none-match": '"2"'}).status_code == 304


class TestWatching:
    def test_whoever_may_read_it_may_watch_it(self, agent: Client, requester: Client) -> None:
        ticket = requester.ticket()
        assert agent.post(f"{path(ticket)}/watch", headers={"if-match": '"1"'}).json()["watchers"] == [
            "ada@example.org"
        ]
        problem(agent.post(f"{path(ticket)}/unwatch", headers={"if-match": '"1"'}), 412)
        assert agent.post(f"{path(ticket)}/watch").json()["version"] == 2
        assert requester.post(f"{path(ticket)}/watch").json()["watchers"] == ["grace@example.org"]
        assert agent.get("/api/tickets?watcher=ada@example.org").json()["items"][0]["id"] == ticket["id"]
        for query in ("watcher=ada@example.org", "q=watcher:ada@example.org", "q=-watcher:bob", "q=watcher:none"):
            assert requester.get(f"/api/tickets?{query}").json()["items"] == [], "who else watches can't be tried out"
        assert requester.get("/api/tickets?q=watcher:me").json()["items"][0]["id"] == ticket["id"]
        assert requester.get("/api/tickets?watcher=grace@example.org").json()["items"][0]["id"] == ticket["id"]
        assert agent.post(f"{path(ticket)}/unwatch").json()["watchers"] == ["grace@example.org"]
        problem(requester.post(f"{path(agent.ticket())}/watch"), 404)

    def test_agents_set_watchers(self, agent: Client, requester: Client) -> None:
        ticket = requester.ticket()
        problem(requester.patch(path(ticket), json={"watchers": ["x"]}), 403)
        answer = agent.patch(path(ticket), json={"watchers": ["a", "b", "a"]})
        assert answer.json()["watchers"] == ["a", "b"]
        many = [f"w{n}" for n in range(50)]
        assert len(agent.patch(path(ticket), json={"watchers": many}).json()["watchers"]) == 50
        problem(agent.patch(path(ticket), json={"watchers": [*many, "w50"]}), 422)
        assert "50" in problem(agent.post(f"{path(ticket)}/watch"), 409)["detail"]
        assert agent.post(f"{path(ticket)}/unwatch").json()["version"] == 3, "there was nothing to end"
        for bad in ("x", [""], ["\u200b"], ["a\0b"], ["a@"], ["a@x.org, b@x.org"], [1], [None]):
            problem(agent.patch(path(ticket), json={"watchers": bad}), 422)
        assert agent.patch(path(ticket), json={"watchers": None}).json()["watchers"] == []

    def test_history_of_it_is_for_agents(self, agent: Client, requester: Client) -> None:
        ticket = requester.ticket()
        agent.patch(path(ticket), json={"watchers": ["bob"]})
        agent.patch(path(ticket), json={"watchers": ["lin"], "title": "New"})
        assert kinds(agent, ticket) == ["created", "changed", "changed"]
        (_, event) = requester.get(f"{path(ticket)}/history").json()["items"]
        assert event["changes"] == {"title": {"from": "Printer", "to": "New"}}


def test_internal_notes_show_nowhere(app: FastAPI, agent: Client, requester: Client) -> None:
    """Every address that a requester may read, once an internal note, a watcher and a link are there."""
    ticket, foreign = requester.ticket(), agent.ticket(title="Foreign")
    agent.post(f"{path(ticket)}/comments", json={"body": "PSST-NOTE", "internal": True})
    agent.patch(path(ticket), json={"watchers": ["PSST-WATCHER"]})
    agent.post(f"{path(ticket)}/links", json={"kind": "related", "ticket_id": foreign["id"]})
    for address, calls in app.openapi()["paths"].items():
        if "get" in calls and address not in ("/api/events", "/metrics"):
            text = requester.get(address.format_map(_Names(ticket_id=ticket["id"]))).text
            assert "PSST" not in text and foreign["id"] not in text, address


class _Names(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return NOBODY
