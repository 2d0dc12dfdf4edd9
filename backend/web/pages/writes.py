"""The forms of a ticket's page. Each answers with the way back to the ticket, or with the ticket and why not."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from fastapi import Request
from pydantic import ValidationError
from starlette.responses import Response

from backend.domain.edits import Desk
from backend.domain.links import LinkDraft, MergeDraft
from backend.domain.search import is_nobody
from backend.domain.tickets import CommentDraft, ResolutionDraft, Ticket, TicketChange, seen_by
from backend.errors import Conflict, InvalidInput, PreconditionFailed, RequestError
from backend.ports import Ports
from backend.usecases import answers, attachments, links, tickets
from backend.usecases.answers import Sent
from backend.usecases.attachments import Uploads
from backend.web.deps import AttachmentId, TicketId
from backend.web.pages import conflicts, posted
from backend.web.pages.posted import Fields
from backend.web.pages.rendering import go
from backend.web.pages.routes import entered, router
from backend.web.pages.tickets import FIELDS, as_typed, refused_page
from backend.web.pages.ties import named

router_ = router()

_MAY_BE_EMPTY = frozenset({"assignee", "team"})
_TRIES = 4

Write = Callable[[Ports, Desk, Fields], Awaitable[Any]]


def way(ticket_id: str, anchor: str = "") -> str:
    """Where a ticket's page is."""
    return f"/tickets/{ticket_id}{anchor}"


async def take(request: Request, ticket_id: str, write: Write, anchor: str = "") -> Response:
    """Read the form, do what it says, and go back to the ticket."""
    ports, caller = await entered(request)
    fields = await posted.read(request)
    request.state.fields = fields
    try:
        await write(ports, await tickets.desk_at(ports, caller, ticket_id), fields)
    except (RequestError, ValidationError) as problem:
        return await refused_page(request, ports, caller, ticket_id, fields, problem)
    return go(way(ticket_id, anchor))


@router_.post("/tickets/{ticket_id}/comments")
async def comment(request: Request, ticket_id: TicketId) -> Response:
    """A reply or a note, with files, and perhaps another status with it."""
    return await _with_files(request, ticket_id, "internal")


@router_.post("/tickets/{ticket_id}/attachments")
async def attach(request: Request, ticket_id: TicketId) -> Response:
    """Files of the ticket itself, for agents alone where they say so."""
    return await _with_files(request, ticket_id, "agents_only")


async def _with_files(request: Request, ticket_id: str, internal: str) -> Response:
    """What a form with files says; `internal` is its field for whether that is for agents alone."""
    ports, caller = await entered(request)
    fields = request.state.fields = Fields([])
    try:
        await attachments.may_attach(ports, caller, ticket_id)
    except Conflict as problem:
        with suppress(RequestError):  # no file is taken, but what was typed is shown again
            await posted.read(request, None, fields)
        return await refused_page(request, ports, caller, ticket_id, fields, problem)
    uploads = Uploads(ports, caller)
    try:
        await posted.read(request, uploads, fields)
        desk = await tickets.desk_at(ports, caller, ticket_id)
        for_agents = bool(fields.one(internal) or fields.all(internal))  # whatever it says, so as to publish no note
        where = await _say(request, ports, desk, ticket_id, fields, uploads, internal=for_agents)
    except (RequestError, ValidationError) as problem:
        await uploads.discard(problem)
        return await refused_page(request, ports, caller, ticket_id, fields, problem)
    except BaseException as problem:
        await uploads.discard(problem)
        raise
    return go(where)


async def _say(
    request: Request, ports: Ports, desk: Desk, ticket_id: str, fields: Fields, uploads: Uploads, *, internal: bool
) -> str:
    """The words with their files in one write, then the status. Files without words are the ticket's own. Where to go
    on."""
    if not fields.has("body") and not uploads.files:
        raise InvalidInput("There is nothing to send yet: write something, or choose a file.")
    draft = CommentDraft(body=fields.one("body"), internal=internal) if fields.has("body") else None
    then = TicketChange.model_validate({"status": fields.one("then")}) if fields.has("then") else None
    if not internal and await answers.is_answer(ports, desk.caller, ticket_id):
        once = await posted.promise(request, ports, desk.caller, fields, lambda sent: _way_on(ticket_id, sent))
        sent = await answers.send(ports, desk, ticket_id, draft, uploads.files, once)
        uploads.files = []
        if then and sent.ticket_id == ticket_id:
            await tickets.change_ticket(ports, desk, ticket_id, then, None)
        return _way_on(ticket_id, sent)
    once = await posted.promise(request, ports, desk.caller, fields, lambda _: way(ticket_id, "#latest"))
    if draft:
        await tickets.add_comment(ports, desk, ticket_id, draft, once, uploads.files)
    elif uploads.files:
        await attachments.attach_files(ports, desk.caller, ticket_id, uploads, once, internal=internal)
    uploads.files = []  # they are the ticket's from here on
    if then:
        await tickets.change_ticket(ports, desk, ticket_id, then, None)
    return way(ticket_id, "#latest")


def _way_on(ticket_id: str, sent: Sent) -> str:
    """To the ticket that has what was sent, which says so where it is another one."""
    return way(sent.ticket_id, "#latest" if sent.ticket_id == ticket_id else f"?sent={ticket_id}#latest")


@router_.post("/tickets/{ticket_id}/change")
async def change(request: Request, ticket_id: TicketId) -> Response:
    """Some fields. What others changed meanwhile stays; what both changed is to be chosen."""

    async def write(ports: Ports, desk: Desk, fields: Fields) -> None:
        async def attempt() -> None:
            present = await tickets.get_ticket(ports, desk.caller, ticket_id)
            shown = {name: as_typed(present, name) for name in FIELDS if fields.was_sent(name)}
            both = conflicts.merged(fields, shown)
            wanted = TicketChange.model_validate({name: _value(name, both.values[name]) for name in both.changed})
            await tickets.change_ticket(ports, desk, ticket_id, wanted, [seen_by(desk.caller, present).version])

        await conflicts.until_current(attempt)

    return await take(request, ticket_id, write)


def _value(name: str, typed: str) -> Any:
    if name == "tags":
        return Fields([(name, typed)]).words(name)
    if name == "assignee" and is_nobody(typed):
        return None
    return typed or (None if name in _MAY_BE_EMPTY else "")


async def unless_changed(
    ports: Ports,
    desk: Desk,
    ticket_id: str,
    fields: Fields,
    names: list[str],
    act: Callable[[list[int]], Awaitable[Ticket]],
) -> None:
    """Act on the version whose fields are as they were seen. What others changed besides is no conflict."""
    for last in (*[False] * (_TRIES - 1), True):
        present = await tickets.get_ticket(ports, desk.caller, ticket_id)
        for name in names:
            posted.must_be_as_seen(fields, name, as_typed(present, name))
        try:
            await act([seen_by(desk.caller, present).version])
            return
        except PreconditionFailed:
            if last:
                raise


@router_.post("/tickets/{ticket_id}/resolve")
async def resolve(request: Request, ticket_id: TicketId) -> Response:
    """With what solved it, kept as a memory unless the box is empty."""

    async def write(ports: Ports, desk: Desk, fields: Fields) -> None:
        draft = ResolutionDraft(resolution=fields.one("resolution"), remember=fields.one("remember") == "yes")
        once = await posted.promise(request, ports, desk.caller, fields, lambda _: way(ticket_id, "#latest"))
        await tickets.resolve_ticket(ports, desk, ticket_id, draft, None, once)

    return await take(request, ticket_id, write, "#latest")


@router_.post("/tickets/{ticket_id}/reopen")
async def reopen(request: Request, ticket_id: TicketId) -> Response:
    """Open it again; what was merged is split off again."""

    async def write(ports: Ports, desk: Desk, _: Fields) -> None:
        await links.reopen_or_split(ports, desk, ticket_id)

    return await take(request, ticket_id, write)


@router_.post("/tickets/{ticket_id}/trash")
async def trash(request: Request, ticket_id: TicketId) -> Response:
    """Into the trash."""

    async def write(ports: Ports, desk: Desk, _: Fields) -> None:
        await tickets.delete_ticket(ports, desk, ticket_id, None)

    return await take(request, ticket_id, write)


@router_.post("/tickets/{ticket_id}/restore")
async def restore(request: Request, ticket_id: TicketId) -> Response:
    """Out of the trash."""

    async def write(ports: Ports, desk: Desk, _: Fields) -> None:
        await tickets.restore_ticket(ports, desk, ticket_id)

    return await take(request, ticket_id, write)


@router_.post("/tickets/{ticket_id}/watch")
async def watch(request: Request, ticket_id: TicketId) -> Response:
    """Begin to watch it, or end."""

    async def write(ports: Ports, desk: Desk, fields: Fields) -> None:
        await tickets.watch_ticket(ports, desk, ticket_id, fields.one("watch") == "yes")

    return await take(request, ticket_id, write)


@router_.post("/tickets/{ticket_id}/attachments/{attachment_id}/remove")
async def remove_file(request: Request, ticket_id: TicketId, attachment_id: AttachmentId) -> Response:
    """Take a file off the ticket."""

    async def write(ports: Ports, desk: Desk, _: Fields) -> None:
        await attachments.delete_attachment(ports, desk.caller, ticket_id, attachment_id)

    return await take(request, ticket_id, write)


@router_.post("/tickets/{ticket_id}/link")
async def link(request: Request, ticket_id: TicketId) -> Response:
    """Tie it to another one, or merge it into that one."""

    async def write(ports: Ports, desk: Desk, fields: Fields) -> None:
        other = await named(ports, desk.caller, fields.one("other"))
        once = await posted.promise(request, ports, desk.caller, fields, lambda _: way(ticket_id))
        if fields.one("kind") == "merge":
            draft = MergeDraft(into=other, reopen=fields.one("leave") != "yes")
            await links.merge_ticket(ports, desk, ticket_id, draft, None, once)
        else:
            tie = LinkDraft.model_validate({"kind": fields.one("kind"), "ticket_id": other})
            await links.link_ticket(ports, desk, ticket_id, tie, None, once)

    return await take(request, ticket_id, write)


@router_.post("/tickets/{ticket_id}/unlink")
async def unlink(request: Request, ticket_id: TicketId) -> Response:
    """Untie it."""

    async def write(ports: Ports, desk: Desk, fields: Fields) -> None:
        await links.unlink_ticket(ports, desk, ticket_id, fields.one("other"), None)

    return await take(request, ticket_id, write)
