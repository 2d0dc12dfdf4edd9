"""A split gives back what was sent through the merged ticket, words and files, and takes them from the other one."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI

from backend.domain.access import Caller, Role
from backend.domain.events import sight_of
from tests.conftest import Client, problem
from tests.web.test_answers import bodies, resolve, say
from tests.web.test_links import kinds, merged, path, read
from tests.web.test_pages import page


@pytest.fixture
def emma(person: Callable[..., Client]) -> Client:
    return person("requester", "Emma")


def names(client: Client, ticket: dict[str, Any]) -> list[str]:
    return [file["name"] for file in client.get(f"{path(ticket)}/attachments").json()["items"]]


def split(agent: Client, ticket: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = agent.post(f"{path(ticket)}/reopen", **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def history(client: Client, ticket: dict[str, Any]) -> list[dict[str, Any]]:
    return client.get(f"{path(ticket)}/history?limit=200").json()["items"]


@pytest.fixture
def spoken(agent: Client, requester: Client, emma: Client) -> tuple[dict[str, Any], dict[str, Any]]:
    """Emma's ticket, which was merged into Grace's, with words and files of all three there."""
    hers, target = emma.ticket(title="Hers"), requester.ticket(title="Theirs")
    merged(agent, hers, target)
    say(emma, hers, "Kaleidoscope on mine")
    say(agent, target, "The tube is new")
    emma.post(f"{path(target)}/comments", data={"body": "Straight there"}, files={"files": ("word.log", b"word")})
    emma.attach(hers["id"], b"alone", "alone.log")
    say(requester, target, "Me too")
    requester.attach(target["id"], b"mine", "mine.log")
    return hers, target


class TestSplitting:
    def test_gives_back_words_and_files(
        self, agent: Client, requester: Client, emma: Client, spoken: tuple[dict[str, Any], dict[str, Any]]
    ) -> None:
        hers, target = spoken
        before = read(requester, target)["version"]
        split(agent, hers)
        assert bodies(emma, hers) == bodies(agent, hers) == ["Kaleidoscope on mine", "Straight there"]
        assert names(emma, hers) == ["word.log", "alone.log"]
        with_file = emma.get(f"{path(hers)}/comments").json()["items"][1]
        assert [file["name"] for file in with_file["attachments"]] == ["word.log"]
        assert emma.get(with_file["attachments"][0]["url"]).content == b"word"
        assert emma.get(path(target)).status_code == 404
        assert bodies(requester, target) == bodies(agent, target) == ["The tube is new", "Me too"]
        assert names(requester, target) == ["mine.log"]
        assert read(requester, target)["version"] > before, "whoever looks at it sees that something changed"

        def hits(client: Client) -> list[str]:
            return [hit["ticket_id"] for hit in client.get("/api/search?q=kaleidoscope").json()["items"]]

        assert hits(requester) == [] and hits(emma) == hits(agent) == [hers["id"]]

    def test_tells_both_sides_and_hides_the_rest(
        self,
        app: FastAPI,
        agent: Client,
        requester: Client,
        emma: Client,
        spoken: tuple[dict[str, Any], dict[str, Any]],
    ) -> None:
        hers, target = spoken
        assert "Emma" in {line["actor"] for line in history(requester, target)}
        assert all("via" not in line["changes"] for line in history(requester, target))
        split(agent, hers)
        reopened = history(emma, hers)[-1]
        moved = reopened["changes"]["moved"]["to"]
        assert reopened["kind"] == "reopened" and (len(moved["comments"]), len(moved["attachments"])) == (2, 2)
        for client in (agent, requester):
            line = history(client, target)[-1]
            assert (line["kind"], line["changes"]["moved"]) == ("split", {"from": moved, "to": None})
        theirs = history(requester, target)
        assert "Emma" not in {line["actor"] for line in theirs} and "word.log" not in str(theirs)
        through = [
            line for line in history(agent, target) if line["changes"].get("via") == {"from": None, "to": hers["id"]}
        ]
        assert [line["kind"] for line in through] == ["commented", "commented", "attached"]
        positions = asyncio.run(app.state.ports.tickets.list_events(0, 500))
        sight = sight_of(Caller("t", "Grace", Role.REQUESTER, "grace@example.org"))
        seen = [one for position in positions if (one := sight.of(position))]
        assert "Emma" not in {one.event.actor for one in seen}, "nor by a stream that starts before"
        shown, hers_shown = (page(who.get(f"/tickets/{one['id']}")) for who, one in ((requester, target), (emma, hers)))
        assert "Kaleidoscope on mine" not in shown and "word.log" not in shown and "Emma" not in shown
        assert "with 2 comments and 2 files sent there" in shown
        assert "Kaleidoscope on mine" in hers_shown and "Straight there" in hers_shown
        assert "with 2 comments and 2 files sent here while it was merged" in hers_shown
        (note,) = re.findall("sent here while it was merged.*?</div>", hers_shown, re.S)
        assert "alone.log" in note and "word.log" not in note, "that one stands at its comment"

    def test_takes_effect_once_and_leaves_answers_and_promises_sane(
        self, agent: Client, emma: Client, spoken: tuple[dict[str, Any], dict[str, Any]]
    ) -> None:
        hers, target = spoken
        answered = read(agent, target)["first_responded_at"]
        key = {"idempotency-key": "k"}
        first = split(agent, hers, headers=key)
        again = agent.post(f"{path(hers)}/reopen", headers=key)
        assert again.json() == first and again.headers["idempotency-replayed"] == "true"
        assert (first["status"], first["first_responded_at"]) == ("open", None), "nobody has answered on this one"
        assert read(agent, target)["first_responded_at"] == answered is not None
        assert bodies(agent, hers) == ["Kaleidoscope on mine", "Straight there"]
        say(emma, hers, "Later")
        assert bodies(emma, hers)[-1] == "Later"

    def test_merged_again_they_stay_with_their_ticket(
        self, agent: Client, requester: Client, emma: Client, spoken: tuple[dict[str, Any], dict[str, Any]]
    ) -> None:
        hers, target = spoken
        split(agent, hers)
        merged(agent, hers, target)
        assert bodies(emma, hers) == ["Kaleidoscope on mine", "Straight there"]
        say(emma, hers, "Third")
        assert bodies(requester, target) == ["The tube is new", "Me too", "Third"]
        split(agent, hers)
        assert bodies(emma, hers) == ["Kaleidoscope on mine", "Straight there", "Third"]

    def test_answers_alone_are_no_news(self, agent: Client, requester: Client, emma: Client) -> None:
        hers, target = emma.ticket(), requester.ticket()
        merged(agent, hers, target)
        say(agent, target, "For both")
        before = read(requester, target)["version"]
        split(agent, hers)
        assert bodies(agent, target) == ["For both"] and bodies(agent, hers) == []
        assert read(requester, target)["version"] == before and kinds(requester, target)[-1] == "commented"
        assert "moved" not in history(agent, hers)[-1]["changes"]


class TestChains:
    def test_each_ticket_takes_its_own(self, agent: Client, requester: Client, emma: Client) -> None:
        hers, middle, end = emma.ticket(), agent.ticket(), requester.ticket()
        merged(agent, hers, middle)
        say(emma, hers, "In the middle")
        merged(agent, middle, end)
        say(emma, hers, "At the end")
        split(agent, middle)
        assert bodies(agent, end) == [] and bodies(emma, middle) == ["In the middle", "At the end"]
        merged(agent, middle, end)
        say(emma, hers, "At the end again")
        split(agent, hers)
        assert bodies(emma, hers) == ["In the middle", "At the end", "At the end again"]
        assert bodies(agent, middle) == bodies(requester, end) == []
        for other in (middle, end):
            assert emma.get(path(other)).status_code == 404

    def test_trash_gives_back_all_that_was_said_before(self, agent: Client, requester: Client, emma: Client) -> None:
        hers, target = emma.ticket(), requester.ticket()
        merged(agent, hers, target)
        say(emma, hers, "First")
        emma.attach(hers["id"], b"x", "first.log")
        agent.delete(path(target))
        assert say(emma, hers, "Second").json()["ticket_id"] == hers["id"]
        assert bodies(emma, hers) == ["First", "Second"] and names(emma, hers) == ["first.log"]
        agent.post(f"{path(target)}/restore")
        assert bodies(requester, target) == [] and names(requester, target) == []

    def test_who_has_both_keeps_what_was_sent_on_either(self, agent: Client, requester: Client) -> None:
        one, target = requester.ticket(), requester.ticket()
        merged(agent, one, target)
        say(requester, one, "On one")
        say(requester, target, "On the other")
        split(agent, one)
        assert (bodies(requester, one), bodies(requester, target)) == (["On one"], ["On the other"])

    def test_what_reopened_it_stays_reopened(self, agent: Client, requester: Client, emma: Client) -> None:
        hers, target = emma.ticket(), requester.ticket()
        merged(agent, hers, target)
        resolve(agent, target)
        say(emma, hers, "Not yet")
        split(agent, hers)
        assert read(agent, target)["status"] == "open" and bodies(emma, hers) == ["Not yet"]


def test_agent_of_another_team_is_not_told_through_which_ticket(
    admin: Client, agent: Client, requester: Client, emma: Client, person: Callable[..., Client]
) -> None:
    hers, target = emma.ticket(), requester.ticket()
    agent.patch(path(hers), json={"team": "Desk"})
    agent.patch(path(target), json={"team": "Field"})
    merged(agent, hers, target)
    say(emma, hers, "Hello")
    field = person("agent", "Finn", teams=["Field"])
    assert hers["id"] not in str(history(field, target)) and hers["id"] in str(history(agent, target))


class TestAgentsOfAnotherTeam:
    """Who may see the merged ticket and not the one that goes on is offered nothing that is refused."""

    @pytest.fixture
    def merged_away(self, agent: Client) -> tuple[dict[str, Any], dict[str, Any]]:
        one, target = agent.ticket(team="Desk", title="One"), agent.ticket(team="Field", title="Secret title")
        merged(agent, one, target)
        return one, target

    def test_are_told_who_goes_on(
        self, admin: Client, person: Callable[..., Client], merged_away: tuple[dict[str, Any], dict[str, Any]]
    ) -> None:
        one, target = merged_away
        desk = person("agent", "Dora", teams=["Desk"])
        address = path(one)
        refused = [
            say(desk, one, "Hello"),
            desk.attach(one["id"], b"x"),
            desk.post(f"{address}/reopen"),
            desk.patch(address, json={"severity": "low"}),
            desk.post(f"{address}/resolve", json={"resolution": "x"}),
        ]
        for answer in refused:
            detail = problem(answer, 409)["detail"]
            assert "one of another team, which goes on with it" in detail, detail
            assert "reopen" not in detail and target["id"] not in detail
        html = page(desk.get(f"/tickets/{one['id']}"))
        assert "merged into one of another team, which goes on with it. An agent who may see both" in html
        assert "Split it off" not in html and 'id="composer"' not in html and 'id="reopen"' not in html
        assert "Secret title" not in html and target["id"] not in html
        refused_page = page(desk.post(f"/tickets/{one['id']}/comments", data={"body": "My words"}), 409)
        assert "one of another team" in refused_page and "My words" in refused_page, "to be copied"

    def test_may_split_what_they_see_both_sides_of(
        self, agent: Client, person: Callable[..., Client], merged_away: tuple[dict[str, Any], dict[str, Any]]
    ) -> None:
        _, target = merged_away
        one, middle = agent.ticket(team="Desk"), agent.ticket(team="Desk")
        merged(agent, one, middle)
        merged(agent, middle, target)
        desk = person("agent", "Dora", teams=["Desk"])
        assert "or reopen this one" in problem(say(desk, one), 409)["detail"]
        html = page(desk.get(f"/tickets/{one['id']}"))
        assert "Split it off" in html and "one of another team" in html
        assert split(desk, one)["status"] == "open"
        problem(desk.post(f"{path(middle)}/reopen"), 409)

    def test_get_no_split_where_only_the_end_is_theirs(self, agent: Client, person: Callable[..., Client]) -> None:
        one, middle, end = (agent.ticket(team=team) for team in ("Desk", "Field", "Desk"))
        merged(agent, one, middle)
        merged(agent, middle, end)
        desk = person("agent", "Dora", teams=["Desk"])
        html = page(desk.get(f"/tickets/{one['id']}"))
        assert f'href="/tickets/{end["id"]}"' in html and "Split it off" not in html
        problem(desk.post(f"{path(one)}/reopen"), 409)
