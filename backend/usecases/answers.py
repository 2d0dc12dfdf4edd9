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
from backend.ports import Ports
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
    comment = Comment(new_id(), ticket_id, desk.caller.name, draft.body, False, ports.now()) if draft else None
    decide = answers.take(desk, comment, files, ports.reopen_days)
    for _ in range(MOST_TRIES):
        chain = await chain_of(ports, await get_ticket(ports, desk.caller, ticket_id))
        try:
            return _sent(await ports.tickets.take([one.id for one in chain], decide, once and once.wrapping(_sent)))
        except ChainMoved:
            continue
    raise ChainMoved


def _sent(taken: Taken) -> Sent:
    written = {ticket.id for ticket, _ in taken.written}
    first = taken.comment.ticket_id if taken.comment else taken.attachments[0].ticket_id
    assert first in written
    return Sent(first, taken.comment, taken.attachments)


class GoesOn(NamedTuple):
    """Where what a requester sends on a ticket goes: `into` is the ticket at the end of the merges, if it was merged
    and they may see that; `anew`: it opens a new ticket; `reopens`: it reopens what is over. `may_split`: whether the
    caller may undo the merge, for which agents must see both tickets."""

    merged: bool
    into: Ticket | None
    reopens: bool
    anew: bool
    may_split: bool


async def goes_on(ports: Ports, caller: Caller, ticket_id: str) -> GoesOn:
    """The same before anything is sent. Raises TicketNotFound."""
    chain = await chain_of(ports, await get_ticket(ports, caller, ticket_id))
    end = chain[-1]
    merged = len(chain) > 1
    may_split = merged and caller.is_at_least(Role.AGENT) and _sees(caller, chain[1])
    if end.deleted_at is not None:
        return GoesOn(merged, None, merged, False, may_split)
    into = end if merged and _sees(caller, end) else None
    anew = answers.is_past(end, ports.now(), ports.reopen_days)
    return GoesOn(merged, into, end.status not in ACTIVE and not anew, anew, may_split)


def _sees(caller: Caller, ticket: Ticket) -> bool:
    try:
        must_see(caller, ticket)
    except TicketNotFound:
        return False
    return True
