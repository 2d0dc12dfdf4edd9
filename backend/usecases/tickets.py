"""What people do with tickets."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from backend.domain import memories
from backend.domain.access import Caller, Role
from backend.domain.attachments import Attachment
from backend.domain.once import Once
from backend.domain.pages import TicketQuery
from backend.domain.tickets import (
    ACTIVE,
    Comment,
    CommentDraft,
    Event,
    ResolutionDraft,
    Status,
    Ticket,
    TicketChange,
    TicketDraft,
    Written,
    changed,
    commented,
    differences,
    event,
    may_write,
    must_be_present,
    must_see,
    new_ticket,
)
from backend.domain.values import Page, is_id, new_id
from backend.errors import Conflict, PreconditionFailed, TicketNotFound
from backend.ports import Ports


async def open_ticket(
    ports: Ports,
    caller: Caller,
    draft: TicketDraft,
    attachments: Sequence[Attachment] = (),
    once: Once | None = None,
) -> Ticket:
    """File a new ticket, with files whose bytes are kept already. Raises NotAllowed."""
    at = ports.now()
    ticket = new_ticket(caller, draft, at)
    owned = [replace(attachment, ticket_id=ticket.id) for attachment in attachments]
    changes = {"attachments": (None, [attachment.name for attachment in owned])} if owned else {}
    return await ports.tickets.add(ticket, owned, event(caller, ticket.id, at, "created", changes), once)


async def get_ticket(ports: Ports, caller: Caller, ticket_id: str) -> Ticket:
    """One ticket that the caller may see, also in the trash. Raises TicketNotFound."""
    must_be_id(ticket_id)
    ticket = await ports.tickets.get(ticket_id)
    must_see(caller, ticket)
    return ticket


async def list_tickets(ports: Ports, caller: Caller, query: TicketQuery) -> Page[Ticket]:
    """Those that match and that the caller may see. Raises InvalidCursor, NotAllowed."""
    if query.where.deleted:
        caller.must_be(Role.AGENT)
    where = query.where.seen_by(caller)
    return await ports.tickets.list_tickets(replace(query, where=where)) if where else Page([])


async def change_ticket(
    ports: Ports, caller: Caller, ticket_id: str, change: TicketChange, if_version: Sequence[int] | None
) -> Ticket:
    """Apply a merge patch. Raises PreconditionFailed where the version is none of `if_version`."""
    values = change.named()
    may_write(caller, set(values))
    return await _update(ports, caller, ticket_id, "changed", values, if_version)


async def resolve_ticket(
    ports: Ports,
    caller: Caller,
    ticket_id: str,
    draft: ResolutionDraft,
    if_version: Sequence[int] | None = None,
    once: Once | None = None,
) -> Ticket:
    """Resolve, and unless told otherwise keep what was learned as a memory. Raises Conflict."""
    caller.must_be(Role.AGENT)
    ticket = await _present(ports, caller, ticket_id)
    if ticket.status not in ACTIVE:
        raise Conflict(f"The ticket is {ticket.status} already; reopen it first.")
    if draft.remember:
        # The memory first: should the second write fail, an early memory does no harm, and the next try
        # replaces it, since its id is the ticket's.
        at = ports.now()
        learned = memories.from_ticket(ticket._replace(resolution=draft.resolution), caller.name, at)
        await ports.memories.put(learned)
    values = {"status": Status.RESOLVED, "resolution": draft.resolution}
    return await _update(ports, caller, ticket_id, "resolved", values, if_version, once)


async def reopen_ticket(
    ports: Ports,
    caller: Caller,
    ticket_id: str,
    if_version: Sequence[int] | None = None,
    once: Once | None = None,
) -> Ticket:
    """Open a resolved or closed ticket again; its requester may do so too. Raises Conflict."""
    ticket = await _present(ports, caller, ticket_id)
    if ticket.status in ACTIVE:
        raise Conflict(f"The ticket is {ticket.status}: there is nothing to reopen.")
    values = {"status": Status.OPEN}
    return await _update(ports, caller, ticket_id, "reopened", values, if_version, once)


async def delete_ticket(ports: Ports, caller: Caller, ticket_id: str, if_version: Sequence[int] | None) -> Ticket:
    """Move to the trash."""
    caller.must_be(Role.AGENT)
    values = {"deleted_at": ports.now()}
    return await _update(ports, caller, ticket_id, "deleted", values, if_version)


async def restore_ticket(
    ports: Ports,
    caller: Caller,
    ticket_id: str,
    if_version: Sequence[int] | None = None,
    once: Once | None = None,
) -> Ticket:
    """Bring back from the trash. Raises Conflict where it is not there."""
    caller.must_be(Role.AGENT)
    ticket = await get_ticket(ports, caller, ticket_id)
    if ticket.deleted_at is None:
        raise Conflict("The ticket is not in the trash.")
    return await _update(ports, caller, ticket_id, "restored", {"deleted_at": None}, if_version, once, in_trash=True)


async def add_comment(
    ports: Ports, caller: Caller, ticket_id: str, draft: CommentDraft, once: Once | None = None
) -> Comment:
    """Say something about a ticket. Internal notes are for agents."""
    if draft.internal:
        caller.must_be(Role.AGENT)
    must_be_id(ticket_id)
    at = ports.now()
    comment = Comment(new_id(), ticket_id, caller.name, draft.body, draft.internal, at)

    def edit(ticket: Ticket) -> Written:
        must_be_present(caller, ticket)
        return commented(caller, ticket, comment)

    return await ports.tickets.add_comment(comment, edit, once)


async def list_comments(ports: Ports, caller: Caller, ticket_id: str, limit: int, cursor: str | None) -> Page[Comment]:
    """Oldest first; internal notes only for agents. Raises InvalidCursor."""
    await get_ticket(ports, caller, ticket_id)
    return await ports.tickets.list_comments(ticket_id, caller.is_at_least(Role.AGENT), limit, cursor)


async def list_history(ports: Ports, caller: Caller, ticket_id: str, limit: int, cursor: str | None) -> Page[Event]:
    """Who changed what, oldest first. Raises InvalidCursor."""
    await get_ticket(ports, caller, ticket_id)
    return await ports.tickets.list_history(ticket_id, caller.is_at_least(Role.AGENT), limit, cursor)


async def _present(ports: Ports, caller: Caller, ticket_id: str) -> Ticket:
    """A ticket that is not in the trash. Raises TicketNotFound, Conflict."""
    ticket = await get_ticket(ports, caller, ticket_id)
    must_be_present(caller, ticket)
    return ticket


def must_be_id(ticket_id: str) -> None:
    """Raises TicketNotFound for what can't be an id at all."""
    if not is_id(ticket_id):
        raise TicketNotFound(ticket_id)


async def _update(
    ports: Ports,
    caller: Caller,
    ticket_id: str,
    kind: str,
    values: dict[str, Any],
    if_version: Sequence[int] | None,
    once: Once | None = None,
    *,
    in_trash: bool = False,
) -> Ticket:
    """Change some fields. With `if_version` a ticket at any other version is left alone: PreconditionFailed."""
    must_be_id(ticket_id)

    def edit(before: Ticket) -> Written | None:
        must_see(caller, before)
        if not in_trash:
            must_be_present(caller, before)
        if if_version is not None and before.version not in if_version:
            raise PreconditionFailed(
                f"The ticket is at version {before.version} now; read it again before you change it."
            )
        at = ports.now()
        after = changed(before, at, **values)
        changes = differences(before, after)
        return (after, event(caller, ticket_id, at, kind, changes)) if changes else None

    return await ports.tickets.update(ticket_id, edit, once)
