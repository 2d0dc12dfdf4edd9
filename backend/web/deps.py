"""What a handler asks first: the ports, who is calling, and which version they have seen."""

import re
from typing import Annotated, Any, ClassVar, TypeVar

from fastapi import Path, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from backend.domain.access import Caller
from backend.domain.pages import MOST_CHARACTERS, MOST_ITEMS, USUAL_ITEMS
from backend.errors import InvalidInput, Unprocessable
from backend.ports import Ports
from backend.web.credentials import secret_of
from backend.web.guard import guard_of

TicketId = Annotated[str, Path(description="the ticket's id", examples=["01KBX5Z9N0QW3E4R5T6Y7V8A9B"])]
AttachmentId = Annotated[str, Path(description="the attachment's id")]
_LIMIT = (
    f"most items on the page; one whose texts would be over {MOST_CHARACTERS:,} characters ends earlier, with a "
    "`next_cursor` where there is more"
)
Limit = Annotated[int, Field(ge=1, le=MOST_ITEMS, description=_LIMIT)]
Cursor = Annotated[
    str | None, StringConstraints(max_length=2_000), Field(description="`next_cursor` of the page before")
]

IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "the ETag of the version that the change is meant for; 412 where it is no longer the current one",
    "schema": {"type": "string"},
    "example": '"3"',
}

_READING = frozenset({"GET", "HEAD"})
_is_version = re.compile(r"([0-9]{1,15})(?:\.[0-9a-f]{8})?").fullmatch
_ETAG = re.compile(r'(W/)?"([^"]*)"')


class Query(BaseModel):
    """The parameters of a call; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid")
    lists: ClassVar[frozenset[str]] = frozenset()  # parameters that may be given several times


class PageQuery(Query):
    """The parameters of a list with pages."""

    limit: Limit = USUAL_ITEMS
    cursor: Cursor = None


Asked = TypeVar("Asked", bound=Query)


def asked_of(request: Request, model: type[Asked]) -> Asked:
    """The query string as `model`; `model.lists` may be given several times. Raises ValidationError, Unprocessable.

    By hand, since FastAPI's own way of reading such a model costs a third of the whole request.
    """
    values: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        if name in model.lists:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise Unprocessable("A parameter is given twice.", [(name, "may be given once only")])
        else:
            values[name] = value
    return model.model_validate(values)


def ports_of(request: Request) -> Ports:
    """The application's ports."""
    ports: Ports = request.app.state.ports
    return ports


async def enter(request: Request, *, asks: bool = False) -> tuple[Ports, Caller]:
    """The ports, and who is calling: by bearer token, else by session cookie.

    What writes has no parameters in its address, unless it `asks`: what is ignored there, such as `internal=true` or
    `version=3`, may say the contrary of what is done. Raises NotSignedIn, NotAllowed (see credentials.py),
    TooManyRequests (see guard.py), ValidationError, Unprocessable.
    """
    ports = ports_of(request)
    caller = await guard_of(request).sign_in(request, ports, secret_of(request))
    if request.method not in _READING and not asks and request.url.query:
        asked_of(request, Query)
    return ports, caller


def if_match(request: Request) -> list[int] | None:
    """The versions that the change is meant for; None for any. An ETag of no ticket matches no version."""
    tags = if_digest(request)
    return None if tags is None else [int(found[1]) for tag in tags if (found := _is_version(tag))]


def if_digest(request: Request) -> tuple[str, ...] | None:
    """The ETags that the change is meant for; None for any. Weak ones never match."""
    raw = request.headers.get("if-match")
    if raw is None or raw.strip() == "*":
        return None
    tags = _ETAG.findall(raw)
    if not tags:
        raise InvalidInput('If-Match must hold an ETag in double quotes, such as "3".')
    return tuple(tag for weak, tag in tags if not weak)


def none_match(request: Request, etag: str) -> bool:
    """Whether the client has this representation already (If-None-Match)."""
    raw = request.headers.get("if-none-match")
    if raw is None:
        return False
    return raw.strip() == "*" or etag in [f'"{tag}"' for _, tag in _ETAG.findall(raw)]
