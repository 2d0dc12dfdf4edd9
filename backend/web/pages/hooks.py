"""Administration: webhooks, their secrets, and what became of their messages."""

import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from pydantic import ValidationError
from starlette.responses import Response

from backend.domain.access import Caller
from backend.domain.webhooks import State, Webhook, WebhookChange, WebhookDraft
from backend.errors import RequestError
from backend.ports import Ports
from backend.usecases import webhooks
from backend.web.pages import conflicts, posted
from backend.web.pages.posted import Fields
from backend.web.pages.rendering import go, show
from backend.web.pages.routes import Problems, entered, router, told

router_ = router()

_DELIVERIES_SHOWN = 30


def _way(webhook_id: str = "") -> str:
    return f"/admin/webhooks/{webhook_id}" if webhook_id else "/admin/webhooks"


@router_.get("/admin/webhooks")
async def listed(request: Request) -> Response:
    """Every webhook, and the form for another one."""
    ports, caller = await entered(request)
    return await _list(request, ports, caller)


@router_.post("/admin/webhooks")
async def create(request: Request) -> Response:
    """A new one; its page shows the secret that its messages are signed with."""
    ports, caller = await entered(request)
    fields = await posted.read(request)
    try:
        draft = WebhookDraft.model_validate(_values(fields))
        once = await posted.promise(request, ports, caller, fields, lambda kept: _way(kept.id))
        made = await webhooks.create_webhook(ports, caller, draft, once)
    except (RequestError, ValidationError) as problem:
        return await _list(request, ports, caller, *told(problem), typed=fields)
    return await _one(request, ports, caller, made.id, secret=made.secret)


def _values(fields: Fields) -> dict[str, Any]:
    return {
        "url": fields.one("url").strip(),
        "description": fields.one("description"),
        "events": fields.words("events"),
        "active": fields.one("active") == "yes",
        "internal": fields.one("internal") == "yes",
    }


@router_.get("/admin/webhooks/{webhook_id}")
async def one(request: Request, webhook_id: str) -> Response:
    """One webhook and its messages."""
    ports, caller = await entered(request)
    return await _one(request, ports, caller, webhook_id)


@router_.post("/admin/webhooks/{webhook_id}")
async def act(request: Request, webhook_id: str) -> Response:
    """Whatever a button of its page says."""
    ports, caller = await entered(request)
    fields = await posted.read(request)
    deed = fields.one("act")
    try:
        once = await posted.promise(request, ports, caller, fields, lambda _: _way(webhook_id))
        if deed == "remove":
            await webhooks.remove_webhook(ports, caller, webhook_id, None)
            return go(_way())
        if deed == "rotate":
            rotated = await webhooks.rotate_secret(ports, caller, webhook_id, None, once)
            return await _one(request, ports, caller, webhook_id, secret=rotated.secret)
        if deed == "ping":
            await webhooks.ping(ports, caller, webhook_id, once)
        elif deed == "replay-dead":
            await webhooks.replay_dead(ports, caller, webhook_id, once)
        elif deed.startswith("replay:"):
            await webhooks.replay(ports, caller, webhook_id, deed.partition(":")[2], once)
        else:
            await _change(ports, caller, webhook_id, fields)
    except (RequestError, ValidationError) as problem:
        typed = None if deed else fields
        theirs = conflicts.theirs_of(problem)
        return await _one(request, ports, caller, webhook_id, *told(problem), typed=typed, theirs=theirs)
    return go(_way(webhook_id))


async def _change(ports: Ports, caller: Caller, webhook_id: str, fields: Fields) -> None:
    """What others changed meanwhile stays; what both changed is to be chosen."""

    async def attempt() -> None:
        hook = await webhooks.get_webhook(ports, caller, webhook_id)
        both = conflicts.merged(fields, _kept(hook))
        values = _values(Fields([*both.values.items()]))
        wanted = WebhookChange.model_validate({name: values[name] for name in both.changed})
        await webhooks.change_webhook(ports, caller, webhook_id, wanted, [hook.record.version])

    if conflicts.is_merged(fields):
        await conflicts.until_current(attempt)
    else:
        wanted = WebhookChange.model_validate(_values(fields))
        await webhooks.change_webhook(ports, caller, webhook_id, wanted, fields.versions())


def _kept(hook: Webhook) -> dict[str, str]:
    """A webhook as its form has it."""
    boxes = {"active": "yes" if hook.active else "", "internal": "yes" if hook.internal else ""}
    return {"url": hook.url, "description": hook.description, "events": ", ".join(hook.events)} | boxes


async def _list(
    request: Request,
    ports: Ports,
    caller: Caller,
    status: int = 200,
    line: str = "",
    problems: Problems = (),
    *,
    typed: Fields | None = None,
) -> Response:
    found = await webhooks.list_webhooks(ports, caller)
    values = {"webhooks": found, "line": line, "problems": problems, "typed": typed or Fields([])}
    return await show(request, caller, "webhooks.html", status, **values, once=secrets.token_urlsafe(12))


async def _one(
    request: Request,
    ports: Ports,
    caller: Caller,
    webhook_id: str,
    status: int = 200,
    line: str = "",
    problems: Problems = (),
    *,
    secret: str = "",
    typed: Fields | None = None,
    theirs: Mapping[str, str] | None = None,
) -> Response:
    hook = await webhooks.get_webhook(ports, caller, webhook_id)
    was = _kept(hook)
    typed = conflicts.rebased(typed, was) if typed else None
    asked = request.query_params.get("state", "")
    state = State(asked) if asked in list(State) else None
    cursor = request.query_params.get("cursor") or None
    page = await webhooks.list_deliveries(ports, caller, webhook_id, state, _DELIVERIES_SHOWN, cursor)
    following = urlencode({"state": asked, "cursor": page.next_cursor}) if page.next_cursor else None
    answer = await show(
        request,
        caller,
        "webhook.html",
        status,
        hook=hook,
        was=was,
        values={name: typed.one(name) for name in was} if typed else was,
        theirs=theirs or {},
        secret=secret,
        deliveries=page.items,
        states=list(State),
        asked=asked,
        next=following,
        line=line,
        problems=problems,
        once=secrets.token_urlsafe(12),
    )
    if secret:
        answer.headers["cache-control"] = "no-store"
    return answer
