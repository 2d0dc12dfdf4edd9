"""What is done to the queue as a whole: the same change to many tickets, and keeping a list as a view."""

from typing import Any

from fastapi import Request
from pydantic import ValidationError
from starlette.responses import Response

from backend.domain.access import Role
from backend.domain.bulk import Action, BulkDraft, BulkItem, Mode, Outcomes
from backend.domain.collections import VIEWS
from backend.domain.search import is_nobody
from backend.domain.views import ViewDraft
from backend.errors import InvalidInput, RequestError
from backend.usecases import bulk, records
from backend.web.pages import posted, ties
from backend.web.pages.posted import Fields
from backend.web.pages.queue import address_of, from_address, question, queue_page
from backend.web.pages.rendering import go
from backend.web.pages.routes import entered, router, told

router_ = router()

_CHANGES = ("assignee", "team", "status", "severity", "category")
NOBODY = "-"  # in the bulk form an empty input means: leave it as it is


@router_.post("/queue")
async def change_many(request: Request) -> Response:
    """Change those that are chosen. Each is changed or not by itself, and the page says which were not."""
    ports, caller = await entered(request)
    caller.must_be(Role.AGENT)
    fields = await posted.read(request)
    asked = from_address(fields.one("here"))
    try:
        draft = _draft(fields)
        once = await posted.promise(request, ports, caller, fields, lambda _: f"/queue?{address_of(asked)}")
        outcomes = await bulk.change_many(ports, caller, draft, once)
    except (RequestError, ValidationError) as problem:
        return await queue_page(request, ports, caller, asked, *told(problem), typed=fields)
    refused = [outcome for outcome in outcomes if outcome.problem]
    done = _told(outcomes)
    if not refused:
        return await queue_page(request, ports, caller, asked, done=done)
    left = [pair for pair in fields.items() if pair[0] != "pick"] + [("pick", one.id) for one in refused]
    lines = await ties.with_numbers(ports, caller, [f"{one.id}: {one.problem}" for one in refused])
    return await queue_page(
        request, ports, caller, asked, 409, done, [("ticket", line) for line in lines], typed=Fields(left)
    )


def _draft(fields: Fields) -> BulkDraft:
    chosen = fields.all("pick")
    if not chosen:
        raise InvalidInput("Choose at least one ticket first.")
    values: dict[str, Any] = {"tickets": [BulkItem(id=one) for one in chosen], "mode": Mode.EACH}
    if fields.one("act") in (Action.DELETE, Action.RESTORE, Action.REOPEN):
        return BulkDraft.model_validate({**values, "action": fields.one("act")})
    change: dict[str, Any] = {}
    for name in _CHANGES:
        if fields.has(name):
            change[name] = None if _is_nobody(name, fields.one(name).strip()) else fields.one(name)
    if not change:
        raise InvalidInput("Enter at least one change for the chosen tickets.")
    return BulkDraft.model_validate({**values, "action": Action.CHANGE, "change": change})


def _is_nobody(name: str, text: str) -> bool:
    return text == NOBODY or (name == "assignee" and is_nobody(text))


def _told(outcomes: Outcomes) -> str:
    failed = sum(outcome.problem is not None for outcome in outcomes)
    done = len(outcomes) - failed
    said = f"{done} {'ticket' if done == 1 else 'tickets'} changed"
    return f"{said}, {failed} not." if failed else f"{said}."


@router_.post("/views")
async def save_view(request: Request) -> Response:
    """Keep the list that is shown."""
    ports, caller = await entered(request)
    caller.must_be(Role.AGENT)
    fields = await posted.read(request)
    asked = from_address(fields.one("here"))
    try:
        body = {"name": fields.one("name"), "shared": fields.one("shared") == "yes", "query": question(asked)}
        draft = ViewDraft.model_validate(body)
        once = await posted.promise(request, ports, caller, fields, lambda _: f"/queue?{address_of(asked)}")
        await records.create_record(ports, caller, VIEWS, draft, once)
    except (RequestError, ValidationError) as problem:
        return await queue_page(request, ports, caller, asked, *told(problem), typed=fields)
    return go(f"/queue?{address_of(asked)}")


@router_.post("/views/{view_id}/remove")
async def remove_view(request: Request, view_id: str) -> Response:
    """Forget a view."""
    ports, caller = await entered(request)
    await records.remove_record(ports, caller, VIEWS, view_id, None)
    return go("/queue")
