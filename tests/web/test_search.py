"""One search over everything: what is found, in which order, and what nobody learns from it."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Client, problem


def hits(client: Client, query: str, **more: Any) -> list[dict[str, Any]]:
    """All pages of a search."""
    found, cursor = [], None
    while True:
        params = {"q": query, **more} | ({"cursor": cursor} if cursor else {})
        answer = client.get("/api/search", params=params)
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return found


def comment(client: Client, ticket: dict[str, Any], body: str, internal: bool = False) -> str:
    answer = client.post(f"/api/tickets/{ticket['id']}/comments", json={"body": body, "internal": internal})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def told(hit: dict[str, Any]) -> str:
    return "".join(piece["text"] for piece in hit["excerpt"])


def test_finds_tickets_comments_notes_and_memories_in_turn(agent: Client) -> None:
    ticket = agent.ticket(title="Printer", description="The drum is worn <b>out</b>")
    said = comment(agent, ticket, "A new drum is ordered")
    note = comment(agent, ticket, "The drum was dear", internal=True)
    memory = agent.post("/api/memories", json={"title": "Drums", "body": "Order a drum early"}).json()["id"]
    found = hits(agent, "DRUM")
    assert [(hit["kind"], hit["id"]) for hit in found] == [
        ("ticket", ticket["id"]),
        ("comment", said),
        ("comment", note),
        ("memory", memory),
    ]
    assert found[0]["excerpt"][1] == {"text": "drum", "match": True}
    assert told(found[0]) == "The drum is worn <b>out</b>", "plain text, as it was written"
    assert (found[1]["title"], found[1]["ticket_number"], found[1]["author"]) == ("Printer", ticket["number"], "Ada")
    assert [hit["internal"] for hit in found] == [False, False, True, False]
    for kinds in ("ticket", "comment", "memory", "ticket,memory"):
        assert {hit["kind"] for hit in hits(agent, "drum", kind=kinds)} == set(kinds.split(","))


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 7, 200])
def test_pages_hold_each_hit_once_in_one_order(agent: Client, limit: int) -> None:
    ticket = agent.ticket(description="drum 0")
    for number in range(6):
        agent.ticket(description=f"drum {number}")
        comment(agent, ticket, f"drum comment {number}", internal=number % 3 == 0)
    agent.post("/api/memories", json={"title": "Drums", "body": "drum"})
    whole = hits(agent, "drum")
    assert len({(hit["kind"], hit["id"]) for hit in whole}) == len(whole) == 14
    paged = hits(agent, "drum", limit=limit)
    assert sorted(hit["id"] for hit in paged) == sorted(hit["id"] for hit in whole)
    kinds: dict[str, list[str]] = {}
    for hit in paged:
        kinds.setdefault(hit["kind"] + str(hit["internal"]), []).append(hit["id"])
    for kind, ids in kinds.items():
        assert ids == [hit["id"] for hit in whole if hit["kind"] + str(hit["internal"]) == kind], (
            "each list in its order"
        )
    assert {hit["kind"] for hit in paged[:4]} == {"ticket", "comment", "memory"}, "no list waits for another's end"


def test_requesters_learn_nothing_of_notes_memories_and_others(
    agent: Client, requester: Client, person: Callable[..., Client]
) -> None:
    mine = requester.ticket(description="drum of mine")
    other = person("requester", "Lin").ticket(description="drum of another")
    public = comment(agent, mine, "drum, publicly")
    before = requester.get("/api/search?q=drum").text
    comment(agent, mine, "drum, internally: salary", internal=True)
    comment(agent, other, "drum of another, publicly")
    agent.post("/api/memories", json={"title": "Drum", "body": "drum drum drum"})
    assert requester.get("/api/search?q=drum").text == before, "not by number, order, excerpt or cursor"
    assert {hit["id"] for hit in hits(requester, "drum")} == {mine["id"], public}
    assert hits(requester, "salary") == []
    assert hits(requester, f"requester:{other['requester']} drum") == []
    assert hits(requester, "-requester:me drum") == []
    problem(requester.get("/api/search?q=drum&kind=memory"), 403)
    problem(requester.get("/api/search?q=drum&kind=ticket,memory"), 403)
    theirs = agent.get("/api/search?q=drum&limit=1").json()["next_cursor"]
    problem(requester.get(f"/api/search?q=drum&limit=1&cursor={theirs}"), 400)
    own = requester.get("/api/search?q=drum&limit=1").json()["next_cursor"]
    head, _ = json.loads(base64.urlsafe_b64decode(own + "=" * (-len(own) % 4)))
    for forged in (
        [["notes", None]],
        [["memories", None]],
        [["tickets", 1]],
        [],
        [[1]],
        [["tickets"]],
        ["x"],
        [[[], None]],
    ):
        sealed = base64.urlsafe_b64encode(json.dumps([head, forged]).encode()).decode().rstrip("=")
        problem(requester.get(f"/api/search?q=drum&limit=1&cursor={sealed}"), 400)


def test_agents_of_a_team_find_what_is_theirs(agent: Client, person: Callable[..., Client]) -> None:
    network = person("agent", "Nora", teams=["Network"])
    ours, theirs = agent.ticket(description="drum", team="Network"), agent.ticket(description="drum", team="Desk")
    said = comment(agent, ours, "drum", internal=True)
    comment(agent, theirs, "drum")
    made = [
        agent.post("/api/memories", json={"title": "T", "body": "drum", "team": team}).json()["id"]
        for team in ("Network", "Desk", None)
    ]
    assert {hit["id"] for hit in hits(network, "drum")} == {ours["id"], said, made[0], made[2]}
    assert hits(network, "team:Desk drum") == []


def test_fields_narrow_every_kind(agent: Client) -> None:
    high = agent.ticket(description="drum", severity="high", category="A")
    agent.ticket(description="drum", severity="low", category="B")
    said = comment(agent, high, "drum")
    memory = agent.post("/api/memories", json={"title": "T", "body": "drum", "category": "A"}).json()["id"]
    assert {hit["id"] for hit in hits(agent, "drum severity:high")} == {high["id"], said}, "no memory has a severity"
    assert {hit["id"] for hit in hits(agent, "drum category:A")} == {high["id"], said, memory}
    assert [hit["id"] for hit in hits(agent, "severity:high")] == [high["id"]]
    assert hits(agent, "drum category:C") == [] == hits(agent, "!!!")


def test_trash_is_not_searched(agent: Client) -> None:
    ticket = agent.ticket(description="drum")
    comment(agent, ticket, "drum")
    agent.delete(f"/api/tickets/{ticket['id']}")
    assert hits(agent, "drum") == []
    agent.post(f"/api/tickets/{ticket['id']}/restore")
    assert len(hits(agent, "drum")) == 2


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 422),
        ("q=", 422),
        ("q=a&kind=people", 422),
        ("q=a&kind=", 422),
        ("q=status:broken", 422),
        ("q=" + "a" * 501, 422),
        ("q=a&limit=0", 422),
        ("q=a&sort=number", 422),
        ("q=a&cursor=x", 400),
        ("q=%00", 422),
        ("q=a&q=b", 422),
    ],
)
def test_refuses_what_makes_no_sense(agent: Client, query: str, status: int) -> None:
    problem(agent.get(f"/api/search?{query}"), status)


def test_says_which_values_there_are(agent: Client) -> None:
    body = problem(agent.get("/api/tickets?q=status:broken"), 422)
    assert "open, in_progress, waiting, resolved, closed" in body["errors"][0]["message"]
    assert agent.get('/api/tickets?q="status:broken"').status_code == 200
    assert agent.get("/api/tickets?q=color:red").json()["items"] == [], "an unknown field is words"


def test_search_box_narrows_the_list_of_tickets(agent: Client, requester: Client) -> None:
    mine = requester.ticket(tags=["vpn"])
    other = agent.ticket(assignee="ada@example.org")

    def found(client: Client, query: str, **more: str) -> list[str]:
        items = client.get("/api/tickets", params={"q": query, **more}).json()["items"]
        return [ticket["id"] for ticket in items]

    assert found(agent, "assignee:me") == [other["id"]]
    assert found(agent, "assignee:none") == [mine["id"]]
    assert found(agent, "tag:vpn", status="open") == [mine["id"]]
    assert found(agent, "status:closed", status="open") == []
    assert found(agent, f"number:{other['number']}") == [other["id"]]
    assert found(requester, "requester:ada@example.org") == []
    assert found(requester, "-tag:none") == [mine["id"]]
    assert found(agent, "created:>=2999") == []


def numbers_of(client: Client, query: str, **more: Any) -> list[int]:
    """All pages of the list of tickets."""
    found, cursor = [], None
    while True:
        params = {"q": query, **more} | ({"cursor": cursor} if cursor else {})
        answer = client.get("/api/tickets", params=params)
        assert answer.status_code == 200, answer.text
        found += [ticket["number"] for ticket in answer.json()["items"]]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return found


@pytest.mark.parametrize("limit", [1, 2, 50])
def test_a_number_finds_its_ticket_first(agent: Client, requester: Client, limit: int) -> None:
    made = [agent.ticket(title=f"T{n}", description="words") for n in range(4)]
    wanted = made[1]["number"]
    named = agent.ticket(title=f"As in {wanted}", description=f"{wanted} {wanted}")
    agent.ticket(title="Another", description=f"see #{wanted} please")
    for query in (f"{wanted}", f"#{wanted}", f" {wanted}* "):
        found = numbers_of(agent, query, limit=limit)
        assert found[0] == wanted and len(found) == len(set(found)) >= 3, (query, found)
        assert named["number"] in found
    assert numbers_of(agent, f"{wanted}", sort="created_at")[0] == wanted
    assert wanted not in numbers_of(agent, f"{wanted}", status="resolved"), "a filter holds for it too"
    assert numbers_of(requester, f"#{wanted}") == [], "nobody's whom it is no business of"
    mine = requester.ticket(description="nothing")
    assert numbers_of(requester, str(mine["number"])) == [mine["number"]]
    found = hits(agent, f"#{wanted}", limit=limit)
    assert found[0]["ticket_number"] == wanted
    assert len({hit["id"] for hit in found}) == len(found)
    agent.delete(f"/api/tickets/{made[1]['id']}")
    assert wanted not in numbers_of(agent, f"{wanted}"), "what is in the trash is found there"
