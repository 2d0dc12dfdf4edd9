"""A new ticket."""

import secrets
from typing import Any

from fastapi import Request
from pydantic import ValidationError
from starlette.responses import Response

from backend.domain.access import Caller, Role
from backend.domain.attachments import MOST_FILES_A_REQUEST
from backend.domain.tickets import TicketDraft
from backend.errors import RequestError
from backend.ports import Ports
from backend.usecases import people, setup, tickets
from backend.usecases.attachments import Uploads
from backend.web.pages import posted
from backend.web.pages.posted import Fields
from backend.web.pages.rendering import go, show
from backend.web.pages.routes import Problems, entered, router, told
from backend.web.pages.tickets import in_use
from backend.web.pages.writes import way

router_ = router()

_OPTIONAL = ("requester", "assignee", "team")


@router_.get("/tickets/new")
async def new(request: Request) -> Response:
    """The empty form, or one that an address fills in."""
    ports, caller = await entered(request)
    return await _form(request, ports, caller, Fields(request.query_params.multi_items()))


@router_.post("/tickets")
async def file(request: Request) -> Response:
    """File it, with its files, and show it."""
    ports, caller = await entered(request)
    uploads = Uploads(ports, caller)
    fields = request.state.fields = Fields([])
    try:
        await posted.read(request, uploads, fields)
        draft = _draft(caller, fields)
        once = await posted.promise(request, ports, caller, fields, lambda ticket: way(ticket.id))
        ticket = await tickets.open_ticket(ports, caller, draft, uploads.files, once)
    except (RequestError, ValidationError) as problem:
        await uploads.discard(problem)
        return await _form(request, ports, caller, fields, *told(problem))
    except BaseException as problem:
        await uploads.discard(problem)
        raise
    return go(way(ticket.id))


def _draft(caller: Caller, fields: Fields) -> TicketDraft:
    values: dict[str, Any] = {name: fields.one(name) for name in ("title", "description", "severity", "category")}
    if caller.is_at_least(Role.AGENT):
        values |= {name: fields.one(name) for name in _OPTIONAL if fields.has(name)}
    return TicketDraft.model_validate(values | {"tags": fields.words("tags")})


async def _form(
    request: Request,
    ports: Ports,
    caller: Caller,
    typed: Fields,
    status: int = 200,
    line: str = "",
    problems: Problems = (),
) -> Response:
    return await show(
        request,
        caller,
        "new_ticket.html",
        status,
        typed=typed,
        line=line,
        problems=dict(problems),
        laid=await setup.current(ports),
        names=await people.names(ports),
        people=await people.list_agents(ports, caller) if caller.is_at_least(Role.AGENT) else [],
        **await in_use(ports, caller),
        once=secrets.token_urlsafe(12),
        largest=ports.limits.upload,
        most_files=MOST_FILES_A_REQUEST,
    )
