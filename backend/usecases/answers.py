"""What requesters send on tickets, words and files, and where it goes (`domain/answers.py`)."""

from collections.abc import Sequence
from typing import NamedTuple

from backend.domain import answers, edits
from backend.domain.access import Caller, Role
from backend.domain.attachments import Attachment
from backend.domain.edits import Desk
from backend.domain.links import ChainMoved
from backend.domain.once import Once
from backend.domain.takes import Taken
from backend.domain.tickets import ACTIVE, Comment, CommentDraft, Ticket, must_see
from backend.domain.values import new_id
from backend.errors import TicketNotFound
from backend.ports import MOST_TOGETHER, Ports
from backend.usecases import quotas
from backend.usecases.links import MOST_TRIES, chain_of
from backend.usecases.tickets import get_ticket


class Sent(NamedTuple):
    """What was sent, where it is now. Words that opened a new ticket are its description, and their id is its id."""

    ticket_id: str
    comment: Comment | None = None
    attachments: Sequence[Attachment] = ()


async def is_answer(ports: Ports, caller: Caller, ticket_id: str) -> bool:
    """Whether what the caller sends there in public goes where a requester's does: an agent's only where it reopens
    their own ticket. Raises TicketNotFound."""
    if not caller.is_at_least(Role.AGENT):
        return True
    ticket = await get_ticket(ports, caller, ticket_id)
    return ticket.status not in ACTIVE and ticket.merged_into is None and edits.is_requester(caller, ticket)


async def send(
    ports: Ports,
    desk: Desk,
    ticket_id: str,
    draft: CommentDraft | None,
    files: Sequence[Attachment] = (),
    once: Once | None = None,
) -> Sent:
    """Words, files whose bytes are kept already, or both, by a requester. Raises TicketNotFound, Conflict."""
    if draft:
        await quotas.count_text(ports, desk.caller, draft.body)
    comment = Comment(new_id(), ticket_id, desk.caller.name, draft.body, False, ports.now()) if draft else None
    for _ in range(MOST_TRIES):
        way, looked_at = await _way(ports, desk.caller, await get_ticket(ports, desk.caller, ticket_id))
        decide = answers.take(desk, comment, files, ports.reopen_days, looked_at)
        try:
            return _sent(await ports.tickets.take([one.id for one in way], decide, once and once.wrapping(_sent)))
        except ChainMoved:
            continue
    raise ChainMoved


async def _way(ports: Ports, caller: Caller, ticket: Ticket) -> tuple[Sequence[Ticket], frozenset[str]]:
    """The way of the caller's answer (see `answers.legs_of`), and which follow-ups were looked at for it.

    Raises Conflict (too many merges).
    """
    way = list(await chain_of(ports, ticket))
    looked_at: set[str] = set()
    while way[-1].deleted_at is None and answers.is_past(way[-1], ports.now(), ports.reopen_days):
        looked_at.update(answers.follow_ups(way[-1]))
        leg = await _follow_up(ports, caller, way[-1])
        if not leg or len(way) + len(leg) > MOST_TOGETHER or {one.id for one in way} & {one.id for one in leg}:
            break
        way += leg
    return way, frozenset(looked_at)


async def _follow_up(ports: Ports, caller: Caller, ticket: Ticket) -> Sequence[Ticket]:
    """The newest ticket that a late answer of the caller's opened, and those that it came to by merging."""
    for one in answers.follow_ups(ticket):
        found = await ports.tickets.get(one)
        if answers.goes_on_there(caller, found):
            return await chain_of(ports, found)
    return ()


def _sent(taken: Taken) -> Sent:
    written = {ticket.id for ticket, _ in taken.written}
    first = taken.comment.ticket_id if taken.comment else taken.attachments[0].ticket_id
    assert first in written
    return Sent(first, taken.comment, taken.attachments)


class GoesOn(NamedTuple):
    """Where what a requester sends on a ticket goes: `into` is the ticket at the end of the merges, if it was merged
    and they may see that; `follow_up` is where it goes since that has long been over; `anew`: it opens a new ticket;
    `reopens`: it reopens what is over. `may_split`: whether the caller may undo the merge, for which agents must see
    both tickets."""

    merged: bool
    into: Ticket | None
    reopens: bool
    anew: bool
    may_split: bool
    follow_up: Ticket | None = None


async def goes_on(ports: Ports, caller: Caller, ticket_id: str) -> GoesOn:
    """The same before anything is sent. Raises TicketNotFound."""
    way, _ = await _way(ports, caller, await get_ticket(ports, caller, ticket_id))
    first, *further = answers.legs_of(way)
    merged = len(first) > 1
    into = first[-1] if merged and first[-1].deleted_at is None and _sees(caller, first[-1]) else None
    may_split = merged and caller.is_at_least(Role.AGENT) and _sees(caller, first[1])
    last = further[-1] if further else first
    follow_up = None
    if further:
        follow_up = last[-1] if last[-1].deleted_at is None and _sees(caller, last[-1]) else last[0]
    if last[-1].deleted_at is not None:
        return GoesOn(merged, into, len(last) > 1, False, may_split, follow_up)
    anew = answers.is_past(last[-1], ports.now(), ports.reopen_days)
    return GoesOn(merged, into, last[-1].status not in ACTIVE and not anew, anew, may_split, follow_up)


def _sees(caller: Caller, ticket: Ticket) -> bool:
    try:
        must_see(caller, ticket)
    except TicketNotFound:
        return False
    return True
