"""Promised times over HTTP: set, kept, paused, and lists of what is late."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI

from tests.conftest import Client, problem

ALWAYS = {
    day: ["00:00-24:00"] for day in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
}
SLA = {
    "time_zone": "Europe/Berlin",
    "hours": ALWAYS,
    "holidays": ["2026-12-25"],
    "promises": {
        "low": {"first_response_minutes": 60, "resolution_minutes": 600},
        "critical": {"first_response_minutes": None, "resolution_minutes": 30},
    },
}

Clock = Callable[[str], None]


@pytest.fixture
def clock(app: FastAPI) -> Clock:
    """Sets what the application takes for now: `clock("10:30")`, on 1 June 2026."""

    def set_to(time: str) -> None:
        object.__setattr__(app.state.ports, "now", lambda: f"2026-06-01T{time}:00.000000Z")

    return set_to


@pytest.fixture
def promising(admin: Client, clock: Clock) -> Client:
    """An administrator who has made promises."""
    clock("10:00")
    assert admin.put("/api/sla", json=SLA).status_code == 200
    return admin


def due(ticket: dict[str, Any]) -> tuple[str | None, str | None]:
    """The promised times of that day: first answer, resolution."""
    return tuple(time and time[11:16] for time in (ticket["first_response_due_at"], ticket["due_at"]))  # type: ignore[return-value]


class TestPolicy:
    def test_nothing_is_promised_at_first(self, requester: Client) -> None:
        answer = requester.get("/api/sla")
        assert (answer.json()["version"], answer.json()["promises"], answer.headers["etag"]) == (0, {}, '"0"')
        assert requester.ticket()["due_at"] is None

    def test_is_set_and_changed_with_its_version(self, admin: Client) -> None:
        first = admin.put("/api/sla", json=SLA, headers={"if-match": '"0"'})
        assert (first.json()["version"], first.headers["etag"]) == (1, '"1"')
        assert first.json()["promises"] == SLA["promises"]
        assert first.json()["hours"] == {day: list(hours) for day, hours in ALWAYS.items()}
        problem(admin.put("/api/sla", json=SLA, headers={"if-match": '"0"'}), 412)
        assert admin.put("/api/sla", json=SLA, headers={"if-match": '"1"'}).json()["version"] == 2
        assert admin.put("/api/sla", json=SLA).json()["version"] == 3
        assert admin.get("/api/sla").json()["time_zone"] == "Europe/Berlin"

    @pytest.mark.parametrize(
        "fields", [{"time_zone": "Mars/Olympus"}, {"hours": {}}, {"promises": {"low": {"x": 1}}}, {"holidays": ["x"]}]
    )
    def test_refuses_what_makes_no_sense(self, admin: Client, fields: dict[str, Any]) -> None:
        said = problem(admin.put("/api/sla", json=SLA | fields), 422)
        assert said["errors"][0]["message"]
        assert admin.get("/api/sla").json()["version"] == 0


class TestTickets:
    def test_new_ones_are_promised_a_time(self, promising: Client) -> None:
        assert due(promising.ticket()) == ("11:00", "20:00")
        assert due(promising.ticket(severity="critical")) == (None, "10:30")
        assert due(promising.ticket(severity="high")) == (None, None)

    def test_policy_that_changes_leaves_what_was_promised(self, promising: Client) -> None:
        ticket = promising.ticket()
        path = f"/api/tickets/{ticket['id']}"
        promising.put("/api/sla", json=SLA | {"promises": {}})
        assert promising.patch(path, json={"title": "X"}).json()["due_at"] == ticket["due_at"]
        assert promising.ticket()["due_at"] is None

    def test_severity_waiting_and_reopening(self, promising: Client, clock: Clock, requester: Client) -> None:
        path = f"/api/tickets/{requester.ticket()['id']}"
        clock("10:10")
        assert due(promising.patch(path, json={"severity": "critical"}).json()) == (None, "10:30")
        assert due(promising.patch(path, json={"severity": "low", "status": "waiting"}).json()) == ("11:00", "20:00")
        clock("10:40")
        comment = requester.post(f"{path}/comments", json={"body": "Here you are"})
        assert comment.status_code == 201
        ticket = promising.get(path).json()
        assert (ticket["status"], ticket["paused_at"], due(ticket)) == ("open", None, ("11:30", "20:30"))
        clock("12:00")
        resolved = promising.post(f"{path}/resolve", json={"resolution": "Done", "remember": False}).json()
        assert resolved["first_responded_at"] == "2026-06-01T12:00:00.000000Z"
        clock("13:00")
        again = requester.post(f"{path}/reopen").json()
        assert (again["due_at"], again["promised_from"]) == (
            "2026-06-01T23:00:00.000000Z",
            "2026-06-01T13:00:00.000000Z",
        )
        fields = [item["changes"].keys() for item in requester.get(f"{path}/history").json()["items"]]
        assert {"comment", "status", "paused_at", "due_at"} <= set(fields[3])

    def test_only_the_requesters_public_comment_ends_the_waiting(
        self, promising: Client, requester: Client, agent: Client
    ) -> None:
        path = f"/api/tickets/{requester.ticket()['id']}"
        agent.patch(path, json={"status": "waiting"})
        agent.post(f"{path}/comments", json={"body": "Well?"})
        agent.post(f"{path}/comments", json={"body": "Psst", "internal": True})
        assert agent.get(path).json()["status"] == "waiting"
        assert agent.get(path).json()["first_responded_at"] is not None
        own = f"/api/tickets/{agent.ticket()['id']}"
        agent.patch(own, json={"status": "waiting"})
        agent.post(f"{own}/comments", json={"body": "Note", "internal": True})
        assert agent.get(own).json()["status"] == "waiting"
        agent.post(f"{own}/comments", json={"body": "I know now"})
        assert agent.get(own).json()["status"] == "open"
        assert agent.get(own).json()["first_responded_at"] is None, "nobody answers themselves"


class TestLate:
    def found(self, client: Client, query: str) -> list[int]:
        answer = client.get(f"/api/tickets?{query}")
        assert answer.status_code == 200, answer.text
        return [ticket["number"] for ticket in answer.json()["items"]]

    def test_lists_what_is_late(self, promising: Client, clock: Clock) -> None:
        low, critical, waiting, done, answered = (
            promising.ticket(severity=severity, requester="grace")
            for severity in ("low", "critical", "critical", "critical", "low")
        )
        promising.ticket(severity="high")
        promising.patch(f"/api/tickets/{waiting['id']}", json={"status": "waiting"})
        promising.post(f"/api/tickets/{done['id']}/resolve", json={"resolution": "X", "remember": False})
        promising.post(f"/api/tickets/{answered['id']}/comments", json={"body": "Hello"})
        assert self.found(promising, "overdue=true") == []
        clock("10:31")
        assert self.found(promising, "overdue=true") == [critical["number"]]
        clock("11:01")
        assert self.found(promising, "overdue=true&sort=due_at") == [critical["number"], low["number"]]
        assert self.found(promising, "overdue=true&severity=low") == [low["number"]]
        assert self.found(promising, "overdue=true&q=printer") == [critical["number"], low["number"]]
        clock("20:01")
        assert self.found(promising, "overdue=true&severity=low&sort=number") == [low["number"], answered["number"]]

    def test_pages_hold_each_once_while_time_passes(self, promising: Client, clock: Clock) -> None:
        for _ in range(5):
            promising.ticket(severity="critical")
        seen, cursor = [], ""
        for minute in range(31, 35):
            clock(f"10:{minute}")
            page = promising.get(f"/api/tickets?overdue=true&limit=2{cursor}").json()
            seen += [ticket["number"] for ticket in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert seen == [5, 4, 3, 2, 1]

    def test_due_before(self, promising: Client) -> None:
        promising.ticket(severity="low")
        promising.ticket(severity="critical")
        assert self.found(promising, "due_before=2026-06-01T12:31:00%2B02:00") == [2]
        assert self.found(promising, "due_before=2026-06-01T10:30:00Z") == []
        assert self.found(promising, "due_before=2027-01-01T00:00:00Z&sort=due_at") == [2, 1]
        for bad in ("2026-06-01T10:30:00", "yesterday", ""):
            problem(promising.get("/api/tickets", params={"due_before": bad}), 422)
        problem(promising.get("/api/tickets?overdue=perhaps"), 422)


def test_workflow_tells_what_is_legal(requester: Client, agent: Client) -> None:
    statuses = {one["status"]: one for one in requester.get("/api/workflow").json()["statuses"]}
    assert statuses["resolved"]["next"] == ["open", "in_progress", "closed"]
    assert [name for name, one in statuses.items() if one["active"]] == ["open", "in_progress", "waiting"]
    path = f"/api/tickets/{agent.ticket()['id']}"
    for status, one in ((name, statuses[name]) for name in ("resolved", "waiting")):
        for after in statuses:
            ticket = f"/api/tickets/{agent.ticket()['id']}"
            agent.patch(ticket, json={"status": status})
            answer = agent.patch(ticket, json={"status": after})
            assert answer.status_code == (200 if after in one["next"] or after == status else 409)
    agent.patch(path, json={"status": "closed"})
    assert "only open or in_progress" in problem(agent.patch(path, json={"status": "waiting"}), 409)["detail"]


def test_page_of_a_ticket_shows_what_is_promised(admin: Client, agent: Client, requester: Client) -> None:
    assert admin.put("/api/sla", json=SLA).status_code == 200
    ticket = requester.ticket(severity="low")
    assert ticket["due_at"]
    for client in (admin, agent, requester):
        answer = client.get(f"/tickets/{ticket['id']}", headers={"accept": "text/html"})
        assert answer.status_code == 200 and 'class="due' in answer.text
