"""What is suggested for a ticket, for agents: a part that the ticket's page fetches once it is there, and a page."""

import secrets
from collections.abc import Awaitable
from typing import NamedTuple

from fastapi import Request
from starlette.responses import Response

from backend.domain.access import Caller
from backend.domain.edits import Desk
from backend.domain.neighbours import Neighbour, Source, Subject, Value, each
from backend.domain.tickets import Status, Ticket
from backend.domain.triage import MOST_SHOWN, OFFLINE, Choice, Suggestion, Triage
from backend.ports import Ports
from backend.usecases import people, tickets, triage
from backend.usecases.triage import Triaged
from backend.web.deps import TicketId
from backend.web.pages import posted
from backend.web.pages.posted import Fields
from backend.web.pages.rendering import go, show
from backend.web.pages.routes import entered, router
from backend.web.pages.writes import take, unless_changed, way

router_ = router()


class Row(NamedTuple):
    """A suggestion with what of its value the ticket does not have yet, and what speaks for it."""

    suggestion: Suggestion
    value: Value
    present: str
    """The field as it is, as its form has it."""
    evidence: list[Neighbour]


@router_.get("/tickets/{ticket_id}/suggestions")
async def suggestions(request: Request, ticket_id: TicketId) -> Response:
    """What is suggested, and similar tickets."""
    ports, caller = await entered(request)
    await tickets.get_ticket(ports, caller, ticket_id)  # another's ticket is not found, before anything is refused
    return await _page(request, ports, caller, await triage.show(ports, caller, ticket_id))


@router_.post("/tickets/{ticket_id}/suggestions")
async def ask(request: Request, ticket_id: TicketId) -> Response:
    """Ask the assistant. Where it failed, the answer is the page with why: nobody keeps that."""
    ports, caller = await entered(request)
    await tickets.get_ticket(ports, caller, ticket_id)
    fields = await posted.read(request)
    here = way(ticket_id, "/suggestions")
    once = await posted.promise(request, ports, caller, fields, lambda _: here)
    found = await triage.ask(ports, caller, ticket_id, once)
    return await _page(request, ports, caller, found) if found.triage.note else go(here)


@router_.post("/tickets/{ticket_id}/suggestions/apply")
async def apply(request: Request, ticket_id: TicketId) -> Response:
    """Do as suggested: what the button that was pressed names, or all that was shown."""

    async def write(ports: Ports, desk: Desk, fields: Fields) -> None:
        choice = _chosen(fields)
        once = await posted.promise(request, ports, desk.caller, fields, lambda _: way(ticket_id))

        def act(version: list[int]) -> Awaitable[Ticket]:
            return triage.apply(ports, desk, ticket_id, choice, version, once)

        await unless_changed(ports, desk, ticket_id, fields, [str(subject) for subject in choice.values()], act)

    return await take(request, ticket_id, write)


def _chosen(fields: Fields) -> Choice:
    only = fields.one("only")
    named = [subject for subject in Subject if only in ("", subject)]
    values = {
        str(subject): fields.all(subject) if subject is Subject.TAGS else fields.one(subject) for subject in named
    }
    return Choice.model_validate({name: value for name, value in values.items() if value})


async def _page(request: Request, ports: Ports, caller: Caller, triaged: Triaged) -> Response:
    ticket, found = triaged
    rows = _rows(ticket, found)
    is_over = ticket.status == Status.CLOSED or ticket.merged_into is not None
    return await show(
        request,
        caller,
        "suggestions.html",
        ticket=ticket,
        found=found,
        rows=rows,
        nothing="" if rows else _why_nothing(found),
        similar=found.neighbours[:MOST_SHOWN],
        with_memories=any(one.source is Source.MEMORY for one in found.neighbours[:MOST_SHOWN]),
        may_write=ticket.deleted_at is None and not is_over,
        may_ask=ports.assistant.remote,
        model=None if found.by == OFFLINE else found.model or found.by,
        once=secrets.token_urlsafe(12),
        names=await people.names(ports),
    )


def _rows(ticket: Ticket, found: Triage) -> list[Row]:
    near = {one.id: one for one in found.neighbours}
    rows = []
    for one in found.suggestions:
        present = each(getattr(ticket, one.subject))
        value = tuple(part for part in each(one.value) if part not in present)
        if value:
            evidence = [near[other] for other in one.evidence if other in near]
            rows.append(Row(one, value if one.subject is Subject.TAGS else value[0], ", ".join(present), evidence))
    return rows


def _why_nothing(found: Triage) -> str:
    if found.suggestions:
        return "This ticket already has everything that is suggested."
    if found.by != OFFLINE:
        return "The assistant has nothing to suggest."
    return "Similar tickets do not agree." if found.neighbours else "No similar ticket has been resolved yet."
