"""What is promised, and what a ticket's status may become, over HTTP."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from backend.domain.catalogue import Record
from backend.domain.sla import SlaDraft
from backend.domain.tickets import ACTIVE, TRANSITIONS, Status
from backend.usecases import records
from backend.web import forms
from backend.web.answers import json_answer
from backend.web.deps import IF_MATCH, enter, if_match
from backend.web.openapi import answers, body_of

router = APIRouter(prefix="/api", tags=["sla"])

_NOTHING: dict[str, Any] = {"time_zone": "UTC", "hours": {}, "holidays": [], "promises": {}}


def sla_answer(record: Record | None) -> Response:
    """The promises with their ETag; version 0 where none were ever made."""
    version = record.version if record else 0
    said = SlaDraft.model_validate(record.body).model_dump(mode="json") if record else _NOTHING
    body = {**said, "version": version, "updated_at": record.updated_at if record else None}
    return json_answer(body, headers={"etag": f'"{version}"'})


@router.get("/sla", summary="Read what is promised", responses=answers("SlaOut", etag=True))
async def get_sla(request: Request) -> Response:
    """Until when, in business time, a first answer and a resolution are promised for each severity."""
    ports, _ = await enter(request)
    return sla_answer(await records.find_sla(ports))


@router.put(
    "/sla",
    summary="Promise something else",
    responses=answers("SlaOut", 400, 403, 412, 413, 415, 422, etag=True),
    openapi_extra={"parameters": [IF_MATCH], "requestBody": body_of("SlaDraft", "application/json")},
)
async def set_sla(request: Request) -> Response:
    """For administrators. It counts for what happens from now on: tickets keep the times they were promised."""
    ports, caller = await enter(request)
    draft = await forms.read_draft(request, SlaDraft)
    return sla_answer(await records.set_sla(ports, caller, draft, if_match(request)))


@router.get("/workflow", summary="Read what a status may become", responses=answers("WorkflowOut"))
async def get_workflow(request: Request) -> Response:
    """Every status, whether the ticket is being worked on, and the next ones that are legal."""
    await enter(request)
    statuses = [
        {
            "status": status,
            "active": status in ACTIVE,
            "next": [after for after in Status if after in TRANSITIONS[status]],
        }
        for status in Status
    ]
    return json_answer({"statuses": statuses})
