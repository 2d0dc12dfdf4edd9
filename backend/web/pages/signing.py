"""Signing in with a token, and out."""

from contextlib import suppress

from fastapi import Request
from starlette.responses import Response

from backend.errors import NotSignedIn
from backend.web import forms, sessions
from backend.web.pages import posted
from backend.web.pages.rendering import go, show
from backend.web.pages.routes import entered, local, router

router_ = router()


@router_.get("/")
async def start(request: Request) -> Response:
    """To the queue, or to sign in first."""
    await entered(request)
    return go("/queue")


@router_.get("/sign-in")
async def form(request: Request) -> Response:
    """The form; whoever has signed in already goes on."""
    following = local(request.query_params.get("next", "/"))
    try:
        await entered(request)
    except NotSignedIn:
        return await show(request, None, "sign_in.html", line="", next=following, kept=[])
    return go(following)


@router_.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """A session for a token."""
    fields = await posted.read(request, most=forms.LARGEST_JSON)
    following = local(fields.one("next"))
    try:
        new = await sessions.sign_in(request, fields.one("token"))
    except NotSignedIn as problem:
        kept = fields.all("kept")
        return await show(request, None, "sign_in.html", 401, line=str(problem), next=following, kept=kept)
    answer = go(following)
    sessions.set_cookie(request, answer, new)
    return answer


@router_.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """End the session. Pages that the browser has kept are forgotten."""
    answer = go("/sign-in", {"clear-site-data": '"cache"'})
    with suppress(NotSignedIn):  # it may have ended by itself
        await sessions.sign_out(request)
    sessions.clear_cookie(request, answer)
    return answer
