"""Live updates over HTTP, as server-sent events."""

import asyncio
import logging
import re
import time
from typing import Annotated

from fastapi import APIRouter, FastAPI, Request
from orjson import dumps as to_json
from pydantic import Field
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from backend.domain.access import Caller
from backend.domain.events import name_of, position_body, sight_of
from backend.domain.tickets import Position
from backend.errors import InvalidInput, NotSignedIn, Unavailable
from backend.usecases import tickets
from backend.usecases.events import STALE_SECONDS, Hub, Reader
from backend.web.credentials import secret_of
from backend.web.deps import Query, asked_of, enter, ports_of
from backend.web.guard import address_of
from backend.web.openapi import STREAM, answers, query_of
from backend.web.streams import streams_of

HEARTBEAT_SECONDS = 15.0
SIGNED_IN_SECONDS = 5.0  # how long a stream goes on after its token was revoked or its session ended
RETRY_MILLISECONDS = 2_000

logger = logging.getLogger("backend.web")
router = APIRouter(prefix="/api/events", tags=["events"])
_is_position = re.compile(r"[0-9]{1,18}").fullmatch
_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}
_LAST_EVENT_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "the `id` of the last event that was seen; goes before `after`",
    "schema": {"type": "string"},
    "example": "4711",
}


class EventQuery(Query):
    """Where a stream starts, and what it is about."""

    after: Annotated[int, Field(ge=0, lt=10**18)] | None = Field(
        default=None, description="go on past this position; from now on, if neither it nor Last-Event-ID is given"
    )
    ticket_id: str | None = Field(default=None, max_length=100, description="the events of this ticket alone")


def install(app: FastAPI) -> None:
    """Add the call, and the hub behind it."""
    app.state.hub = Hub(app.state.ports, frame)
    app.routes.extend(router.routes)


@router.get(
    "",
    summary="Follow what happens",
    responses={**answers(None, 400, 404, 422, status=None), 200: STREAM},
    openapi_extra={"parameters": [_LAST_EVENT_ID, *query_of("EventQuery")["parameters"]]},
)
async def follow(request: Request) -> Response:
    """A stream of `text/event-stream` that stays open. Its first event is `hello`; then each event that the reader may
    see, exactly once and in order: `id` is its position, `event` its kind such as `ticket.created`, `data` its JSON.
    Come back with `Last-Event-ID`, as browsers do by themselves, and nothing is missed. It ends with the token or
    session. How many streams a person and an address may hold open is limited: 429 past that."""
    ports, caller = await enter(request)
    asked = asked_of(request, EventQuery)
    if asked.ticket_id is not None:
        await tickets.get_ticket(ports, caller, asked.ticket_id)
    streams_of(request).check(caller, address_of(request))
    hub: Hub = request.app.state.hub
    after = await hub.start_of(_last_event_id(request, asked.after))
    return EventStream(request, hub, after, asked.ticket_id)


def _last_event_id(request: Request, otherwise: int | None) -> int | None:
    raw = request.headers.get("last-event-id")
    if raw is None or raw == "":
        return otherwise
    if not _is_position(raw):
        raise InvalidInput("Last-Event-ID must be the id of an event of this stream, a whole number.")
    return int(raw)


def frame(position: Position) -> bytes:
    """An event as a stream has it. JSON has no line breaks of its own, so it is one line of data."""
    head = f"id: {position.number}\nevent: {name_of(position)}\ndata: "
    return head.encode() + to_json(position_body(position)) + b"\n\n"


class EventStream(Response):
    """Sends until the reader is gone or no longer welcome, or the process stops."""

    media_type = "text/event-stream"

    def __init__(self, request: Request, hub: Hub, after: int, ticket_id: str | None) -> None:
        super().__init__(None, 200, _HEADERS)
        del self.headers["content-length"]
        self._request, self._hub, self._after, self._ticket_id = request, hub, after, ticket_id
        self._welcome_until = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        caller = await self._caller()
        with streams_of(self._request).room(caller, address_of(self._request)) as rank:
            await self._serve(caller, rank, receive, send)

    async def _serve(self, caller: Caller, rank: int, receive: Receive, send: Send) -> None:
        reader = await self._hub.join(sight_of(caller, self._ticket_id), self._after, rank)
        gone = asyncio.create_task(_until_gone(receive))
        gone.add_done_callback(lambda _: reader.end())
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await self._send_all(send, reader)
        finally:
            gone.cancel()
            self._hub.leave(reader)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _caller(self) -> Caller:
        """Who reads, as of now. Not by `enter`, which counts requests: this is still the same one."""
        caller = await streams_of(self._request).caller(ports_of(self._request), secret_of(self._request))
        self._welcome_until = time.monotonic() + SIGNED_IN_SECONDS
        return caller

    async def _send_all(self, send: Send, reader: Reader) -> None:
        here = reader.after
        piece = f'retry: {RETRY_MILLISECONDS}\nid: {here}\nevent: hello\ndata: {{"position":{here}}}\n\n'.encode()
        while True:
            started = time.monotonic()
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            if time.monotonic() - started > STALE_SECONDS:
                self._hub.refresh(reader)
            try:
                piece = await self._next(reader)
            except NotSignedIn:
                return
            except Unavailable as problem:
                logger.warning("a stream ends: %s", problem)
                return
            if reader.ended:
                return

    async def _next(self, reader: Reader) -> bytes:
        """What to send next. Raises NotSignedIn, Unavailable."""
        heartbeat_at = time.monotonic() + HEARTBEAT_SECONDS
        while not reader.ended:
            if time.monotonic() >= self._welcome_until:
                reader.sight = sight_of(await self._caller(), self._ticket_id)
            piece = await self._hub.next(reader, min(heartbeat_at, self._welcome_until) - time.monotonic())
            if piece:
                return piece
            if time.monotonic() >= heartbeat_at:
                break
        # A sign of life, which also tells how far the reader has come without seeing anything.
        return b": \nid: %d\n\n" % reader.after


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
