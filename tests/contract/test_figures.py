"""What figures ask of the port: whatever has become of tickets, they are those of a plain count over all of them."""

import asyncio
import random
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from backend.domain.figures import Day, Figures, Kept, Open, Period, Share, Times, course, period, times, took, top
from backend.domain.tickets import ACTIVE, Link, LinkKind, Severity, Status, Ticket
from backend.domain.values import instant_of, new_id
from backend.ports import Ports
from tests.builders import a_ticket, an_edit, an_event

AT = "2026-03-30T12:00:00.000000Z"


def figures(ports: Ports, days: int = 3, zone: str = "UTC", teams: tuple[str, ...] = ()) -> Figures:
    return asyncio.run(ports.tickets.figures(period(days, zone, AT, teams)))


def add(ports: Ports, ticket: Ticket) -> Ticket:
    return asyncio.run(ports.tickets.add(ticket, (), an_event(ticket)))


def change(ports: Ports, ticket: Ticket, **values: Any) -> Ticket:
    return asyncio.run(ports.tickets.update(ticket.id, an_edit(**values)))


def filed(ports: Ports, at: str, resolved: str | None = None, **more: object) -> Ticket:
    times = {"created_at": f"2026-03-{at}:00.000000Z", "updated_at": AT}
    if resolved:
        more |= {"resolved_at": f"2026-03-{resolved}:00.000000Z", "status": Status.RESOLVED}
    return add(ports, a_ticket(**times, **more))


def test_say_what_happened(ports: Ports) -> None:
    filed(ports, "01T10:00", severity=Severity.HIGH, team="Net")
    filed(ports, "28T10:00", "28T11:00", team="Net", assignee="ada", due_at="2026-03-28T10:30:00.000000Z")
    filed(ports, "28T10:00", "30T10:00", due_at="2026-03-30T11:00:00.000000Z", category="Access")
    filed(ports, "29T23:30", first_responded_at="2026-03-29T23:40:00.000000Z", category="Access")
    filed(ports, "30T10:00", first_response_due_at="2026-03-30T11:00:00.000000Z")
    filed(ports, "30T10:00", deleted_at=AT)
    found = figures(ports)
    assert [(day.date, day.opened, day.resolved, day.backlog) for day in found.days] == [
        ("2026-03-28", 2, 1, 2),
        ("2026-03-29", 1, 0, 3),
        ("2026-03-30", 1, 1, 3),
    ]
    assert set(found.backlog) == {Open("high", "open", 1), Open("low", "open", 2)}
    assert found.first_answer == Times(1, 600.0, 600.0)
    assert found.resolution == Times(2, 3600.0, 172_800.0)
    assert found.resolution_promises == Kept(1, 1) and found.first_answer_promises == Kept(0, 1)
    assert found.categories == (Share("Access", 2, 1), Share("Hardware", 2, 1))
    assert found.assignees == (Share("ada", 1, 1),)
    assert figures(ports, teams=("Net",)).teams == (Share("Net", 1, 1),)
    assert [day.backlog for day in figures(ports, teams=("Net",)).days] == [1, 1, 1]


def test_days_are_those_of_the_zone(ports: Ports) -> None:
    """The clocks of Zurich went forward on the 29th: it had 23 hours, from 23:00Z to 22:00Z."""
    filed(ports, "28T22:59")
    filed(ports, "28T23:00")
    filed(ports, "29T21:59")
    filed(ports, "29T22:00")
    assert [day.opened for day in figures(ports, zone="Europe/Zurich").days] == [1, 2, 1]
    assert [day.opened for day in figures(ports).days] == [2, 2, 0]


def test_moments_of_a_border_belong_to_what_follows(ports: Ports) -> None:
    """Opened and resolved at the first moment count, those after the last do not; what is promised for now is not over."""
    filed(ports, "28T00:00", due_at="2026-03-28T00:00:00.000000Z", first_response_due_at=AT)
    filed(ports, "27T23:59", "31T00:00", due_at="2026-03-27T23:59:59.999999Z")
    filed(ports, "31T00:00")
    found = figures(ports)
    assert [(day.opened, day.resolved) for day in found.days] == [(1, 0), (0, 0), (0, 0)]
    assert found.resolution_promises == Kept(0, 1) and found.first_answer_promises == Kept(0, 0)


def test_nothing_at_all(ports: Ports) -> None:
    found = figures(ports, days=366)
    assert len(found.days) == 366 and not any(day.opened or day.resolved or day.backlog for day in found.days)
    assert found.resolution == found.first_answer == Times(0, None, None)
    assert found.backlog == found.categories == found.teams == found.assignees == ()


# ---- A plain count -------------------------------------------------------------------------------------------------


def counted(tickets: list[Ticket], span: Period) -> Figures:
    """The same, without any store."""
    seen = [t for t in tickets if t.deleted_at is None and not t.merged_into]
    seen = [t for t in seen if not span.teams or t.team in span.teams]
    opened = [t for t in seen if span.start <= t.created_at < span.bounds[-1]]
    resolved = [t for t in seen if t.resolved_at and span.start <= t.resolved_at < span.bounds[-1]]
    left = Counter((t.severity.value, t.status.value) for t in seen if t.status in ACTIVE)

    def share(name: str) -> tuple[Share, ...]:
        return top(*(Counter(v for t in part if (v := getattr(t, name)) is not None) for part in (opened, resolved)))

    def kept(promised: str, done: str) -> Kept:
        over = [(d, getattr(t, done)) for t in seen if (d := getattr(t, promised)) and span.start <= d < span.at]
        good = sum(1 for due, at in over if at and at <= due)
        return Kept(good, len(over) - good)

    return Figures(
        days=days_of(span, seen, sum(left.values())),
        backlog=tuple(Open(*state, left[state]) for state in sorted(left)),
        first_answer=times([took(t.created_at, t.first_responded_at) for t in opened if t.first_responded_at]),
        resolution=times([took(t.created_at, t.resolved_at) for t in resolved if t.resolved_at]),
        first_answer_promises=kept("first_response_due_at", "first_responded_at"),
        resolution_promises=kept("due_at", "resolved_at"),
        categories=share("category"),
        teams=share("team"),
        assignees=share("assignee"),
    )


def days_of(span: Period, seen: list[Ticket], backlog: int) -> tuple[Day, ...]:
    came, went = (
        [sum(1 for t in seen if (at := getattr(t, name)) and start <= at < end) for start, end in pairwise(span.bounds)]
        for name in ("created_at", "resolved_at")
    )
    return course(span, came, went, backlog)


# As `links.merge` leaves it: what was merged counts once, as the ticket that goes on.
MERGED = {
    "links": (Link(LinkKind.MERGED_INTO, new_id()),),
    "status": Status.CLOSED,
    "due_at": None,
    "first_response_due_at": None,
}


def moment(chance: random.Random) -> str:
    """Within the ten weeks before AT, or shortly after it."""
    return instant_of(datetime.fromisoformat(AT) + timedelta(seconds=chance.uniform(-70 * 86_400, 86_400)))


def some_fields(chance: random.Random) -> dict[str, Any]:
    status = chance.choice(list(Status))
    at = moment(chance)
    later = instant_of(datetime.fromisoformat(at) + timedelta(seconds=chance.uniform(0, 1_200_000)))
    return {
        "severity": chance.choice(list(Severity)),
        "status": status,
        "category": chance.choice(["Hardware", "Access", "Ü 'x\"%"]),
        "team": chance.choice([None, "Net", "Desk", "Größe"]),
        "assignee": chance.choice([None, "ada", "grace@example.org"]),
        "created_at": at,
        "first_responded_at": chance.choice([None, later]),
        "resolved_at": None if status in ACTIVE else later,
        "first_response_due_at": chance.choice([None, moment(chance)]),
        "due_at": chance.choice([None, moment(chance), later]),
    }


@pytest.mark.parametrize("seed", [1, 2])
def test_are_those_of_a_plain_count_whatever_became_of_the_tickets(ports: Ports, seed: int) -> None:
    chance = random.Random(seed)
    tickets = [add(ports, a_ticket(**some_fields(chance))) for _ in range(40)]
    for n in chance.sample(range(40), 30):
        fields = some_fields(chance)
        edit = chance.choice(
            [fields, {"deleted_at": AT}, {"team": fields["team"]}, MERGED | {"resolved_at": moment(chance)}]
        )
        tickets[n] = asyncio.run(ports.tickets.update(tickets[n].id, lambda t, e=edit: edited(t, e)))
    for n in [n for n in range(40) if tickets[n].deleted_at][::2]:
        tickets[n] = change(ports, tickets[n], deleted_at=None)
    for days, zone, teams in ((70, "UTC", ()), (9, "Asia/Kathmandu", ("Net", "Größe")), (1, "UTC", ("None",))):
        span = period(days, zone, AT, teams)
        assert asyncio.run(ports.tickets.figures(span)) == counted(tickets, span)


def edited(ticket: Ticket, values: dict[str, Any]) -> Any:
    """Fields as they are given, without the rules of `changed`."""
    after = ticket._replace(**values, version=ticket.version + 1)
    return after, an_event(ticket, "changed")
