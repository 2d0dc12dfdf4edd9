"""The lists that people keep, over HTTP: the same calls for categories, teams, canned replies and views."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from backend.domain.catalogue import Record
from backend.domain.collections import CATEGORIES, REPLIES, TEAMS, VIEWS, Collection
from backend.domain.views import list_address
from backend.usecases import records
from backend.web import forms
from backend.web.answers import etag, json_answer
from backend.web.deps import IF_MATCH, TicketId, enter, if_match, none_match
from backend.web.idempotency import PARAMETER as IDEMPOTENCY_KEY
from backend.web.idempotency import once
from backend.web.openapi import answers, body_of

_WHO = {"requester": "everybody", "agent": "agents", "admin": "administrators"}


def record_body(collection: Collection, record: Record) -> dict[str, Any]:
    """A record's JSON: what it says, and its bookkeeping; of a view also whose it is and where its list is."""
    body = {"id": record.id, **record.body}
    if collection.personal:
        body["owner"] = record.owner
    if collection is VIEWS:
        body["url"] = list_address(record.body["query"])
    return body | {"version": record.version, "created_at": record.created_at, "updated_at": record.updated_at}


def _calls(collection: Collection, shape: str) -> APIRouter:
    """List, add, read, replace and remove. `shape` is the answer's in `web/schemas.py`."""
    one, many, path = collection.kind.value, collection.name, f"/api/{collection.name}"
    router = APIRouter(prefix=path, tags=[many])
    readers, writers = (_WHO[role] for role in (collection.readers, collection.writers))
    body = body_of(collection.draft.__name__, "application/json")
    record_id = Path(alias=f"{one}_id", description=f"the {one}'s id")
    address = f"/{{{one}_id}}"

    def shown(status: int = 200) -> Callable[[Record], Response]:
        def answer(record: Record) -> Response:
            headers = {"etag": etag(record)} | ({"location": f"{path}/{record.id}"} if status == 201 else {})
            return json_answer(record_body(collection, record), status, headers)

        return answer

    @router.get(
        "",
        summary=f"List the {many}",
        description=f"For {readers}. All of them, oldest first"
        + (": the caller's own, and those that others share." if collection.personal else "."),
        responses=answers(f"{shape}List", 403),
    )
    async def list_all(request: Request) -> Response:
        ports, caller = await enter(request)
        found = await records.list_records(ports, caller, collection)
        return json_answer({"items": [record_body(collection, record) for record in found]})

    @router.post(
        "",
        status_code=201,
        summary=f"Add a {one}",
        description=f"For {writers}. 409 where the name is taken; neither case nor accents' spelling tells two apart.",
        responses=answers(f"{shape}Out", 400, 403, 409, 413, 415, 422, status=201, etag=True, location=True),
        openapi_extra={"parameters": [IDEMPOTENCY_KEY], "requestBody": body},
    )
    async def add(request: Request) -> Response:
        ports, caller = await enter(request)
        draft = await forms.read_draft(request, collection.draft)
        answer = shown(201)
        promise = await once(request, ports, caller, draft.content(), answer)
        return answer(await records.create_record(ports, caller, collection, draft, promise))

    @router.get(
        address,
        summary=f"Read a {one}",
        description=f"For {readers}.",
        responses=answers(f"{shape}Out", 403, 404, etag=True, not_modified=True),
    )
    async def read(request: Request, identity: Annotated[str, record_id]) -> Response:
        ports, caller = await enter(request)
        record = await records.get_record(ports, caller, collection, identity)
        if none_match(request, etag(record)):
            return Response(status_code=304, headers={"etag": etag(record)})
        return shown()(record)

    @router.put(
        address,
        summary=f"Change a {one}",
        description=f"For {writers}. The body is the whole {one}."
        + (" Others' own are changed by administrators alone." if collection.personal else ""),
        responses=answers(f"{shape}Out", 400, 403, 404, 409, 412, 413, 415, 422, etag=True),
        openapi_extra={"parameters": [IF_MATCH], "requestBody": body},
    )
    async def replace(request: Request, identity: Annotated[str, record_id]) -> Response:
        ports, caller = await enter(request)
        draft = await forms.read_draft(request, collection.draft)
        changed = await records.replace_record(ports, caller, collection, identity, draft, if_match(request))
        return shown()(changed)

    @router.delete(
        address,
        status_code=204,
        summary=f"Remove a {one}",
        description=f"For {writers}. Tickets stay as they are.",
        responses=answers(None, 400, 403, 404, 412, 422, status=204),
        openapi_extra={"parameters": [IF_MATCH]},
    )
    async def remove(request: Request, identity: Annotated[str, record_id]) -> Response:
        ports, caller = await enter(request)
        await records.remove_record(ports, caller, collection, identity, if_match(request))
        return Response(status_code=204)

    return router


filling = APIRouter(prefix="/api/tickets", tags=[REPLIES.name])


@filling.get(
    "/{ticket_id}/replies/{reply_id}",
    summary="Fill in a canned reply",
    responses=answers("FilledReplyOut", 403, 404),
)
async def fill_reply(
    request: Request, ticket_id: TicketId, reply_id: Annotated[str, Path(description="the reply's id")]
) -> Response:
    """For agents: the reply's text for this ticket, to be sent as a comment. Nothing is sent by this call."""
    ports, caller = await enter(request)
    return json_answer({"body": await records.fill_reply(ports, caller, ticket_id, reply_id)})


routers = (
    _calls(CATEGORIES, "Category"),
    _calls(TEAMS, "Team"),
    _calls(REPLIES, "Reply"),
    _calls(VIEWS, "View"),
    filling,
)
