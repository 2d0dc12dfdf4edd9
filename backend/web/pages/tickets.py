"""One ticket: what was asked, what happened since, and everything that can be done about it."""

import secrets
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from pydantic import ValidationError
from starlette.responses import Response

from backend.domain import edits
from backend.domain.access import Caller, Role
from backend.domain.attachments import MOST_FILES_A_REQUEST
from backend.domain.collections import REPLIES
from backend.domain.labels import LabelKind
from backend.domain.neighbours import Subject
from backend.domain.replies import filled
from backend.domain.tickets import ACTIVE, Ticket
from backend.domain.values import fingerprint
from backend.errors import RequestError
from backend.ports import Ports
from backend.usecases import answers, labels, people, records, setup, tickets
from backend.web.aside import aside
from backend.web.deps import TicketId
from backend.web.pages import conflicts, text, threads, ties, timeline
from backend.web.pages.posted import Fields
from backend.web.pages.rendering import go, show_long
from backend.web.pages.routes import Problems, entered, router, told

router_ = router()

_NOTHING = Fields([])
FIELDS = ("title", "description", "severity", "category", "status", "requester", "assignee", "team", "tags")
_LONGEST_NUMBER = 12
_MOST_MENTIONED = 20


@router_.get("/tickets/{ticket_id}")
async def ticket(request: Request, ticket_id: TicketId) -> Response:
    """The ticket's page; `all=1` shows its story from the beginning."""
    ports, caller = await entered(request)
    if ticket_id.isdecimal() and ticket_id.isascii() and len(ticket_id) <= _LONGEST_NUMBER:
        found = await ties.numbered(ports, caller, [int(ticket_id)])
        if found:
            return go(f"/tickets/{found[int(ticket_id)]}")
    return await ticket_page(request, ports, caller, ticket_id)


async def ticket_page(
    request: Request,
    ports: Ports,
    caller: Caller,
    ticket_id: str,
    status: int = 200,
    line: str = "",
    problems: Problems = (),
    typed: Fields = _NOTHING,
    theirs: Mapping[str, str] | None = None,
) -> Response:
    """The page, also as the answer to a form that was refused: then with why, and with what was typed."""
    position = await ports.tickets.last_position()  # before anything is read: what comes after is told live
    found = (await tickets.show_ticket(ports, caller, ticket_id)).ticket
    tied = await ties.ties_of(ports, caller, found)
    story = await threads.tell(ports, caller, found, tied, whole=request.query_params.get("all") == "1")
    goes_on = await answers.goes_on(ports, caller, ticket_id)
    said = [
        found.description,
        *(entry.comment.body for entry in story.entries if entry.comment),
        found.resolution or "",
    ]
    length = sum(map(len, said))
    numbers = await aside(length, text.mentioned, said, _MOST_MENTIONED)
    changing = {name for name in FIELDS if request.url.path.endswith("/change") and typed.was_sent(name)}
    typed = conflicts.rebased(typed, {name: as_typed(found, name) for name in changing})
    values: dict[str, Any] = {
        "ticket": found,
        "story": story,
        "ties": tied,
        "goes_on": goes_on,
        "is_requester": edits.is_requester(caller, found),
        "may_edit": caller.is_at_least(Role.AGENT) or found.requester == caller.address,
        "joined": await _joined(ports, caller, found),
        "reopen_days": ports.reopen_days,
        "sent": await _sent(ports, caller, found, request.query_params.get("sent", "")),
        "mentioned": await ties.numbered(ports, caller, numbers),
        "is_picture": timeline.is_picture,
        "laid": await setup.current(ports),
        "people": [],
        "names": await people.names(ports),
        "replies": [],
        "line": line,
        "problems": problems,
        "typed": typed,
        "changing": changing,
        "theirs": theirs or {},
        "kept": _without_a_form(caller, found, typed, merged=goes_on.merged),
        "position": position,
        "me": caller.address,
        "largest": ports.limits.upload,
        "most_files": MOST_FILES_A_REQUEST,
        "once": secrets.token_urlsafe(12),
        "now": ports.now(),
    }
    if caller.is_at_least(Role.AGENT):
        values["people"] = await people.list_agents(ports, caller)
        values |= await in_use(ports, caller)
        values["replies"] = await _replies(ports, caller, found)
        values["suggestions"] = _suggestions_of(found)
    return await show_long(request, caller, "ticket.html", length, values, status)


async def in_use(ports: Ports, caller: Caller) -> dict[str, list[str]]:
    """Categories and tags to choose from: of categories those that are set up, where some are."""
    laid = await setup.current(ports)
    named = [one.name for one in laid.categories.values()]
    categories = named or await labels.offered(ports, caller, LabelKind.CATEGORY)
    return {"categories": categories, "tags": await labels.offered(ports, caller, LabelKind.TAG)}


async def _joined(ports: Ports, caller: Caller, found: Ticket) -> list[Ticket]:
    """The requester's own tickets that were merged into this one."""
    if caller.is_at_least(Role.AGENT):
        return []
    mine = [one.ticket_id for one in found.participants if one.address == caller.address]
    return await ties.seen(ports, caller, mine)


async def _sent(ports: Ports, caller: Caller, found: Ticket, ticket_id: str) -> tuple[str, Ticket] | None:
    """Why what was just sent on another ticket is here: that one was merged, or had long been over, and this one was
    opened just now (`anew`) or by an earlier answer (`follows`)."""
    for other in await ties.seen(ports, caller, [ticket_id]):
        goes_on = await answers.goes_on(ports, caller, other.id)
        if goes_on.into is not None and goes_on.into.id == found.id:
            return "merged", other
        if goes_on.follow_up is not None and goes_on.follow_up.id == found.id:
            return "anew" if found.version == 1 else "follows", other
    return None


def _without_a_form(caller: Caller, found: Ticket, typed: Fields, *, merged: bool) -> list[str]:
    """What was typed into a form that the ticket has no longer: to be copied."""
    gone = found.deleted_at is not None
    names = ["title", "description", "tags"] if gone or merged else []
    names += ["body"] if gone or (merged and caller.is_at_least(Role.AGENT)) else []
    return [typed.one(name) for name in names if typed.has(name)] + (
        [typed.one("resolution")] if typed.has("resolution") and (gone or found.status not in ACTIVE) else []
    )


def as_typed(ticket: Ticket, name: str) -> str:
    """A field's value as its form has it."""
    value = getattr(ticket, name)
    return ", ".join(value) if name == "tags" else str(value or "")


def _suggestions_of(found: Ticket) -> str:
    """Where the page fetches them, later. It is another address whenever they may be others, and only then."""
    state = (found.title, found.description, found.status, found.deleted_at, found.merged_into)
    values = (getattr(found, subject) for subject in Subject)
    return f"/tickets/{found.id}/suggestions?of={fingerprint(*state, *values)[:12]}"


async def _replies(ports: Ports, caller: Caller, found: Ticket) -> list[dict[str, str]]:
    """The canned replies, filled in for this ticket."""
    kept = await records.list_records(ports, caller, REPLIES)
    names = await people.names(ports)
    return [
        {"title": str(one.body["title"]), "text": filled(str(one.body["body"]), found, caller, names)}
        for one in sorted(kept, key=lambda one: str(one.body["title"]).casefold())
    ]


async def refused_page(
    request: Request,
    ports: Ports,
    caller: Caller,
    ticket_id: str,
    typed: Fields,
    problem: RequestError | ValidationError,
) -> Response:
    """The ticket as it is now, why the form was refused, and the form as it was filled in."""
    status, line, problems = told(problem)
    (line,) = await ties.with_numbers(ports, caller, [line])
    return await ticket_page(
        request, ports, caller, ticket_id, status, line, problems, typed, conflicts.theirs_of(problem)
    )
