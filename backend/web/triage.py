"""Suggestions for a ticket over HTTP."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from backend.domain.neighbours import Neighbour
from backend.domain.triage import MOST_SHOWN, Choice, Suggestion
from backend.usecases import tickets, triage
from backend.usecases.triage import Triaged
from backend.web import forms
from backend.web.answers import json_answer
from backend.web.deps import IF_MATCH, TicketId, enter, if_match
from backend.web.idempotency import PARAMETER as IDEMPOTENCY_KEY
from backend.web.idempotency import once
from backend.web.openapi import answers, body_of
from backend.web.tickets import shown_by

router = APIRouter(prefix="/api/tickets", tags=["triage"])


@router.get(
    "/{ticket_id}/triage",
    summary="Read what is suggested for a ticket",
    responses=answers("TriageOut", 403, 404),
)
async def show_triage(request: Request, ticket_id: TicketId) -> Response:
    """For agents. By what became of the tickets and memories most like it, of those that the caller may see.

    Where BEDROCK_MODEL_ID is set and the model was asked (POST) about the ticket as it is now, what that said. Nothing
    is written, and no model is asked."""
    ports, caller = await enter(request)
    return _answer(await triage.show(ports, caller, ticket_id))


@router.post(
    "/{ticket_id}/triage",
    summary="Ask the assistant about a ticket",
    responses=answers("TriageOut", 400, 403, 404, 409, 422),
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
async def ask_assistant(request: Request, ticket_id: TicketId) -> Response:
    """For agents. The built-in assistant, or the model of BEDROCK_MODEL_ID; where that fails, the built-in one answers
    and `note` says why. The ticket itself is not changed."""
    ports, caller = await enter(request)
    promise = await once(request, ports, caller, None, _answer)
    return _answer(await triage.ask(ports, caller, ticket_id, promise))


@router.post(
    "/{ticket_id}/triage/apply",
    summary="Do as suggested",
    responses=answers("TicketOut", 400, 403, 404, 409, 412, 413, 415, 422, etag=True),
    openapi_extra={"parameters": [IF_MATCH, IDEMPOTENCY_KEY], "requestBody": body_of("Choice", "application/json")},
)
async def apply_suggestions(request: Request, ticket_id: TicketId) -> Response:
    """For agents. Name what is to be applied with the value that was shown: 409 where that is not suggested (any more).

    A change like any other, by whoever asks for it; the history says `triaged`, and which assistant suggested it."""
    ports, caller = await enter(request)
    choice = await forms.read_draft(request, Choice)
    desk = await tickets.desk_at(ports, caller, ticket_id)
    answer = shown_by(desk)
    promise = await once(request, ports, caller, choice.model_dump(mode="json"), answer)
    return answer(await triage.apply(ports, desk, ticket_id, choice, if_match(request), promise))


def _answer(triaged: Triaged) -> Response:
    ticket, found = triaged
    near = {one.id: _neighbour(one) for one in found.neighbours}
    body = {
        "ticket_id": ticket.id,
        "version": ticket.version,
        "by": found.by,
        "model": found.model,
        "made_at": found.made_at,
        "note": found.note,
        "suggestions": [_suggestion(one, getattr(ticket, one.subject), near) for one in found.suggestions],
        "similar": [
            {**near[one.id], "settled": one.settled, "resolution": one.answer} for one in found.neighbours[:MOST_SHOWN]
        ],
    }
    return json_answer(body)


def _suggestion(suggestion: Suggestion, current: Any, near: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "field": suggestion.subject,
        "value": suggestion.value,
        "current": current,
        "confidence": suggestion.confidence,
        "reason": suggestion.reason,
        "by": suggestion.by,
        "evidence": [near[found] for found in suggestion.evidence if found in near],
    }


def _neighbour(neighbour: Neighbour) -> dict[str, Any]:
    return {
        "kind": neighbour.source,
        "id": neighbour.id,
        "number": neighbour.number,
        "title": neighbour.title,
        "similarity": neighbour.similarity,
    }
