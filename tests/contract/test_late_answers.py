"""The first late answer opens a ticket, and those that come later or at the same moment go there."""

import asyncio
from dataclasses import replace
from typing import Any

from backend.domain import links
from backend.domain.access import Caller, Role
from backend.domain.edits import Desk
from backend.domain.tickets import CommentDraft, Status, Ticket
from backend.domain.values import now
from backend.ports import Ports
from backend.usecases import answers
from backend.usecases.answers import Sent
from tests.builders import a_ticket, an_edit, an_event

run = asyncio.run
EMMA = Caller("t", "Emma", Role.REQUESTER, "emma@example.org")
ADA = Caller("a", "Ada", Role.AGENT, "ada@example.org")


async def added(ports: Ports, requester: str = EMMA.address, **fields: Any) -> Ticket:
    ticket = a_ticket(requester=requester, **fields)
    return await ports.tickets.add(ticket, (), an_event(ticket))


async def over(ports: Ports, **fields: Any) -> Ticket:
    ticket = await added(ports, **fields)
    return await resolved(ports, ticket.id)


async def resolved(ports: Ports, ticket_id: str) -> Ticket:
    return await ports.tickets.update(ticket_id, an_edit(status=Status.RESOLVED))


async def send(ports: Ports, ticket: Ticket, body: str, caller: Caller = EMMA) -> Sent:
    return await answers.send(ports, Desk(caller, now), ticket.id, CommentDraft(body=body))


async def bodies(ports: Ports, ticket_id: str) -> list[str]:
    return [one.body for one in (await ports.tickets.list_comments(ticket_id, True, 50, None)).items]


def test_many_at_once_make_one_follow_up(ports: Ports) -> None:
    async def check() -> None:
        late = replace(ports, reopen_days=0)
        ticket = await over(ports)
        sent = await asyncio.gather(*(send(late, ticket, f"word{n}") for n in range(6)))
        (where,) = {one.ticket_id for one in sent}
        new = await ports.tickets.get(where)
        said = [new.description, *await bodies(ports, where)]
        assert where != ticket.id and sorted(said) == [f"word{n}" for n in range(6)]
        assert len((await ports.tickets.get(ticket.id)).links) == 1 and await bodies(ports, ticket.id) == []

    run(check())


def test_each_requester_of_what_was_merged_has_their_own(ports: Ports) -> None:
    async def check() -> None:
        late = replace(ports, reopen_days=0)
        hers, target = await added(ports), await added(ports, "grace@example.org")
        await ports.tickets.update_many([hers.id, target.id], links.merge(Desk(ADA, now), None))
        await resolved(ports, target.id)
        grace = Caller("g", "Grace", Role.REQUESTER, "grace@example.org")
        first = [await send(late, one, "first", caller) for one, caller in ((hers, EMMA), (target, grace))]
        again = [await send(late, one, "again", caller) for one, caller in ((hers, EMMA), (target, grace))]
        assert [one.ticket_id for one in first] == [one.ticket_id for one in again]
        assert len({target.id, hers.id, *(one.ticket_id for one in again)}) == 4
        assert (await send(late, target, "straight there", EMMA)).ticket_id == first[0].ticket_id

    run(check())


def test_follow_up_that_ended_is_reopened_then_followed(ports: Ports) -> None:
    async def check() -> None:
        late = replace(ports, reopen_days=0)
        ticket = await over(ports)
        new = (await send(late, ticket, "first")).ticket_id
        # The old one has been over for long, the follow-up has not: as it is after REOPEN_DAYS of the first alone.
        await ports.tickets.update(ticket.id, an_edit(resolved_at="2020-01-01T00:00:00.000000Z"))
        await resolved(ports, new)
        assert (await send(ports, ticket, "reopens it")).ticket_id == new
        assert (await ports.tickets.get(new)).status is Status.OPEN
        await resolved(ports, new)
        third = (await send(late, ticket, "too late")).ticket_id
        assert third not in (ticket.id, new)
        assert (await send(late, ticket, "goes on")).ticket_id == third
        assert (await send(late, await ports.tickets.get(new), "from the second")).ticket_id == third
        assert await bodies(ports, third) == ["goes on", "from the second"]

    run(check())


def test_follow_up_elsewhere_leads_on_or_not_at_all(ports: Ports) -> None:
    async def check() -> None:
        late = replace(ports, reopen_days=0)
        ticket, other = await over(ports), await added(ports, "grace@example.org")
        new = (await send(late, ticket, "first")).ticket_id
        await ports.tickets.update_many([new, other.id], links.merge(Desk(ADA, now), None))
        sent = await send(late, ticket, "where it was merged into")
        assert sent.ticket_id == other.id and sent.comment and sent.comment.via == new
        await ports.tickets.update(other.id, an_edit(deleted_at=now()))
        assert (await send(late, ticket, "split off again")).ticket_id == new
        assert await bodies(ports, new) == ["where it was merged into", "split off again"]
        await ports.tickets.update(new, an_edit(deleted_at=now()))
        second = (await send(late, ticket, "nobody looks into the trash")).ticket_id
        assert second not in (ticket.id, new, other.id)
        await ports.tickets.update(second, an_edit(requester="lin@example.org"))
        assert (await send(late, ticket, "no longer hers")).ticket_id not in (ticket.id, new, other.id, second)

    run(check())


def test_no_circle_of_merges_is_walked_twice(ports: Ports) -> None:
    async def check() -> None:
        late = replace(ports, reopen_days=0)
        ticket, between = await over(ports), await added(ports)
        new = (await send(late, ticket, "first")).ticket_id
        for one, into in ((new, between.id), (between.id, ticket.id)):
            await ports.tickets.update_many([one, into], links.merge(Desk(ADA, now), None, reopen=False))
        assert (await send(late, ticket, "again")).ticket_id not in (ticket.id, new, between.id)

    run(check())
