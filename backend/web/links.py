"""Several tickets at once over HTTP: links, merging duplicates, bulk changes."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from backend.domain.bulk import BulkDraft, Outcome, Outcomes
from backend.domain.links import LinkDraft, MergeDraft
from backend.usecases import bulk, links, tickets
from backend.web import forms
from backend.web.answers import json_answer, ticket_body
from backend.web.deps import IF_MATCH, TicketId, enter, if_match
from backend.web.errors import problem_of
from backend.web.idempotency import PARAMETER as IDEMPOTENCY_KEY
from backend.web.idempotency import once
from backend.web.openapi import answers, body_of
from backend.web.tickets import shown_by

router = APIRouter(prefix="/api/tickets", tags=["tickets"])


@router.post(
    "/{ticket_id}/merge",
    summary="Merge a duplicate into another ticket",
    responses=answers("TicketOut", 400, 403, 404, 409, 412, 413, 415, 422, etag=True),
    openapi_extra={
        "parameters": [IF_MATCH, IDEMPOTENCY_KEY],
        "requestBody": body_of("MergeDraft", "application/json"),
    },
)
async def merge_ticket(request: Request, ticket_id: TicketId) -> Response:
    """For agents. This one is closed, stays readable with its comments and history, and takes no more of them.

    Its requester and watchers watch the other one from now on, and its requester reads the public part of it; what they
    write on either goes there. An other one that is resolved or closed is reopened where this one was not, unless
    `reopen` is false. `POST …/reopen` of this one splits the two again."""
    ports, caller = await enter(request)
    draft = await forms.read_draft(request, MergeDraft)
    desk = await tickets.desk_at(ports, caller, ticket_id)
    answer = shown_by(desk.seeing(draft.into))
    promise = await once(request, ports, caller, draft.model_dump(mode="json"), answer)
    return answer(await links.merge_ticket(ports, desk, ticket_id, draft, if_match(request), promise))


@router.post(
    "/{ticket_id}/links",
    summary="Link a ticket to another one",
    responses=answers("TicketOut", 400, 403, 404, 409, 412, 413, 415, 422, etag=True),
    openapi_extra={
        "parameters": [IF_MATCH, IDEMPOTENCY_KEY],
        "requestBody": body_of("LinkDraft", "application/json"),
    },
)
async def link_ticket(request: Request, ticket_id: TicketId) -> Response:
    """For agents who may see both. The other one gets the counterpart; one link ties two tickets, the newest."""
    ports, caller = await enter(request)
    draft = await forms.read_draft(request, LinkDraft)
    desk = await tickets.desk_at(ports, caller, ticket_id)
    answer = shown_by(desk.seeing(draft.ticket_id))
    promise = await once(request, ports, caller, draft.model_dump(mode="json"), answer)
    return answer(await links.link_ticket(ports, desk, ticket_id, draft, if_match(request), promise))


@router.delete(
    "/{ticket_id}/links/{other_id}",
    status_code=204,
    summary="Unlink two tickets",
    responses=answers(None, 400, 403, 404, 409, 412, 422, status=204),
    openapi_extra={"parameters": [IF_MATCH]},
)
async def unlink_ticket(
    request: Request, ticket_id: TicketId, other_id: Annotated[str, Path(description="the other ticket's id")]
) -> Response:
    """For agents who may see both. Merged ones are split by `reopen` instead."""
    ports, caller = await enter(request)
    desk = await tickets.desk_at(ports, caller, ticket_id)
    await links.unlink_ticket(ports, desk, ticket_id, other_id, if_match(request))
    return Response(status_code=204)


@router.post(
    "/bulk",
    summary="Change many tickets",
    responses=answers("BulkOut", 400, 403, 409, 413, 415, 422),
    openapi_extra={
        "parameters": [IDEMPOTENCY_KEY],
        "requestBody": body_of("BulkDraft", "application/json"),
    },
)
async def change_many(request: Request) -> Response:
    """For agents: up to 50, in one write. In the mode `all` a single failure is 409, `errors` say which, and nothing
    has changed; in the mode `each` every ticket has its own `status`, and a `problem` where it failed."""
    ports, caller = await enter(request)
    draft = await forms.read_draft(request, BulkDraft)
    promise = await once(request, ports, caller, draft.model_dump(mode="json", exclude_unset=True), _outcomes_answer)
    return _outcomes_answer(await bulk.change_many(ports, caller, draft, promise))


def _outcomes_answer(outcomes: Outcomes) -> Response:
    return json_answer({"items": [_outcome_body(outcome) for outcome in outcomes]})


def _outcome_body(outcome: Outcome) -> dict[str, Any]:
    problem = problem_of(outcome.problem) if outcome.problem else None
    ticket = ticket_body(outcome.ticket) if outcome.ticket else None
    return {"id": outcome.id, "status": problem["status"] if problem else 200, "ticket": ticket, "problem": problem}
