"""Tokens over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from backend.domain.access import TokenDraft
from backend.domain.values import fingerprint
from backend.usecases import access
from backend.web import forms
from backend.web.answers import json_answer, new_token_answer, token_body
from backend.web.deps import enter, none_match
from backend.web.idempotency import PARAMETER as IDEMPOTENCY_KEY
from backend.web.idempotency import once
from backend.web.openapi import answers, body_of

router = APIRouter(prefix="/api/tokens", tags=["tokens"])


@router.post(
    "",
    status_code=201,
    summary="Make a token",
    responses=answers("NewTokenOut", 400, 403, 413, 415, 422, status=201, location=True),
    openapi_extra={"parameters": [IDEMPOTENCY_KEY], "requestBody": body_of("TokenDraft", "application/json")},
)
async def create_token(request: Request) -> Response:
    """For administrators. `token` is shown only once; the server keeps only its hash."""
    ports, caller = await enter(request)
    draft = await forms.read_draft(request, TokenDraft)
    promise = await once(request, ports, caller, draft.model_dump(mode="json"), new_token_answer)
    return new_token_answer(await access.create_token(ports, caller, draft, promise))


@router.get("", summary="List the tokens", responses=answers("TokenList", 403, not_modified=True))
async def list_tokens(request: Request) -> Response:
    """For administrators. Without their secrets. The `ETag` is good for `If-None-Match`."""
    ports, caller = await enter(request)
    shown = [token_body(token) for token in await access.list_tokens(ports, caller)]
    etag = f'"{fingerprint("tokens", shown)}"'
    if none_match(request, etag):
        return Response(status_code=304, headers={"etag": etag})
    return json_answer({"items": shown}, headers={"etag": etag, "cache-control": "private, no-cache"})


@router.delete(
    "/{token_id}",
    status_code=204,
    summary="Revoke a token",
    responses=answers(None, 403, 404, 422, status=204),
)
async def revoke_token(
    request: Request, token_id: Annotated[str, Path(description="the token's id, not its secret")]
) -> Response:
    """For administrators. It is refused from the next request on."""
    ports, caller = await enter(request)
    await access.revoke_token(ports, caller, token_id)
    return Response(status_code=204)
