"""Administration: the lists that tickets draw on, each record with its own small form."""

import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

from fastapi import Request
from pydantic import ValidationError
from starlette.responses import Response

from backend.domain.access import Caller, Role
from backend.domain.catalogue import Record
from backend.domain.collections import CATEGORIES, REPLIES, TEAMS, Collection
from backend.domain.renames import RecordMergeDraft
from backend.domain.values import LONGEST_PROSE
from backend.errors import NotFound, RequestError
from backend.ports import Ports
from backend.usecases import records, renames
from backend.web.pages import conflicts, posted
from backend.web.pages.labels import renamed
from backend.web.pages.posted import Fields
from backend.web.pages.rendering import go, show
from backend.web.pages.routes import Problems, entered, router, told

router_ = router()


class Input(NamedTuple):
    """One field of the form: `kind` is line, prose or check."""

    name: str
    label: str
    kind: str = "line"
    hint: str = ""
    required: bool = False
    longest: int = 100


_MERGEABLE = (CATEGORIES, TEAMS)
_ACTIVE = Input("active", "Active", "check", "may be chosen for tickets")
_FORMS: dict[str, tuple[Collection, str, tuple[Input, ...]]] = {
    "categories": (
        CATEGORIES,
        "What tickets are about. Where there are none, anything goes.",
        (
            Input("name", "Name", required=True),
            Input("description", "Description", longest=500),
            Input("team", "Team", hint="who gets a ticket filed without one"),
            Input("assignee", "Assignee", hint="who gets a ticket filed without one", longest=254),
            _ACTIVE,
        ),
    ),
    "teams": (
        TEAMS,
        "Who works on tickets together.",
        (Input("name", "Name", required=True), Input("description", "Description", longest=500), _ACTIVE),
    ),
    "replies": (
        REPLIES,
        "Texts for answers that come up again and again. {{number}}, {{title}}, {{requester}} and {{agent}} "
        "are filled in.",
        (
            Input("title", "Title", required=True, longest=200),
            Input("body", "Text", "prose", required=True, longest=LONGEST_PROSE),
        ),
    ),
}


@router_.get("/admin/{name}")
async def listed(request: Request, name: str) -> Response:
    """All of a kind."""
    ports, caller = await entered(request)
    caller.must_be(Role.AGENT)
    return await _page(request, ports, caller, name)


@router_.post("/admin/{name}")
async def add(request: Request, name: str) -> Response:
    """One more."""
    ports, caller = await entered(request)
    collection, _, inputs = _form(name)
    caller.must_be(collection.writers)
    fields = await posted.read(request)
    request.state.fields = fields
    try:
        draft = collection.draft.model_validate(_values(inputs, fields))
        once = await posted.promise(request, ports, caller, fields, lambda _: f"/admin/{name}")
        await records.create_record(ports, caller, collection, draft, once)
    except (RequestError, ValidationError) as problem:
        return await _page(request, ports, caller, name, *told(problem), typed=fields)
    return go(f"/admin/{name}")


@router_.post("/admin/{name}/{record_id}")
async def change(request: Request, name: str, record_id: str) -> Response:
    """Change one, or remove it."""
    ports, caller = await entered(request)
    collection, _, inputs = _form(name)
    caller.must_be(collection.writers)
    fields = await posted.read(request)
    request.state.fields = fields
    try:
        if fields.one("act") == "remove":
            await records.remove_record(ports, caller, collection, record_id, fields.versions())
        elif fields.one("act") == "merge" and collection in _MERGEABLE:
            into = RecordMergeDraft(into=fields.one("into"))
            once = await posted.promise(request, ports, caller, fields, lambda begun: _to_rename(name, begun))
            return go(_to_rename(name, await renames.merge_record(ports, caller, collection, record_id, into, once)))
        else:
            await _replace(ports, caller, collection, inputs, record_id, fields)
    except (RequestError, ValidationError) as problem:
        theirs = conflicts.theirs_of(problem)
        return await _page(request, ports, caller, name, *told(problem), typed=fields, at=record_id, theirs=theirs)
    return go(f"/admin/{name}")


async def _replace(
    ports: Ports, caller: Caller, collection: Collection, inputs: tuple[Input, ...], record_id: str, fields: Fields
) -> None:
    """What others changed meanwhile stays; what both changed is to be chosen."""

    async def attempt() -> None:
        record = await records.get_record(ports, caller, collection, record_id)
        both = conflicts.merged(fields, _kept(inputs, record.body))
        if both.changed:
            draft = collection.draft.model_validate(_values(inputs, Fields([*both.values.items()])))
            await records.replace_record(ports, caller, collection, record_id, draft, [record.version])

    if conflicts.is_merged(fields):
        return await conflicts.until_current(attempt)
    draft = collection.draft.model_validate(_values(inputs, fields))
    await records.replace_record(ports, caller, collection, record_id, draft, fields.versions())
    return None


def _to_rename(name: str, begun: Record) -> str:
    """To the list, which says how far the merge has come."""
    return f"/admin/{name}?rename={begun.id}"


def _kept(inputs: tuple[Input, ...], body: Mapping[str, Any]) -> dict[str, str]:
    """A record as its form has it."""
    boxes = {one.name: "yes" if body.get(one.name) else "" for one in inputs if one.kind == "check"}
    return {one.name: str(body.get(one.name) or "") for one in inputs} | boxes


def _form(name: str) -> tuple[Collection, str, tuple[Input, ...]]:
    if name not in _FORMS:
        raise NotFound("There is nothing at this address.")
    return _FORMS[name]


def _values(inputs: tuple[Input, ...], fields: Fields) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for one in inputs:
        if one.kind == "check":
            values[one.name] = fields.one(one.name) == "yes"
        elif one.required or fields.has(one.name):
            values[one.name] = fields.one(one.name)
    return values


def _shown(inputs: tuple[Input, ...], typed: Fields | None) -> dict[str, Any]:
    """What a form begins with: what was typed, or nothing."""
    if typed is None:
        return {one.name: one.kind == "check" for one in inputs}
    return {one.name: typed.one(one.name) for one in inputs}


async def _page(
    request: Request,
    ports: Ports,
    caller: Caller,
    name: str,
    status: int = 200,
    line: str = "",
    problems: Problems = (),
    *,
    typed: Fields | None = None,
    at: str = "",
    theirs: Mapping[str, str] | None = None,
) -> Response:
    collection, about, inputs = _form(name)
    rename = await renamed(request, ports, caller)
    found = await records.list_records(ports, caller, collection)
    kept = {record.id: _kept(inputs, record.body) for record in found}
    if typed is not None and at in kept:
        typed = conflicts.rebased(typed, kept[at])
    return await show(
        request,
        caller,
        "records.html",
        status,
        name=name,
        about=about,
        inputs=inputs,
        records=[(record, record.body, kept[record.id]) for record in found],
        new_values=_shown(inputs, None if at else typed),
        typed_at=_shown(inputs, typed),
        at=at,
        theirs=theirs or {},
        rename=rename,
        line=line,
        problems=problems,
        mergeable=collection in _MERGEABLE,
        may_write=caller.is_at_least(collection.writers),
        once=secrets.token_urlsafe(12),
    )
