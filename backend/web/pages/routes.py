"""How every page is entered, and how it says what went wrong: the API's one clear line, in HTML."""

import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from backend.domain.access import Caller
from backend.domain.once import AlreadyDone
from backend.errors import NotSignedIn, RequestError, TicketNotFound
from backend.ports import Ports
from backend.web import errors, forms
from backend.web.deps import enter
from backend.web.pages import posted
from backend.web.pages.rendering import go, show

logger = logging.getLogger("backend.web")

# An id of 26 characters says nothing to people.
_NO_TICKET = "There is no such ticket, or you may not see it."
Problems = Sequence[tuple[str, str]]


class PageRoute(APIRoute):
    """A route whose errors are pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with every error answered."""
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handle(request)
            except AlreadyDone as done:
                return go(done.receipt.answer.decode())
            except NotSignedIn as problem:
                return await sign_in_first(request, str(problem))
            except (RequestError, ValidationError) as problem:
                return await refused(request, problem)
            except ClientDisconnect:
                raise
            except Exception:
                logger.exception("an unexpected error")
                return await error_page(request, 500, "Something went wrong here; the log says what.")

        return answered


def router() -> APIRouter:
    """A router of pages, which are no part of the API's description."""
    return APIRouter(include_in_schema=False, route_class=PageRoute)


async def refused(request: Request, problem: RequestError | ValidationError) -> Response:
    """A page for an error."""
    return saying_when(await error_page(request, *told(problem)), problem)


def saying_when(answer: Response, problem: RequestError | ValidationError | None) -> Response:
    """The page, with the moment to try again in its head where the error has one."""
    wait = errors.answer_for(problem).headers.get("retry-after") if isinstance(problem, RequestError) else None
    if wait:
        answer.headers["retry-after"] = wait
    return answer


def told(problem: RequestError | ValidationError) -> tuple[int, str, Problems]:
    """Status, one line and the fields that are wrong."""
    if isinstance(problem, ValidationError):
        return 422, errors.WRONG_FIELDS, errors.problems_of(problem)
    line = _NO_TICKET if isinstance(problem, TicketNotFound) else str(problem)
    return int(errors.status_of(problem)), line, getattr(problem, "problems", ())


async def error_page(request: Request, status: int, line: str, problems: Problems = ()) -> Response:
    """The page that says what is wrong and where to go on, with what was typed in a form."""
    kept = _prose_of(getattr(request.state, "fields", None) or posted.Fields([]))
    values = {"line": line, "problems": problems, "status": status, "kept": kept}
    return await show(request, caller_of(request), "error.html", status, **values)


async def sign_in_first(request: Request, line: str) -> Response:
    """To the sign-in page and back; where a form was sent, it is that page itself, with what was typed to copy."""
    if request.method in ("GET", "HEAD"):
        address = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return go("/sign-in" if address == "/" else f"/sign-in?next={quote(address)}")
    back = request.headers.get("referer", "").partition(request.url.netloc)[2]
    kept = await _typed(request)
    return await show(request, None, "sign_in.html", 401, line=line, next=local(back), kept=kept)


async def _typed(request: Request) -> list[str]:
    """The prose in a form that came too late. Not from a large one: nobody has signed in."""
    if not 0 < int(request.headers.get("content-length") or 0) <= forms.LARGEST_JSON:
        return []
    fields = posted.Fields([])
    with suppress(RequestError):  # such as files, which nobody who is not signed in may send
        await posted.read(request, fields=fields, most=forms.LARGEST_JSON)
    return _prose_of(fields)


def _prose_of(fields: posted.Fields) -> list[str]:
    return [value for name, value in fields.items() if name in _TYPED and value.strip()]


_TYPED = frozenset({"title", "description", "body", "resolution", "tags", "name", "email", "url", "events", "holidays"})


def local(address: str) -> str:
    """The address if it is a path of this site, else the start."""
    harmless = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if harmless and not address.startswith("/sign-") else "/"


def caller_of(request: Request) -> Caller | None:
    """Who `entered` has found, if it was called."""
    found: Caller | None = getattr(request.state, "caller", None)
    return found


async def entered(request: Request) -> tuple[Ports, Caller]:
    """The ports, and who is looking. Raises NotSignedIn."""
    ports, caller = await enter(request)
    request.state.caller = caller
    return ports, caller
