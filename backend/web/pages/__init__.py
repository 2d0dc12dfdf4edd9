"""The pages in the browser: rendered here, from the same use cases as the API."""

from contextlib import suppress
from urllib.parse import quote

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from backend.errors import NotSignedIn
from backend.web import errors
from backend.web.pages import (
    bulk,
    dashboard,
    filing,
    hooks,
    labels,
    memories,
    promises,
    queue,
    records,
    signing,
    statics,
    suggestions,
    tickets,
    tokens,
    writes,
)
from backend.web.pages.routes import entered, error_page, local

# In this order, since the addresses of `records` begin like others'.
PARTS = (
    signing,
    queue,
    bulk,
    filing,
    tickets,
    writes,
    suggestions,
    memories,
    dashboard,
    tokens,
    hooks,
    labels,
    promises,
    records,
)
_NOT_PAGES = ("/api", "/health", "/metrics", "/openapi.json", "/docs", "/static")


def install(app: FastAPI) -> None:
    """Add the pages, and let an address that leads nowhere be said by a page to whoever looks at pages."""
    for part in PARTS:
        app.routes.extend(part.router_.routes)
    app.routes.extend(statics.router.routes)
    app.add_exception_handler(HTTPException, _nowhere)


def _without_slash(request: Request) -> str | None:
    """The address without the slash at its end, where that leads somewhere: a path, so no host can be slipped in."""
    path = request.url.path.rstrip("/")
    if path == request.url.path or not path or local(path) != path:
        return None
    scope = {**request.scope, "path": path}
    if all(route.matches(scope)[0] is Match.NONE for route in request.app.router.routes):
        return None
    return quote(path) + (f"?{request.url.query}" if request.url.query else "")


async def _nowhere(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404 and (path := _without_slash(request)):
        return Response(status_code=307, headers={"location": path})
    if request.url.path.startswith(_NOT_PAGES) or "text/html" not in request.headers.get("accept", ""):
        return await errors.http_error(request, error)
    with suppress(NotSignedIn):
        await entered(request)
    line = {404: "There is nothing at this address.", 405: "This address only accepts the form of its page."}
    return await error_page(request, error.status_code, line.get(error.status_code, str(error.detail)))
