"""The queue: filters, views, search, sorting and pages of it. A requester's is the list of their own tickets."""

import secrets
from typing import Any
from urllib.parse import parse_qsl, urlencode

from fastapi import Request
from pydantic import ValidationError
from starlette.responses import Response

from backend.domain.access import Caller, Role
from backend.domain.pages import Sort, TicketQuery, TicketQuestion
from backend.domain.search import Span, being_typed
from backend.domain.tickets import ACTIVE, Status, Ticket
from backend.domain.values import Page
from backend.errors import RequestError
from backend.ports import Ports
from backend.usecases import people, search, setup, tickets
from backend.usecases.search import Hit
from backend.web.pages import views
from backend.web.pages.clocks import clock_of
from backend.web.pages.posted import Fields
from backend.web.pages.rendering import show
from backend.web.pages.routes import Problems, entered, router, saying_when, told
from backend.web.pages.tickets import in_use
from backend.web.tickets import TicketListQuery

router_ = router()

ANY = "any"  # the choice of every status; without a choice it is those that somebody still has to do something about
SHOWN = 30
COMMENTS_SHOWN = 10
_ACTIVE = [status.value for status in Status if status in ACTIVE]
_KNOWN = frozenset(TicketListQuery.model_fields) - {"limit"}
_SEVERAL = ("status", "severity")  # a choice of these may hold several, with commas between
SORTS = {
    Sort.NEWEST: "Newest first",
    Sort.OLDEST: "Oldest first",
    Sort.LAST_UPDATED: "Last changed",
    Sort.FIRST_DUE: "Due first",
    Sort.RELEVANCE: "Best match",
}

_NOTHING = Fields([])

Asked = list[tuple[str, str]]


@router_.get("/queue")
async def queue(request: Request) -> Response:
    """A page of tickets."""
    ports, caller = await entered(request)
    return await queue_page(request, ports, caller, known(request.query_params.multi_items()))


async def queue_page(
    request: Request,
    ports: Ports,
    caller: Caller,
    asked: Asked,
    status: int = 200,
    line: str = "",
    problems: Problems = (),
    done: str = "",
    typed: Fields = _NOTHING,
) -> Response:
    """The page of these questions, also as the answer to a form: then with what became of it and what was typed."""
    position = await ports.tickets.last_position()  # before anything is read: what comes after is told live
    page: Page[Ticket] = Page([])
    clock, of_days = clock_of(request), False
    said: Page[Hit] = Page([])
    problem: RequestError | ValidationError | None = None
    try:
        query = question(asked).query(caller.address, SHOWN, dict(asked).get("cursor"), clock.zone)
        of_days = any(isinstance(one, Span) for one in query.where.also)
        page = await tickets.list_tickets(ports, caller, query)
        if query.cursor is None:
            said = await search.in_comments(ports, caller, query, COMMENTS_SHOWN)
    except (RequestError, ValidationError) as raised:
        problem = raised
        status, line, problems = told(raised)
    here = address_of(asked)
    is_agent = caller.is_at_least(Role.AGENT)
    answer = await show(
        request,
        caller,
        "queue.html" if is_agent else "my_tickets.html",
        status,
        tickets=page.items,
        said=said,
        says_days=of_days and not clock.known,
        none_yet=is_agent and not page.items and not line and await _is_empty(ports, caller),
        next=f"{here}&cursor={page.next_cursor}".lstrip("&") if page.next_cursor else None,
        first=here if any(name == "cursor" for name, _ in asked) else None,
        here=here,
        asked=_by_name(asked),
        views=await views.all_of(ports, caller),
        laid=await setup.current(ports),
        people=await people.list_agents(ports, caller) if is_agent else [],
        names=await people.names(ports),
        typed=typed,
        sorts=SORTS,
        **(await in_use(ports, caller) if is_agent else {}),
        line=line,
        problems=problems,
        done=done,
        once=secrets.token_urlsafe(12),
        position=position,
        me=caller.address,
        now=ports.now(),
    )
    return saying_when(answer, problem)


async def _is_empty(ports: Ports, caller: Caller) -> bool:
    """Whether the caller's whole list holds nothing, whatever the filters."""
    return not (await tickets.list_tickets(ports, caller, TicketQuery(limit=1))).items


def known(pairs: Asked) -> Asked:
    """What an address asks for: names of the list only, without what a form sends for inputs left empty."""
    return [(name, value) for name, value in pairs if name in _KNOWN and value.strip()]


def address_of(asked: Asked) -> str:
    """The same as the end of an address, from the first page on."""
    return urlencode([pair for pair in asked if pair[0] != "cursor"])


def from_address(address: str) -> Asked:
    """What such an end of an address asks for."""
    try:
        return known(parse_qsl(address[:4_000], max_num_fields=100))
    except ValueError:
        return []


def question(asked: Asked) -> TicketQuestion:
    """The same in the domain's words. Raises ValidationError."""
    values: dict[str, Any] = {}
    for name, value in asked:
        if name in _SEVERAL:
            values.setdefault(name, []).extend(value.split(","))
        elif name in TicketListQuery.lists:
            values.setdefault(name, []).append(value)
        elif name != "cursor":
            values[name] = value
    if values.get("status") == [ANY]:
        del values["status"]
    elif "status" not in values and "q" not in values:
        values["status"] = _ACTIVE
    if values.get("sort") == Sort.RELEVANCE and "q" not in values:
        del values["sort"]
    if "q" in values:
        values["q"] = being_typed(values["q"])
    return TicketQuestion.model_validate(values)


def _by_name(asked: Asked) -> dict[str, str]:
    """What each input of the filters holds; several values with commas between."""
    found = dict.fromkeys(_KNOWN, "")
    for name, value in asked:
        found[name] = f"{found[name]},{value}" if found[name] and name in _SEVERAL else value
    return found
