"""Signing in for a while: a session in a cookie, for pages, which can't send a header with every request."""

from contextlib import suppress
from datetime import datetime

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from backend.domain.access import Caller
from backend.domain.values import Instant
from backend.errors import NotSignedIn
from backend.ports import Ports
from backend.usecases import access
from backend.usecases.access import NewSession
from backend.web import forms
from backend.web.answers import json_answer
from backend.web.credentials import cookie_name, is_https, must_be_same_origin, session_of
from backend.web.deps import enter, ports_of
from backend.web.guard import guard_of
from backend.web.idempotency import PARAMETER as IDEMPOTENCY_KEY
from backend.web.idempotency import once
from backend.web.openapi import answers, body_of

router = APIRouter(prefix="/api/session", tags=["session"])


class SessionDraft(BaseModel):
    """What somebody signs in with."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"token": "tb_…"}]},
    )

    token: str = Field(min_length=1, max_length=1_000, description="a bearer token")


async def sign_in(request: Request, token: str) -> NewSession:
    """Begin a session with this token, from a page's own form: put it into the answer with `set_cookie`.

    Raises NotSignedIn, TooManyRequests; NotAllowed where another site sent the form.
    """
    must_be_same_origin(request, proven=False)
    ports, guard, secret = ports_of(request), guard_of(request), token.strip()
    await guard.sign_in(request, ports, secret)
    new = await access.start_session(ports, secret)
    await _end_earlier(request, ports, new)
    return new


async def _end_earlier(request: Request, ports: Ports, new: NewSession) -> None:
    """The session that the browser had until now: nobody could end it once its cookie is replaced."""
    with suppress(NotSignedIn):  # several cookies: none of them counts
        earlier = session_of(request)
        if earlier is not None:
            await access.end_session(ports, new.caller, earlier)


async def sign_out(request: Request) -> None:
    """End the session that the cookie holds; then remove the cookie with `clear_cookie`. Raises NotSignedIn."""
    ports, caller = await enter(request)
    secret = session_of(request)
    if secret is not None:
        await access.end_session(ports, caller, secret)


def set_cookie(request: Request, answer: Response, new: NewSession) -> None:
    """Let the browser keep the session: out of reach of scripts and of other sites' forms."""
    lasts = _seconds_between(new.session.created_at, new.session.ends_at)
    name, secure = cookie_name(request), is_https(request)
    answer.set_cookie(name, new.secret, max_age=lasts, path="/", secure=secure, httponly=True)


def clear_cookie(request: Request, answer: Response) -> None:
    """Let the browser forget the session."""
    answer.delete_cookie(cookie_name(request), path="/", secure=is_https(request), httponly=True)


def _seconds_between(start: Instant, end: Instant) -> int:
    return int((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())


@router.post(
    "",
    status_code=201,
    summary="Sign in for a while",
    responses=answers("CallerOut", 400, 403, 413, 415, 422, status=201),
    openapi_extra={"parameters": [IDEMPOTENCY_KEY], "requestBody": body_of("SessionDraft", "application/json")},
)
async def start_session(request: Request) -> Response:
    """A token in the body gets a cookie, good for every call as the token is: for 12 hours after its last use, 30 days
    at most, and never beyond its token. Only this site's own pages can write with it."""
    must_be_same_origin(request, proven=False)
    ports = ports_of(request)
    token = (await forms.read_draft(request, SessionDraft)).token.strip()
    caller = await guard_of(request).sign_in(request, ports, token)

    def answer(new: NewSession) -> Response:
        created = json_answer(_caller_body(new.caller), 201, {"cache-control": "no-store"})
        set_cookie(request, created, new)
        return created

    promise = await once(request, ports, caller, None, answer, secret=token)
    new = await access.start_session(ports, token, promise)
    await _end_earlier(request, ports, new)
    return answer(new)


@router.get("", summary="Ask who you are", responses=answers("CallerOut", 403))
async def who_am_i(request: Request) -> Response:
    """Name, role, address and teams of whoever the token or the session belongs to."""
    _, caller = await enter(request)
    return json_answer(_caller_body(caller), headers={"cache-control": "no-store"})


@router.delete("", status_code=204, summary="Sign out", responses=answers(None, 403, status=204))
async def end_session(request: Request) -> Response:
    """The session in the cookie is refused from the next request on. A bearer token is left as it is."""
    await sign_out(request)
    answer = Response(status_code=204)
    clear_cookie(request, answer)
    return answer


def _caller_body(caller: Caller) -> dict[str, object]:
    return {"name": caller.name, "role": caller.role, "address": caller.address, "teams": caller.teams}
