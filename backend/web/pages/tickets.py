"""One ticket: what was asked, what happened since, and everything that can be done about it."""

import secrets
from typing import Any

from fastapi import Request
from pydantic import ValidationError
from starlette.responses import Response

from backend.domain.access import Caller, Role
from backend.domain.attachments import MOST_FILES_A_REQUEST
from backend.domain.tickets import Ticket
from backend.errors import RequestError
from backend.ports import Ports
from backend.usecases import tickets
from backend.web.deps import TicketId
from backend.web.pages import timeline
from backend.web.pages.posted import Fields
from backend.web.pages.rendering import show
from backend.web.pages.routes import Problems, entered, router, told

router_ = router()

_NOTHING = Fields([])


@router_.get("/tickets/{ticket_id}")
async def ticket(request: Request, ticket_id: TicketId) -> Response:
    """The ticket's page; `all=1` shows its story from the beginning."""
    ports, caller = await entered(request)
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
) -> Response:
    """The page, also as the answer to a form that was refused: then with why, and with what was typed."""
    position = await ports.tickets.last_position()  # before anything is read: what comes after is told live
    found = await tickets.get_ticket(ports, caller, ticket_id)
    story = await timeline.tell(ports, caller, ticket_id, whole=request.query_params.get("all") == "1")
    values: dict[str, Any] = {
        "ticket": found,
        "story": story,
        "is_picture": timeline.is_picture,
        "people": _people(caller, found, story),
        "line": line,
        "problems": problems,
        "typed": typed,
        "position": position,
        "me": caller.address,
        "largest": ports.limits.upload,
        "most_files": MOST_FILES_A_REQUEST,
        "once": secrets.token_urlsafe(12),
        "now": ports.now(),
    }
    return show(request, caller, "ticket.html", status, **values)


def _people(caller: Caller, found: Ticket, story: timeline.Story) -> list[str]:
    """Whom a field for a person may suggest."""
    if not caller.is_at_least(Role.AGENT):
        return []
    near = [caller.address, found.assignee, *found.watchers]
    return list(dict.fromkeys(person for person in near if person))


async def refused_page(
    request: Request, ports: Ports, caller: Caller, ticket_id: str, typed: Fields, problem: RequestError | ValidationError
) -> Response:
    """The ticket as it is now, why the form was refused, and the form as it was filled in."""
    status, line, problems = told(problem)
    return await ticket_page(request, ports, caller, ticket_id, status, line, problems, typed)
