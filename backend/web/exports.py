"""Everything out and in again over HTTP, streamed both ways."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from backend.domain.access import Role
from backend.errors import UnsupportedType
from backend.usecases import exports, loads
from backend.usecases.loads import Taken
from backend.web import forms
from backend.web.answers import json_answer, stream_answer
from backend.web.deps import Query, asked_of, enter
from backend.web.idempotency import PARAMETER as IDEMPOTENCY_KEY
from backend.web.idempotency import once
from backend.web.openapi import answers, query_of

router = APIRouter(prefix="/api", tags=["administration"])

TAR = "application/x-tar"
_TAR_CONTENT: dict[str, Any] = {TAR: {"schema": {"type": "string", "format": "binary"}}}


class ExportQuery(Query):
    """What an export is to hold."""

    files: bool = Field(default=True, description="the attachments' bytes too")
    secrets: bool = Field(default=False, description="what webhooks sign with too: it lets others sign as us")


@router.get(
    "/export",
    summary="Export everything",
    response_class=Response,
    responses={200: {"description": "The archive.", "content": _TAR_CONTENT}, **answers(None, 403, 422, status=None)},
    openapi_extra=query_of("ExportQuery"),
)
async def export(request: Request) -> Response:
    """For administrators. A tar of JSON lines and files, made while it is sent; `manifest.json`, its last member, has
    the counts and checksums. Tokens are in it hashed; the first administrator's, receipts and imports are not.
    Webhooks come without their secrets, and get new ones where they are imported, unless `secrets` asks for them."""
    ports, caller = await enter(request)
    asked = asked_of(request, ExportQuery)
    stream = await exports.export(ports, caller, files=asked.files, secrets=asked.secrets)
    name = f"ticket-backend-{ports.now()[:19].replace(':', '-')}Z.tar"
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return await stream_answer(stream, 200, headers, TAR)


@router.post(
    "/import",
    summary="Import an export",
    responses=answers("TakenOut", 400, 403, 409, 413, 415, 422),
    openapi_extra={
        "parameters": [IDEMPOTENCY_KEY],
        "requestBody": {"required": True, "content": _TAR_CONTENT},
    },
)
async def take_in(request: Request) -> Response:
    """For administrators. Into an empty installation, or into one that holds the same already: what is there is
    skipped, so one that was cut short is sent again. 409 where something else is there: nothing is overwritten."""
    ports, caller = await enter(request)
    caller.must_be(Role.ADMIN)
    kind = forms.media_type(request)
    if kind not in (TAR, "application/octet-stream"):
        raise UnsupportedType(f"The body must be {TAR}, not {kind or 'without a Content-Type'}.")
    digest = hashlib.sha256()

    async def body() -> AsyncIterator[bytes]:
        async for chunk in request.stream():
            digest.update(chunk)
            yield chunk

    stream = body()
    taken = await loads.take_in(ports, caller, stream)
    async for _ in stream:
        pass  # what fills up the last block
    promise = await once(request, ports, caller, digest.hexdigest(), _answer)
    await loads.write_down(ports, caller, taken, promise)
    return _answer(taken)


def _answer(taken: Taken) -> Response:
    return json_answer(asdict(taken))
