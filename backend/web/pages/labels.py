"""Administration: the tags in use, how many tickets have each, and another name for one."""

import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from pydantic import ValidationError
from starlette.responses import Response

from backend.domain.access import Caller, Role
from backend.domain.catalogue import Record
from backend.domain.labels import MOST_COUNTED, LabelKind
from backend.domain.renames import RenameDraft
from backend.domain.text import clean_line
from backend.errors import RecordNotFound, RequestError
from backend.ports import Ports
from backend.usecases import labels, renames
from backend.web.pages import posted
from backend.web.pages.posted import Fields
from backend.web.pages.rendering import go, show
from backend.web.pages.routes import Problems, entered, router, told

router_ = router()

_TAGS_SHOWN = 100


def _way(record: Record) -> str:
    return "/admin/tags?" + urlencode({"rename": record.id})


@router_.get("/admin/tags")
async def listed(request: Request) -> Response:
    """The most used tags, or those that begin as asked."""
    ports, caller = await entered(request)
    caller.must_be(Role.ADMIN)
    return await _page(request, ports, caller)


@router_.post("/admin/tags")
async def rename(request: Request) -> Response:
    """Another name for one; where there is such a tag, the two merge."""
    ports, caller = await entered(request)
    caller.must_be(Role.ADMIN)
    fields = await posted.read(request)
    request.state.fields = fields
    try:
        draft = RenameDraft.model_validate({"from": fields.one("from"), "to": fields.one("to")})
        once = await posted.promise(request, ports, caller, fields, _way)
        return go(_way(await renames.rename_tag(ports, caller, draft, once)))
    except (RequestError, ValidationError) as problem:
        return await _page(request, ports, caller, *told(problem), typed=fields)


async def renamed(request: Request, ports: Ports, caller: Caller) -> Mapping[str, Any] | None:
    """How far the new name, or the merge, has come that the address is of."""
    asked = request.query_params.get("rename")
    if not asked or not caller.is_at_least(Role.ADMIN):
        return None
    try:
        return (await renames.get_rename(ports, caller, asked)).body
    except RecordNotFound:
        return None


async def _page(
    request: Request,
    ports: Ports,
    caller: Caller,
    status: int = 200,
    line: str = "",
    problems: Problems = (),
    *,
    typed: Fields | None = None,
) -> Response:
    begun = clean_line(request.query_params.get("begins", ""))[:50]
    rename = await renamed(request, ports, caller)  # first, so that the list is no older than what it says
    found = await labels.complete(ports, caller, LabelKind.TAG, begun, _TAGS_SHOWN)
    return await show(
        request,
        caller,
        "tags.html",
        status,
        tags=found,
        most_counted=MOST_COUNTED,
        most_shown=_TAGS_SHOWN,
        begins=begun,
        rename=rename,
        typed={"from": typed.one("from"), "to": typed.one("to")} if typed else {"from": "", "to": ""},
        line=line,
        problems=problems,
        once=secrets.token_urlsafe(12),
    )
