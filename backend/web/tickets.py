"""Tickets over HTTP."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from fastapi import APIRouter, Request
from starlette.responses import Response

from backend.domain.access import Caller
from backend.domain.attachments import Attachment
from backend.domain.edits import Desk
from backend.domain.once import Once
from backend.domain.pages import TicketQuestion
from backend.domain.tickets import CommentDraft, ResolutionDraft, Ticket, TicketChange, TicketDraft
from backend.errors import InvalidInput
from backend.ports import Ports
from backend.usecases import answers as sending
from backend.usecases import links, tickets
from backend.usecases.attachments import Uploads, may_attach
from backend.usecases.tickets import Said
from backend.web import forms
from backend.web.answers import (
    comment_body,
    created_ticket_answer,
    event_body,
    json_answer,
    merged_ticket_answer,
    page_answer,
    ticket_answer,
    ticket_body,
)
from backend.web.deps import IF_MATCH, PageQuery, TicketId, asked_of, enter, if_match, none_match
from backend.web.idempotency import PARAMETER as IDEMPOTENCY_KEY
from backend.web.idempotency import once
from backend.web.openapi import answers, body_of, form_of, query_of

router = APIRouter(prefix="/api/tickets", tags=["tickets"])

MERGE_PATCH = "application/merge-patch+json"


class TicketListQuery(TicketQuestion, PageQuery):
    """What can be asked of the list, and which page of it."""

    lists: ClassVar[frozenset[str]] = frozenset(
        {"status", "severity", "category", "assignee", "team", "requester", "tag", "watcher"}
    )


@router.post(
    "",
    status_code=201,
    summary="File a ticket",
    responses=answers("TicketOut", 400, 403, 413, 415, 422, status=201, etag=True, location=True),
    openapi_extra={"parameters": [IDEMPOTENCY_KEY], "requestBody": form_of("TicketDraft")},
)
async def open_ticket(request: Request) -> Response:
    """As JSON, or as a form with the same fields (`tags` repeated) and any number of files up to 20.

    Where categories or teams are set up, an active one must be named, and a category's team and assignee count where
    none is. `due_at` and `first_response_due_at` follow from what is promised (`/api/sla`)."""
    ports, caller = await enter(request)
    if forms.media_type(request) == "multipart/form-data":
        return await _open_from_form(request, ports, caller)
    draft = await forms.read_draft(request, TicketDraft, "multipart/form-data")
    promise = await once(request, ports, caller, draft.model_dump(mode="json"), created_ticket_answer)
    return created_ticket_answer(await tickets.open_ticket(ports, caller, draft, once=promise))


async def _open_from_form(request: Request, ports: Ports, caller: Caller) -> Response:
    uploads = Uploads(ports, caller)
    try:
        fields = await _read_fields(request, uploads)
        draft = TicketDraft.model_validate(fields)
        content = [draft.model_dump(mode="json"), contents(uploads.files)]
        promise = await once(request, ports, caller, content, created_ticket_answer)
        ticket = await tickets.open_ticket(ports, caller, draft, uploads.files, promise)
    except BaseException as problem:
        await uploads.discard(problem)
        raise
    return created_ticket_answer(ticket)


async def _read_fields(request: Request, uploads: Uploads) -> dict[str, Any]:
    """A form's fields, `tags` as a list; its files are taken in on the way."""
    fields: dict[str, Any] = {}
    async for part in forms.read_parts(request):
        if part.filename is not None:
            await uploads.take(part.filename, part.content_type, part.chunks)
        elif part.name == "tags":
            fields.setdefault("tags", []).append(await part.text())
        elif part.name in fields:
            raise InvalidInput(f"The form names the field {part.name[:100]!r} twice.")
        else:
            fields[part.name] = await part.text()
    for name in ("requester", "assignee", "team", "internal"):
        if fields.get(name) == "":
            del fields[name]  # an input that was left empty
    return fields


def shown_by(desk: Desk) -> Callable[[Ticket], Response]:
    """Answers with a ticket as whoever acts there may see it."""
    return lambda ticket: ticket_answer(desk.shown(ticket), desk.tag(ticket))


def contents(files: list[Attachment]) -> list[Any]:
    """What tells one request's files from another's: names, types and digests."""
    return [[file.name, file.content_type, file.sha256] for file in files]


@router.get(
    "",
    summary="List and search tickets",
    responses=answers("TicketPage", 400, 403, 422),
    openapi_extra=query_of("TicketListQuery"),
)
async def list_tickets(request: Request) -> Response:
    """A filter given several times takes any of its values; all filters must match.

    Keyset paging: ask again with `cursor=<next_cursor>` and the same other parameters."""
    ports, caller = await enter(request)
    asked = asked_of(request, TicketListQuery)
    query = asked.query(caller.address, asked.limit, asked.cursor)
    return page_answer(await tickets.list_tickets(ports, caller, query), ticket_body)


@router.get(
    "/{ticket_id}",
    summary="Read a ticket",
    responses=answers("TicketOut", 404, etag=True, not_modified=True),
)
async def get_ticket(request: Request, ticket_id: TicketId) -> Response:
    """With its version as `ETag`. Agents also see what is in the trash.

    A merged one tells as `merged_into` which ticket goes on in its place; its requester may read that one too."""
    ports, caller = await enter(request)
    ticket, tag = await tickets.show_ticket(ports, caller, ticket_id)
    if ticket.merged_into is not None:
        into = (await sending.goes_on(ports, caller, ticket_id)).into
        return merged_ticket_answer(ticket, tag, into)
    if none_match(request, quoted := f'"{tag}"'):
        return Response(status_code=304, headers={"etag": quoted})
    return ticket_answer(ticket, tag)


@router.patch(
    "/{ticket_id}",
    summary="Change a ticket",
    responses=answers("TicketOut", 400, 403, 404, 409, 412, 413, 415, 422, etag=True),
    openapi_extra={
        "parameters": [IF_MATCH],
        "requestBody": body_of("TicketChange", "application/json", MERGE_PATCH),
    },
)
async def change_ticket(request: Request, ticket_id: TicketId) -> Response:
    """JSON merge patch: only what is named changes, null empties. Without `If-Match` the last one wins.

    What a status may become is told by `/api/workflow`; a ticket that was merged changes no more."""
    ports, caller = await enter(request)
    change = await forms.read_draft(request, TicketChange, MERGE_PATCH)
    desk = await tickets.desk_at(ports, caller, ticket_id)
    return shown_by(desk)(await tickets.change_ticket(ports, desk, ticket_id, change, if_match(request)))


@router.delete(
    "/{ticket_id}",
    status_code=204,
    summary="Move a ticket to the trash",
    responses=answers(None, 400, 403, 404, 409, 412, 422, status=204),
    openapi_extra={"parameters": [IF_MATCH]},
)
async def delete_ticket(request: Request, ticket_id: TicketId) -> Response:
    """For agents. Nothing is lost: `restore` brings it back."""
    ports, caller = await enter(request)
    desk = await tickets.desk_at(ports, caller, ticket_id)
    await tickets.delete_ticket(ports, desk, ticket_id, if_match(request))
    return Response(status_code=204)


@router.post(
    "/{ticket_id}/restore",
    summary="Bring a ticket back from the trash",
    responses=answers("TicketOut", 400, 403, 404, 409, 412, 422, etag=True),
    openapi_extra={"parameters": [IF_MATCH, IDEMPOTENCY_KEY]},
)
async def restore_ticket(request: Request, ticket_id: TicketId) -> Response:
    """For agents."""
    ports, caller = await enter(request)
    desk = await tickets.desk_at(ports, caller, ticket_id)
    answer = shown_by(desk)
    promise = await once(request, ports, caller, None, answer)
    return answer(await tickets.restore_ticket(ports, desk, ticket_id, if_match(request), promise))


@router.post(
    "/{ticket_id}/resolve",
    summary="Resolve a ticket",
    responses=answers("TicketOut", 400, 403, 404, 409, 412, 413, 415, 422, etag=True),
    openapi_extra={
        "parameters": [IF_MATCH, IDEMPOTENCY_KEY],
        "requestBody": body_of("ResolutionDraft", "application/json"),
    },
)
async def resolve_ticket(request: Request, ticket_id: TicketId) -> Response:
    """For agents. Unless `remember` is false, a memory with the ticket's id keeps what was learned."""
    ports, caller = await enter(request)
    draft = await forms.read_draft(request, ResolutionDraft)
    desk = await tickets.desk_at(ports, caller, ticket_id)
    answer = shown_by(desk)
    promise = await once(request, ports, caller, draft.model_dump(mode="json"), answer)
    return answer(await tickets.resolve_ticket(ports, desk, ticket_id, draft, if_match(request), promise))


@router.post(
    "/{ticket_id}/reopen",
    summary="Reopen a ticket",
    responses=answers("TicketOut", 400, 404, 409, 412, 422, etag=True),
    openapi_extra={"parameters": [IF_MATCH, IDEMPOTENCY_KEY]},
)
async def reopen_ticket(request: Request, ticket_id: TicketId) -> Response:
    """For agents, and for the requester of the ticket. One that was merged is split from the other again, by agents:
    then its requester no longer reads that one, and what they sent goes back to this one."""
    ports, caller = await enter(request)
    desk = await tickets.desk_at(ports, caller, ticket_id)
    answer = shown_by(desk)
    promise = await once(request, ports, caller, None, answer)
    return answer(await links.reopen_or_split(ports, desk, ticket_id, if_match(request), promise))


@router.post(
    "/{ticket_id}/watch",
    summary="Watch a ticket",
    responses=answers("TicketOut", 400, 404, 409, 412, 422, etag=True),
    openapi_extra={"parameters": [IF_MATCH, IDEMPOTENCY_KEY]},
)
async def watch_ticket(request: Request, ticket_id: TicketId) -> Response:
    """For whoever may read it: be told of its changes. Watching shows nobody more than they may see."""
    return await _watch(request, ticket_id, watching=True)


@router.post(
    "/{ticket_id}/unwatch",
    summary="Watch a ticket no longer",
    responses=answers("TicketOut", 400, 404, 409, 412, 422, etag=True),
    openapi_extra={"parameters": [IF_MATCH, IDEMPOTENCY_KEY]},
)
async def unwatch_ticket(request: Request, ticket_id: TicketId) -> Response:
    """For whoever may read it."""
    return await _watch(request, ticket_id, watching=False)


async def _watch(request: Request, ticket_id: str, *, watching: bool) -> Response:
    ports, caller = await enter(request)
    desk = await tickets.desk_at(ports, caller, ticket_id)
    answer = shown_by(desk)
    promise = await once(request, ports, caller, None, answer)
    return answer(await tickets.watch_ticket(ports, desk, ticket_id, watching, if_match(request), promise))


@router.post(
    "/{ticket_id}/comments",
    status_code=201,
    summary="Comment on a ticket",
    responses=answers("CommentOut", 400, 403, 404, 409, 413, 415, 422, status=201, location=True),
    openapi_extra={"parameters": [IDEMPOTENCY_KEY], "requestBody": form_of("CommentDraft")},
)
async def add_comment(request: Request, ticket_id: TicketId) -> Response:
    """As JSON, or as a form with the same fields and any number of files up to 20, all in one write.

    An internal note is for agents; neither it nor its files are ever shown to requesters. What a requester writes on a
    resolved or closed ticket reopens it, or opens a new one once REOPEN_DAYS are over, to which their later answers go
    too; on a merged ticket it goes to the one that goes on. `ticket_id` and `Location` say where it is now."""
    ports, caller = await enter(request)
    if forms.media_type(request) == "multipart/form-data":
        return await _comment_from_form(request, ports, caller, ticket_id)
    draft = await forms.read_draft(request, CommentDraft, "multipart/form-data")
    promise = await once(request, ports, caller, draft.model_dump(mode="json"), _said_answer)
    return _said_answer(await _say(ports, caller, ticket_id, draft, (), promise))


async def _comment_from_form(request: Request, ports: Ports, caller: Caller, ticket_id: str) -> Response:
    await may_attach(ports, caller, ticket_id)
    uploads = Uploads(ports, caller)
    try:
        draft = CommentDraft.model_validate(await _read_fields(request, uploads))
        content = [draft.model_dump(mode="json"), contents(uploads.files)]
        promise = await once(request, ports, caller, content, _said_answer)
        said = await _say(ports, caller, ticket_id, draft, uploads.files, promise)
    except BaseException as problem:
        await uploads.discard(problem)
        raise
    return _said_answer(said)


async def _say(
    ports: Ports,
    caller: Caller,
    ticket_id: str,
    draft: CommentDraft,
    files: Sequence[Attachment],
    promise: Once | None,
) -> Said:
    desk = await tickets.desk_at(ports, caller, ticket_id)
    if not draft.internal and await sending.is_answer(ports, caller, ticket_id):
        wrapped = promise and promise.wrapping(_said_of)
        return _said_of(await sending.send(ports, desk, ticket_id, draft, files, wrapped))
    return await tickets.add_comment(ports, desk, ticket_id, draft, promise, files)


def _said_of(sent: sending.Sent) -> Said:
    assert sent.comment is not None
    return Said(sent.comment, sent.attachments)


def _said_answer(said: Said) -> Response:
    return json_answer(comment_body(said), 201, {"location": f"/api/tickets/{said.comment.ticket_id}"})


@router.get(
    "/{ticket_id}/comments",
    summary="Read a ticket's comments",
    responses=answers("CommentPage", 400, 404, 422),
    openapi_extra=query_of("PageQuery"),
)
async def list_comments(request: Request, ticket_id: TicketId) -> Response:
    """Oldest first, each with its files; internal notes only for agents."""
    ports, caller = await enter(request)
    asked = asked_of(request, PageQuery)
    page = await tickets.list_said(ports, caller, ticket_id, asked.limit, asked.cursor)
    return page_answer(page, comment_body)


@router.get(
    "/{ticket_id}/history",
    summary="Read a ticket's history",
    responses=answers("EventPage", 400, 404, 422),
    openapi_extra=query_of("PageQuery"),
)
async def list_history(request: Request, ticket_id: TicketId) -> Response:
    """Who changed what, oldest first; what concerns internal notes only for agents."""
    ports, caller = await enter(request)
    asked = asked_of(request, PageQuery)
    page = await tickets.list_history(ports, caller, ticket_id, asked.limit, asked.cursor)
    return page_answer(page, event_body)
