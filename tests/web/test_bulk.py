"""Many tickets at once over HTTP: all or each, once, and nothing half done."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Client, problem

NOBODY = "01M82WN1MF4T9XV22B24PC6B8F"


def bulk(client: Client, ids: list[Any], action: str, headers: dict[str, str] | None = None, **more: Any) -> Any:
    tickets = [one if isinstance(one, dict) else {"id": one} for one in ids]
    return client.post("/api/tickets/bulk", json={"tickets": tickets, "action": action, **more}, headers=headers)


def versions(client: Client, ids: list[str]) -> list[int]:
    return [client.get(f"/api/tickets/{one}").json()["version"] for one in ids]


def test_changes_all_in_the_order_given(agent: Client) -> None:
    ids = [agent.ticket()["id"] for _ in range(4)][::-1]
    items = bulk(agent, ids, "change", change={"assignee": "Ada", "status": "in_progress"}).json()["items"]
    assert [item["id"] for item in items] == ids
    for item in items:
        assert (item["status"], item["problem"]) == (200, None)
        assert (item["ticket"]["assignee"], item["ticket"]["version"]) == ("ada@example.org", 2)
    assert agent.get(f"/api/tickets/{ids[0]}").json() == items[0]["ticket"]


def test_each_action(agent: Client) -> None:
    ids = [agent.ticket()["id"] for _ in range(2)]
    for action, more, field, value in (
        ("resolve", {"resolution": {"resolution": "Done"}}, "status", "resolved"),
        ("reopen", {}, "status", "open"),
        ("delete", {}, "deleted_at", None),
        ("restore", {}, "status", "open"),
    ):
        answer = bulk(agent, ids, action, **more)
        assert answer.status_code == 200, answer.text
        for item in answer.json()["items"]:
            assert item["ticket"][field] == value or (action == "delete" and item["ticket"]["deleted_at"])
    assert {agent.get(f"/api/memories/{one}").status_code for one in ids} == {200}
    bulk(agent, ids, "resolve", resolution={"resolution": "Again", "remember": False})
    assert "Again" not in agent.get(f"/api/memories/{ids[0]}").text


class TestFailing:
    @pytest.fixture
    def ids(self, agent: Client) -> list[str]:
        """A good one, one in the trash, one merged, one resolved, one that is not there, and another good one."""
        made = [agent.ticket()["id"] for _ in range(5)]
        agent.delete(f"/api/tickets/{made[1]}")
        agent.post(f"/api/tickets/{made[2]}/merge", json={"into": made[0]})
        agent.post(f"/api/tickets/{made[3]}/resolve", json={"resolution": "X", "remember": False})
        return [*made[:4], NOBODY, made[4]]

    def test_all_changes_nothing_and_says_which(self, agent: Client, ids: list[str]) -> None:
        there = [one for one in ids if one != NOBODY]
        before = versions(agent, there)
        answer = bulk(agent, [*ids, "nonsense"], "resolve", resolution={"resolution": "Done"})
        body = problem(answer, 409)
        assert body["detail"] == "5 of 7 tickets can't be changed, so none was."
        assert [error["field"] for error in body["errors"]] == [f"tickets.{n}" for n in (1, 2, 3, 4, 6)]
        assert ids[0] in body["errors"][1]["message"], "the merged one names the other"
        assert versions(agent, there) == before
        assert agent.get(f"/api/memories/{ids[0]}").status_code == 404

    def test_each_changes_what_can_be(self, agent: Client, ids: list[str]) -> None:
        answer = bulk(agent, ids, "resolve", resolution={"resolution": "Done"}, mode="each")
        items = answer.json()["items"]
        assert [item["status"] for item in items] == [200, 409, 409, 409, 404, 200]
        assert [item["ticket"] is None for item in items] == [item["problem"] is not None for item in items]
        assert items[4]["problem"]["title"] == "Not Found"
        assert agent.get(f"/api/memories/{ids[0]}").status_code == 200
        assert agent.get(f"/api/memories/{ids[3]}").status_code == 404

    def test_each_may_fail_for_all(self, agent: Client) -> None:
        items = bulk(agent, [NOBODY, "x"], "delete", mode="each").json()["items"]
        assert [item["status"] for item in items] == [404, 404]

    def test_versions_are_held_to(self, agent: Client) -> None:
        one, other = agent.ticket()["id"], agent.ticket()["id"]
        asked = [{"id": one, "version": 1}, {"id": other, "version": 7}]
        problem(bulk(agent, asked, "change", change={"title": "X"}), 409)
        assert versions(agent, [one, other]) == [1, 1]
        items = bulk(agent, asked, "change", change={"title": "X"}, mode="each").json()["items"]
        assert [item["status"] for item in items] == [200, 412]

    def test_names_what_a_change_may_not_be(self, admin: Client) -> None:
        admin.post("/api/categories", json={"name": "Hardware"})
        ids = [admin.ticket(category="Hardware")["id"]]
        body = problem(bulk(admin, ids, "change", change={"category": "Nothing"}), 409)
        assert "must be one of: Hardware" in body["errors"][0]["message"]
        item = bulk(admin, ids, "change", change={"category": "Nothing"}, mode="each").json()["items"][0]
        assert (item["status"], item["problem"]["errors"][0]["field"]) == (422, "category")


BAD: list[dict[str, Any]] = [
    {"tickets": [], "action": "delete"},
    {"tickets": [{"id": NOBODY[:-2] + f"{n:02d}"} for n in range(51)], "action": "delete"},
    {"tickets": [{"id": str(n)} for n in range(20_000)], "action": "delete"},
    {"tickets": [{"id": NOBODY}, {"id": NOBODY}], "action": "delete"},
    {"tickets": [{"id": NOBODY, "version": 1}, {"id": NOBODY, "version": 2}], "action": "delete"},
    {"tickets": [{"id": "x" * 65}], "action": "delete"},
    {"tickets": [NOBODY], "action": "delete"},
    {"tickets": [{"id": NOBODY, "version": "1.5"}], "action": "delete"},
    {"tickets": [{"id": NOBODY}], "action": "purge"},
    {"tickets": [{"id": NOBODY}], "action": "change"},
    {"tickets": [{"id": NOBODY}], "action": "resolve"},
    {"tickets": [{"id": NOBODY}], "action": "resolve", "change": {"title": "X"}},
    {"tickets": [{"id": NOBODY}], "action": "delete", "change": {"title": "X"}},
    {"tickets": [{"id": NOBODY}], "action": "change", "change": {"id": "x"}},
    {"tickets": [{"id": NOBODY}], "action": "delete", "mode": "some"},
    {"action": "delete"},
]


def test_refuses_what_makes_no_sense(agent: Client) -> None:
    for body in BAD:
        problem(agent.post("/api/tickets/bulk", json=body), 422)


def test_takes_effect_once_for_a_key(agent: Client) -> None:
    ids = [agent.ticket()["id"], NOBODY]
    key = {"idempotency-key": "k"}
    first = bulk(agent, ids, "change", key, change={"title": "X"}, mode="each")
    again = bulk(agent, ids, "change", key, change={"title": "X"}, mode="each")
    assert again.headers["idempotency-replayed"] == "true" and again.content == first.content
    assert versions(agent, ids[:1]) == [2]
    for other in ({"title": "Y"}, {"title": "X", "assignee": None}):
        problem(bulk(agent, ids, "change", key, change=other, mode="each"), 422)
    failed = {"idempotency-key": "f"}
    problem(bulk(agent, ids, "change", failed, change={"title": "Z"}), 409)
    assert bulk(agent, ids[:1], "change", failed, change={"title": "Z"}).status_code == 200, (
        "a failure leaves no receipt"
    )
    empty = {"idempotency-key": "e"}
    for _ in range(2):
        assert bulk(agent, [NOBODY], "delete", empty, mode="each").json()["items"][0]["status"] == 404


def test_agent_of_some_teams_meets_only_theirs(admin: Client, person: Callable[..., Client]) -> None:
    lin = person("agent", "Lin", teams=["Network"])
    ours, foreign = admin.ticket(team="Network")["id"], admin.ticket()["id"]
    items = bulk(lin, [ours, foreign], "delete", mode="each").json()["items"]
    assert [item["status"] for item in items] == [200, 404]
    assert admin.get(f"/api/tickets/{foreign}").json()["version"] == 1


def test_linked_foreign_tickets_stay_hidden(admin: Client, person: Callable[..., Client]) -> None:
    lin = person("agent", "Lin", teams=["Network"])
    ours, own, foreign = (admin.ticket(team=team)["id"] for team in ("Network", "Network", "Other"))
    for other in (own, foreign):
        admin.post(f"/api/tickets/{ours}/links", json={"kind": "related", "ticket_id": other})
    (item,) = bulk(lin, [ours], "change", change={"title": "X"}).json()["items"]
    assert item["ticket"]["links"] == [{"kind": "related", "ticket_id": own}]
