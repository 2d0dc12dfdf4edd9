"""What people do with tickets."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from backend.domain import edits, memories
from backend.domain.access import Caller, Role
from backend.domain.attachments import Attachment
from backend.domain.edits import Desk, Versions
from backend.domain.events import is_of_another, told
from backend.domain.once import Once
from backend.domain.pages import TicketQuery
from backend.domain.tickets import (
    ACTIVE,
    Comment,
    CommentDraft,
    Edit,
    Event,
    ResolutionDraft,
    Ticket,
    TicketChange,
    TicketDraft,
    event,
    must_see,
    new_ticket,
)
from backend.domain.values import Page, is_id, new_id
from backend.errors import RequestError, TicketNotFound
from backend.ports import Ports
from backend.usecases import labels, numbers, people, quotas, setup


async def open_ticket(
    ports: Ports,
    caller: Caller,
    draft: TicketDraft,
    attachments: Sequence[Attachment] = (),
    once: Once | None = None,
) -> Ticket:
    """File a new ticket, with files whose bytes are kept already. Raises NotAllowed, Unprocessable."""
    await quotas.count_text(ports, caller, draft.description)
    at = ports.now()
    laid = await setup.current(ports)
    if draft.assignee is not None or laid.assigns(draft.category):
        laid = await setup.with_people(ports, caller)
    if laid.categories or laid.teams:
        draft = await labels.renamed_draft(ports, draft)
    filed = laid.filed(caller, new_ticket(caller, draft, at))
    (ticket,) = await labels.spelled(ports, [filed])
    owned = [replace(attachment, ticket_id=ticket.id) for attachment in attachments]
    changes = {"attachments": (None, [attachment.name for attachment in owned])} if owned else {}
    return await ports.tickets.add(ticket, owned, event(caller, ticket.id, at, "created", changes), once)


async def desk_for(ports: Ports, caller: Caller, *looked_at: Ticket) -> Desk:
    """Where the caller acts. Of the tickets linked to these, it knows which ones the caller may see.

    Agents of every team may see all, and no question is asked for them.
    """
    laid = await setup.current(ports)
    if caller.is_at_least(Role.AGENT) and not caller.teams:
        return Desk(caller, ports.now, laid)
    linked = {link.ticket_id for ticket in looked_at for link in ticket.links}
    known = [ticket_id for ticket_id in linked if await _may_see(ports, caller, ticket_id)]
    return Desk(caller, ports.now, laid, frozenset(known))


async def desk_that_assigns(ports: Ports, desk: Desk) -> Desk:
    """The same desk where people can be assigned."""
    return replace(desk, setup=await setup.with_people(ports, desk.caller))


async def desk_at(ports: Ports, caller: Caller, ticket_id: str) -> Desk:
    """Where the caller acts on this ticket, if it exists for them; what was linked to it since stays hidden."""
    if caller.is_at_least(Role.AGENT) and not caller.teams:
        return await desk_for(ports, caller)
    try:
        return await desk_for(ports, caller, await get_ticket(ports, caller, ticket_id))
    except TicketNotFound:
        return await desk_for(ports, caller)


async def get_ticket(ports: Ports, caller: Caller, ticket_id: str) -> Ticket:
    """One ticket that the caller may see, also in the trash. Raises TicketNotFound."""
    must_be_id(ticket_id)
    ticket = await ports.tickets.get(ticket_id)
    must_see(caller, ticket)
    return ticket


class Shown(NamedTuple):
    """A ticket as somebody may see it, and its ETag: for as long as that stays, it looks the same to them."""

    ticket: Ticket
    tag: str


async def show_ticket(ports: Ports, caller: Caller, ticket_id: str) -> Shown:
    """The same, with only those links that the caller may know of: which may change with the other tickets."""
    ticket = await get_ticket(ports, caller, ticket_id)
    desk = await desk_for(ports, caller, ticket)
    return Shown(desk.shown(ticket), desk.tag(ticket))


async def list_tickets(ports: Ports, caller: Caller, query: TicketQuery) -> Page[Ticket]:
    """Those that match and that the caller may see. Raises InvalidCursor, NotAllowed."""
    if query.where.deleted:
        caller.must_be(Role.AGENT)
    where = (await people.meant(ports, query.where)).seen_by(caller)
    if where is None:
        return Page([])
    where = await labels.widened(ports, where)
    page = await numbers.list_tickets(ports, replace(query, where=where, at=ports.now()))
    desk = await desk_for(ports, caller, *page.items)
    return Page([desk.shown(ticket) for ticket in page.items], page.next_cursor)


async def change_ticket(ports: Ports, desk: Desk, ticket_id: str, change: TicketChange, if_version: Versions) -> Ticket:
    """Apply a merge patch. Raises NotAllowed, Unprocessable, Conflict, PreconditionFailed."""
    change = await labels.spelled_draft(ports, change)
    if change.assignee is not None:
        desk = await desk_that_assigns(ports, desk)
    return await _update(ports, ticket_id, edits.change(desk, change, if_version))


async def resolve_ticket(
    ports: Ports,
    desk: Desk,
    ticket_id: str,
    draft: ResolutionDraft,
    if_version: Versions = None,
    once: Once | None = None,
) -> Ticket:
    """Resolve, and unless told otherwise keep what was learned as a memory. Raises Conflict, PreconditionFailed."""
    edit = edits.resolve(desk, draft, if_version)
    ticket = await get_ticket(ports, desk.caller, ticket_id)
    edit(ticket)
    await remember(ports, desk, ticket, draft)
    try:
        return await _update(ports, ticket_id, edit, once)
    except RequestError:
        await correct_memory(ports, desk, ticket_id, draft)
        raise


async def remember(ports: Ports, desk: Desk, ticket: Ticket, draft: ResolutionDraft) -> None:
    """Keep what was learned, if it is to be kept: before the ticket is resolved.

    Should that second write fail, an early memory does no harm, and the next try replaces it, since its id is the
    ticket's.
    """
    if draft.remember:
        resolved = ticket._replace(resolution=draft.resolution)
        await ports.memories.put(memories.from_ticket(resolved, desk.caller.name, ports.now()))


async def correct_memory(ports: Ports, desk: Desk, ticket_id: str, draft: ResolutionDraft) -> None:
    """Somebody else was faster: what is remembered of the ticket is how it was resolved, and not this draft."""
    with suppress(RequestError):
        ticket = await get_ticket(ports, desk.caller, ticket_id)
        if draft.remember and ticket.status not in ACTIVE and ticket.resolution not in (None, draft.resolution):
            await ports.memories.put(memories.from_ticket(ticket, desk.caller.name, ports.now()))


async def reopen_ticket(
    ports: Ports, desk: Desk, ticket_id: str, if_version: Versions = None, once: Once | None = None
) -> Ticket:
    """Open a resolved or closed ticket again; its requester may do so too. Raises Conflict."""
    return await _update(ports, ticket_id, edits.reopen(desk, if_version), once)


async def delete_ticket(ports: Ports, desk: Desk, ticket_id: str, if_version: Versions) -> Ticket:
    """Move to the trash."""
    return await _update(ports, ticket_id, edits.delete(desk, if_version))


async def restore_ticket(
    ports: Ports, desk: Desk, ticket_id: str, if_version: Versions = None, once: Once | None = None
) -> Ticket:
    """Bring back from the trash. Raises Conflict where it is not there."""
    return await _update(ports, ticket_id, edits.restore(desk, if_version), once)


async def watch_ticket(
    ports: Ports, desk: Desk, ticket_id: str, watching: bool, if_version: Versions = None, once: Once | None = None
) -> Ticket:
    """Begin or end to be told of its changes. Raises Conflict."""
    return await _update(ports, ticket_id, edits.watch(desk, watching, if_version), once)


class Said(NamedTuple):
    """A comment and the files that came with it."""

    comment: Comment
    attachments: Sequence[Attachment] = ()


async def add_comment(
    ports: Ports,
    desk: Desk,
    ticket_id: str,
    draft: CommentDraft,
    once: Once | None = None,
    attachments: Sequence[Attachment] = (),
) -> Said:
    """Say something about a ticket, with files whose bytes are kept already. Internal notes, and so their files, are
    for agents. Raises Conflict."""
    if draft.internal:
        desk.caller.must_be(Role.AGENT)
    must_be_id(ticket_id)
    comment = Comment(new_id(), ticket_id, desk.caller.name, draft.body, draft.internal, ports.now())
    said = Said(comment, [file.sent_with(ticket_id, comment.id, draft.internal) for file in attachments])
    promise = once and once.wrapping(lambda _: said)
    await ports.tickets.add_comment(comment, edits.say(desk, comment, said.attachments), promise, said.attachments)
    return said


async def list_comments(ports: Ports, caller: Caller, ticket_id: str, limit: int, cursor: str | None) -> Page[Comment]:
    """Oldest first; internal notes only for agents. Raises InvalidCursor."""
    await get_ticket(ports, caller, ticket_id)
    return await ports.tickets.list_comments(ticket_id, caller.is_at_least(Role.AGENT), limit, cursor)


async def list_said(ports: Ports, caller: Caller, ticket_id: str, limit: int, cursor: str | None) -> Page[Said]:
    """The same, each with its files."""
    page = await list_comments(ports, caller, ticket_id, limit, cursor)
    files = await ports.tickets.list_attachments(ticket_id) if page.items else ()
    sent = sent_with(files)
    return Page([Said(comment, sent.get(comment.id, ())) for comment in page.items], page.next_cursor)


def sent_with(files: Sequence[Attachment]) -> dict[str | None, list[Attachment]]:
    """The files by the comment that they came with."""
    found: dict[str | None, list[Attachment]] = {}
    for file in files:
        found.setdefault(file.comment_id, []).append(file)
    return found


async def list_history(ports: Ports, caller: Caller, ticket_id: str, limit: int, cursor: str | None) -> Page[Event]:
    """Who changed what, oldest first. Raises InvalidCursor."""
    ticket = await get_ticket(ports, caller, ticket_id)
    page = await ports.tickets.list_history(ticket_id, caller.is_at_least(Role.AGENT), limit, cursor)
    known = await _known(ports, caller, page.items)
    merged = {participant.ticket_id for participant in ticket.participants}
    theirs = page.items
    if not caller.is_at_least(Role.AGENT):
        theirs = [event for event in page.items if not is_of_another(event, merged)]
    shown = [event for event in (told(caller, event, known) for event in theirs) if event]
    return Page(shown, page.next_cursor)


async def _known(ports: Ports, caller: Caller, events: Sequence[Event]) -> frozenset[str]:
    """Of the tickets that these events name, those that an agent with teams may see."""
    if not caller.teams:
        return frozenset()
    sides = (side for event in events for side in event.changes.get("links", ()))
    linked = {link["ticket_id"] for side in sides for link in side}
    linked |= {event.changes["via"][1] for event in events if "via" in event.changes}
    return frozenset([ticket_id for ticket_id in linked if await _may_see(ports, caller, ticket_id)])


def must_be_id(ticket_id: str) -> None:
    """Raises TicketNotFound for what can't be an id at all."""
    if not is_id(ticket_id):
        raise TicketNotFound(ticket_id)


async def _update(ports: Ports, ticket_id: str, edit: Edit, once: Once | None = None) -> Ticket:
    must_be_id(ticket_id)
    return await ports.tickets.update(ticket_id, edit, once)


async def _may_see(ports: Ports, caller: Caller, ticket_id: str) -> bool:
    try:
        await get_ticket(ports, caller, ticket_id)
    except TicketNotFound:
        return False
    return True
