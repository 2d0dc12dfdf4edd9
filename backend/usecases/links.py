"""Two tickets at once: links, merging duplicates, and splitting them again."""

from collections.abc import Sequence

from backend.domain import links
from backend.domain.access import Caller, Role
from backend.domain.edits import Desk, Versions
from backend.domain.links import ChainMoved, LinkDraft, MergeDraft
from backend.domain.once import Once
from backend.domain.takes import Taken
from backend.domain.tickets import EditMany, Ticket
from backend.domain.values import is_id
from backend.errors import Conflict, LinkNotFound, TicketNotFound, Unprocessable
from backend.ports import MOST_TOGETHER, Ports
from backend.usecases.tickets import get_ticket, reopen_ticket

MOST_TRIES = 5


async def merge_ticket(
    ports: Ports,
    desk: Desk,
    ticket_id: str,
    draft: MergeDraft,
    if_version: Versions = None,
    once: Once | None = None,
) -> Ticket:
    """Close a ticket in favour of another one; both stay readable. Raises Unprocessable, Conflict."""
    edit = links.merge(desk, if_version, reopen=draft.reopen)
    await _must_be_another(ports, desk.caller, ticket_id, draft.into, "into")
    return await _update_both(ports, ticket_id, draft.into, edit, once)


async def reopen_or_split(
    ports: Ports, desk: Desk, ticket_id: str, if_version: Versions = None, once: Once | None = None
) -> Ticket:
    """Open a ticket again. An agent who sees both splits one that was merged from the other. Raises Conflict."""
    ticket = await get_ticket(ports, desk.caller, ticket_id)
    into = desk.shown(ticket).merged_into
    if into is None or ticket.deleted_at is not None or not desk.caller.is_at_least(Role.AGENT):
        return await reopen_ticket(ports, desk, ticket_id, if_version, once)
    first = once and once.wrapping(_split_off)
    for _ in range(MOST_TRIES):
        ids = [one.id for one in await chain_of(ports, ticket)]
        try:
            return _split_off(await ports.tickets.take(ids, links.split(desk, if_version), first))
        except ChainMoved:
            ticket = await get_ticket(ports, desk.caller, ticket_id)
    raise ChainMoved


def _split_off(taken: Taken) -> Ticket:
    return taken.written[0][0]


async def chain_of(ports: Ports, ticket: Ticket) -> Sequence[Ticket]:
    """The ticket and each one that it came to by merging, whoever may see them. Raises Conflict (too many)."""
    found = [ticket]
    while found[-1].merged_into is not None:
        if len(found) == MOST_TOGETHER:
            raise Conflict(f"The ticket came to another by more than {MOST_TOGETHER} merges; split some of them first.")
        found.append(await ports.tickets.get(found[-1].merged_into))
    return found


async def link_ticket(
    ports: Ports,
    desk: Desk,
    ticket_id: str,
    draft: LinkDraft,
    if_version: Versions = None,
    once: Once | None = None,
) -> Ticket:
    """Tie two tickets, on both. Raises Unprocessable, Conflict."""
    edit = links.link(desk, draft.kind, if_version)
    await _must_be_another(ports, desk.caller, ticket_id, draft.ticket_id, "ticket_id")
    return await _update_both(ports, ticket_id, draft.ticket_id, edit, once)


async def unlink_ticket(ports: Ports, desk: Desk, ticket_id: str, other_id: str, if_version: Versions) -> Ticket:
    """Untie them, on both. Raises LinkNotFound, Conflict."""
    edit = links.unlink(desk, if_version)
    ticket = await get_ticket(ports, desk.caller, ticket_id)
    if not any(link.ticket_id == other_id for link in desk.shown(ticket).links):
        desk.must_be_at(ticket, if_version)
        raise LinkNotFound(other_id[:64])
    return await _update_both(ports, ticket_id, other_id, edit, None)


async def _must_be_another(ports: Ports, caller: Caller, ticket_id: str, other_id: str, field: str) -> None:
    """Raises TicketNotFound for the ticket itself, Unprocessable for an other one that is none."""
    await get_ticket(ports, caller, ticket_id)
    if other_id == ticket_id:
        raise Unprocessable("A ticket can't be tied to itself.", [(field, "must be another ticket")])
    try:
        if not is_id(other_id):
            raise TicketNotFound(other_id)
        await get_ticket(ports, caller, other_id)
    except TicketNotFound as problem:
        raise Unprocessable(str(problem), [(field, "must be the id of a ticket")]) from None


async def _update_both(ports: Ports, one: str, other: str, edit: EditMany, once: Once | None) -> Ticket:
    """The first of the two, changed together with the second."""
    done = await ports.tickets.update_many([one, other], edit, once and once.wrapping(lambda both: both[0]))
    return done[0]
