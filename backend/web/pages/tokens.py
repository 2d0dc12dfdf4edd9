"""Administration: tokens, and the log of who did what."""

import secrets
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from pydantic import ValidationError
from starlette.responses import Response

from backend.domain.access import Caller, Role, TokenDraft
from backend.errors import RequestError
from backend.ports import Ports
from backend.usecases import access
from backend.usecases.access import NewToken
from backend.web.pages import posted
from backend.web.pages.posted import Fields
from backend.web.pages.rendering import go, show
from backend.web.pages.routes import Problems, entered, router, told

router_ = router()

_ACTS_SHOWN = 50


@router_.get("/admin")
async def start(request: Request) -> Response:
    """To its first page."""
    await entered(request)
    return go("/admin/tokens")


@router_.get("/admin/tokens")
async def tokens(request: Request) -> Response:
    """Every token, and the form for another one."""
    ports, caller = await entered(request)
    return await _page(request, ports, caller)


@router_.post("/admin/tokens")
async def create(request: Request) -> Response:
    """A new token; its secret is on this one page and never again."""
    ports, caller = await entered(request)
    fields = await posted.read(request)
    try:
        draft = TokenDraft.model_validate(_values(fields))
        once = await posted.promise(request, ports, caller, fields, lambda _: "/admin/tokens")
        new = await access.create_token(ports, caller, draft, once)
    except (RequestError, ValidationError) as problem:
        return await _page(request, ports, caller, *told(problem), typed=fields)
    answer = await _page(request, ports, caller, new=new)
    answer.headers["cache-control"] = "no-store"
    return answer


def _values(fields: Fields) -> dict[str, Any]:
    values: dict[str, Any] = {"name": fields.one("name"), "role": fields.one("role"), "teams": fields.words("teams")}
    if fields.has("email"):
        values["email"] = fields.one("email")
    if fields.has("expires_on"):
        values["expires_at"] = f"{fields.one('expires_on')}T23:59:59Z"
    return values


@router_.post("/admin/tokens/{token_id}/revoke")
async def revoke(request: Request, token_id: str) -> Response:
    """It is refused from now on."""
    ports, caller = await entered(request)
    await access.revoke_token(ports, caller, token_id)
    return go("/admin/tokens")


async def _page(
    request: Request,
    ports: Ports,
    caller: Caller,
    status: int = 200,
    line: str = "",
    problems: Problems = (),
    *,
    typed: Fields | None = None,
    new: NewToken | None = None,
) -> Response:
    found = await access.list_tokens(ports, caller)
    return await show(
        request,
        caller,
        "tokens.html",
        status,
        tokens=list(reversed(found)),
        new=new,
        typed=typed or Fields([]),
        line=line,
        problems=problems,
        roles=list(Role),
        now=ports.now(),
        once=secrets.token_urlsafe(12),
    )


@router_.get("/admin/audit")
async def audit(request: Request) -> Response:
    """What administrators did, and who signed in; newest first."""
    ports, caller = await entered(request)
    asked = {name: request.query_params.get(name, "").strip()[:100] for name in ("action", "actor")}
    cursor = request.query_params.get("cursor") or None
    page = await access.list_acts(ports, caller, _ACTS_SHOWN, cursor, asked["action"] or None, asked["actor"] or None)
    following = urlencode({**asked, "cursor": page.next_cursor}) if page.next_cursor else None
    return await show(request, caller, "audit.html", acts=page.items, asked=asked, next=following)
