"""The queue: filters, views, search, sorting and pages of it. A requester's is the list of their own tickets."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from pydantic import ValidationError
from starlette.responses import Response

from backend.domain.access import Caller, Role
from backend.domain.pages import Sort
from backend.domain.tickets import ACTIVE, Status, Ticket
from backend.domain.values import Page
from backend.errors import RequestError
from backend.usecases import tickets
from backend.web.pages.rendering import show
from backend.web.pages.routes import entered, router, told
from backend.web.tickets import TicketListQuery

router_ = router()

ANY = "any"  # the choice of every status; without a choice it is those that somebody still has to do something about
_ACTIVE = [status.value for status in Status if status in ACTIVE]
_KNOWN = frozenset({*TicketListQuery.lists, "q", "sort", "deleted", "cursor"})
_SEVERAL = ("status", "severity")  # a choice of these may hold several, with commas between
_SHOWN = 50
SORTS = {
    Sort.NEWEST: "Newest first",
    Sort.OLDEST: "Oldest first",
    Sort.LAST_UPDATED: "Last changed",
    Sort.FIRST_DUE: "Due first",
    Sort.RELEVANCE: "Best match",
}


@dataclass(frozen=True, slots=True)
class View:
    """A list that can be gone to with one click."""

    name: str
    query: str
    id: str | None = None


def _views(caller: Caller) -> list[View]:
    if not caller.is_at_least(Role.AGENT):
        return [View("Open", ""), View("All", "status=any")]
    mine = urlencode({"assignee": caller.address})
    return [
        View("Open", ""),
        View("Mine", mine),
        View("Due first", "sort=due_at"),
        View("Urgent", "severity=critical%2Chigh"),
        View("Waiting", "status=waiting"),
        View("Resolved", "status=resolved&sort=-updated_at"),
        View("All", "status=any"),
        View("Trash", "deleted=true&status=any"),
    ]


@router_.get("/queue")
async def queue(request: Request) -> Response:
    """A page of tickets."""
    ports, caller = await entered(request)
    asked = _asked(request)
    position = await ports.tickets.last_position()  # before anything is read: what comes after is told live
    line, status = "", 200
    page: Page[Ticket] = Page([])
    try:
        page = await tickets.list_tickets(ports, caller, _query(asked).query())
    except (RequestError, ValidationError) as problem:
        status, line, problems = told(problem)
        line = " ".join([line, *(f"{name}: {message}." for name, message in problems)])
    here = urlencode([pair for pair in asked if pair[0] != "cursor"])
    return show(
        request,
        caller,
        "queue.html" if caller.is_at_least(Role.AGENT) else "my_tickets.html",
        status,
        tickets=page.items,
        next=f"{here}&cursor={page.next_cursor}".lstrip("&") if page.next_cursor else None,
        first=here if any(name == "cursor" for name, _ in asked) else None,
        here=here,
        asked=_by_name(asked),
        views=_views(caller),
        sorts=SORTS,
        line=line,
        position=position,
        now=ports.now(),
    )


def _asked(request: Request) -> list[tuple[str, str]]:
    """What the address asks for: known names only, without what a form sends for inputs left empty."""
    return [(name, value) for name, value in request.query_params.multi_items() if name in _KNOWN and value.strip()]


def _query(asked: list[tuple[str, str]]) -> TicketListQuery:
    values: dict[str, Any] = {"limit": _SHOWN}
    for name, value in asked:
        if name in _SEVERAL:
            values.setdefault(name, []).extend(value.split(","))
        elif name in TicketListQuery.lists:
            values.setdefault(name, []).append(value)
        else:
            values[name] = value
    if values.get("status") == [ANY]:
        del values["status"]
    elif "status" not in values and "q" not in values:
        values["status"] = _ACTIVE
    if values.get("sort") == Sort.RELEVANCE and "q" not in values:
        del values["sort"]
    if "q" in values:
        values["q"] = _typing(values["q"])
    return TicketListQuery.model_validate(values)


def _typing(text: str) -> str:
    """The last word may still be being typed: it matches what begins with it."""
    last = text.split()[-1] if text.split() else ""
    begun = len(last) > 1 and last.isalnum() and text[-1:].isalnum() and text.count('"') % 2 == 0
    return f"{text}*" if begun else text


def _by_name(asked: list[tuple[str, str]]) -> dict[str, str]:
    """What each input of the filters holds; several values with commas between."""
    found = {name: "" for name in _KNOWN}
    for name, value in asked:
        found[name] = f"{found[name]},{value}" if found[name] and name in _SEVERAL else value
    return found
