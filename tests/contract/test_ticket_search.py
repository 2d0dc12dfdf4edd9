"""Filters, orders and texts together: whatever way an adapter takes, it finds what a plain look at each ticket finds."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from backend.adapters.embedded import comment_lists, ranking, ticket_lists
from backend.domain.pages import CommentQuery, Sort, TicketFilter, TicketQuery
from backend.domain.search import Condition, Search, Span, understand
from backend.domain.tickets import ACTIVE, Comment, Severity, Status, Ticket
from backend.domain.values import instant, now
from backend.errors import InvalidCursor
from backend.ports import Ports
from tests.builders import a_comment, a_ticket, an_edit, an_event, saying

run = asyncio.run
WORDS = ("printer", "jam", "vpn", "password", "réseau", "blank")
START = 1_760_000_000_000_000
DAY = 86_400_000_000
AT = "2026-01-01T00:00:00.000000Z"

QUERIES = (
    "",
    "printer",
    "printer jam",
    "pr*",
    "printer -jam",
    "-vpn",
    "RESEAU",
    "status:open",
    "status:open,waiting printer",
    "-status:open",
    "team:none",
    "team:Network,none",
    "-team:Network",
    "-assignee:none jam",
    "assignee:me",
    "requester:r1 printer",
    "tag:a",
    "tag:a,b -tag:c",
    "watcher:w",
    "number:3,7,9",
    "severity:high category:A",
    "is:overdue",
    "-is:overdue",
    "is:open is:unassigned",
    "created:2025-10-12",
    "created:>=2025-10-12 vpn",
    "created:<2025-10-15 printer",
    "-created:2025-10-12..2025-10-16",
    "due:>2025-10-14",
    "-due:>2025-10-14",
    "resolved:<2025-10-14",
    "number:99999",
)


def holds(ticket: Ticket, condition: Condition | Span) -> bool:
    if isinstance(condition, Span):
        value = getattr(ticket, f"{condition.field}_at")
        inside = value is not None and (condition.start or "") <= value and value < (condition.end or "~")
        return inside != condition.excluded
    if condition.field == "is":
        late = ticket.due_at is not None and ticket.due_at < AT
        unanswered = ticket.first_responded_at is None and (ticket.first_response_due_at or "~") < AT
        running = ticket.status in (Status.OPEN, Status.IN_PROGRESS)
        return (running and (late or unanswered)) != condition.excluded
    if condition.field in ("tag", "watcher"):
        return bool(set(getattr(ticket, f"{condition.field}s")) & set(condition.values)) != condition.excluded
    return (getattr(ticket, condition.field) in condition.values) != condition.excluded


def says(ticket: Ticket, asked: Search) -> bool:
    words = f"{ticket.title} {ticket.description} {ticket.resolution or ''}".replace("é", "e").lower().split()
    for term in asked.terms or ():
        (word,) = (word.lower() for word in term.words)
        if any(said == word or (term.prefix and said.startswith(word)) for said in words) == term.excluded:
            return False
    return True


def some_tickets(count: int) -> Iterator[Ticket]:
    chance = random.Random(5)
    for number in range(count):
        at = instant(START + chance.randrange(10) * DAY + number)
        yield a_ticket(
            title=chance.choice(WORDS),
            description=" ".join(chance.choices(WORDS, k=4)),
            severity=chance.choice(tuple(Severity)),
            category=chance.choice("AB"),
            status=(status := chance.choice(tuple(Status))),
            requester=chance.choice(("r1", "r2", "r3")),
            assignee=chance.choice((None, "me@example.org", "other")),
            team=chance.choice((None, "Network", "Desk")),
            tags=tuple(chance.sample("abc", chance.randrange(3))),
            watchers=chance.choice(((), ("w",), ("w", "x"))),
            created_at=at,
            updated_at=instant(START + chance.randrange(10**12)),
            resolved_at=None if status in ACTIVE else at,
            first_response_due_at=chance.choice((None, None, at)),
            first_responded_at=chance.choice((None, at)),
            due_at=chance.choice((None, at, "2999-01-01T00:00:00.000000Z")),
            paused_at=at if status is Status.WAITING else None,
        )


async def every_page(ports: Ports, query: TicketQuery) -> list[Ticket]:
    found: list[Ticket] = []
    cursor = None
    while True:
        page = await ports.tickets.list_tickets(replace(query, cursor=cursor))
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


@pytest.mark.parametrize("few", [0, 5, 10**6], ids=["no list is short", "some are", "all are"])
def test_finds_exactly_what_matches_in_every_order(ports: Ports, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FEW_LISTED", "FEW_MATCHES", "FEW_SEARCHED", "MANY_MATCHES"):
        monkeypatch.setattr(ticket_lists, name, few)
    monkeypatch.setattr(ticket_lists, "LOOKED_INTO", 9)
    monkeypatch.setattr(ranking, "FEW", few if few != 10**6 else 200)

    async def check() -> None:
        made = [await ports.tickets.add(ticket, (), an_event(ticket)) for ticket in some_tickets(60)]
        gone = await ports.tickets.update(made.pop().id, an_edit("deleted", deleted_at=now()))
        for text in QUERIES:
            asked = understand(text, "me@example.org")
            expected = [t for t in made if says(t, asked) and all(holds(t, c) for c in asked.conditions)]
            for sort in Sort:
                if sort is Sort.RELEVANCE and not asked.ranks:
                    continue
                query = TicketQuery(TicketFilter(also=asked.conditions), asked.terms, sort, limit=7, at=AT)
                found = await every_page(ports, query)
                if sort is Sort.RELEVANCE:
                    assert {t.id for t in found} == {t.id for t in expected} and len(found) == len(expected), text
                    continue
                key = "number" if sort.field == "number" else sort.field
                ranks = {t.id: (getattr(t, key) or f"~{t.created_at}", t.number) for t in expected}
                wanted = sorted(expected, key=lambda t: ranks[t.id], reverse=sort.descending)
                assert [t.number for t in found] == [t.number for t in wanted], (text, sort)
        where = TicketFilter(deleted=True, also=understand("-number:99", "me").conditions)
        assert [t.id for t in await every_page(ports, TicketQuery(where))] == [gone.id]

    run(check())


def test_search_box_and_parameters_must_both_hold(ports: Ports) -> None:
    async def check() -> None:
        ticket = a_ticket(status=Status.OPEN, tags=("a",))
        await ports.tickets.add(ticket, (), an_event(ticket))
        for text, found in (("status:open", 1), ("status:closed", 0), ("tag:a", 1), ("tag:b", 0)):
            where = TicketFilter(status=(Status.OPEN,), tag=("a",), also=understand(text, "me").conditions)
            assert len(await every_page(ports, TicketQuery(where))) == found, text

    run(check())


async def said(ports: Ports, ticket: Ticket, body: str, internal: bool = False) -> Comment:
    comment = a_comment(ticket, body, internal)
    return await ports.tickets.add_comment(comment, saying(comment))


@pytest.mark.parametrize("few", [0, 10**6], ids=["many tickets", "few tickets"])
def test_comments_are_found_where_their_ticket_is(ports: Ports, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comment_lists, "FEW_TICKETS", few)

    async def check() -> None:
        first, second = [
            await ports.tickets.add(ticket, (), an_event(ticket))
            for ticket in (a_ticket(requester="r1", title="First"), a_ticket(requester="r2"))
        ]
        mine = await said(ports, first, "the drum is worn, a new drum helps")
        note = await said(ports, first, "drum ordered", internal=True)
        other = await said(ports, second, "drum and toner")

        async def found(text: str, internal: bool = False, **where: tuple[str, ...]) -> list[str]:
            query = CommentQuery(TicketFilter(**where), understand(text, "me").terms or (), internal, limit=1)
            ids, cursor = [], None
            while True:
                page = await ports.tickets.search_comments(replace(query, cursor=cursor))
                ids += [one.comment.id for one in page.items]
                if page.items:
                    assert page.items[0].ticket_number in (first.number, second.number)
                cursor = page.next_cursor
                if cursor is None:
                    return ids

        assert set(await found("drum")) == {mine.id, other.id}
        assert await found("drum -toner") == [mine.id]
        assert await found("drum", requester=("r2",)) == [other.id]
        assert await found("drum", internal=True) == [note.id]
        assert await found("ordered") == []
        assert await found("-drum") == []
        await ports.tickets.update(second.id, an_edit("deleted", deleted_at=now()))
        assert await found("toner") == [], "a ticket in the trash takes its comments along"
        with pytest.raises(InvalidCursor):
            await ports.tickets.search_comments(
                CommentQuery(TicketFilter(), understand("a", "").terms or (), cursor="x")
            )

    run(check())
