"""Memories over HTTP."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import Field
from starlette.responses import Response

from backend.domain import search
from backend.domain.memories import FeedbackDraft, Memory, MemoryDraft
from backend.usecases import memories
from backend.web import forms
from backend.web.answers import json_answer, memory_body, page_answer
from backend.web.deps import IF_MATCH, PageQuery, asked_of, enter, if_digest, none_match
from backend.web.idempotency import PARAMETER as IDEMPOTENCY_KEY
from backend.web.idempotency import once
from backend.web.openapi import answers, body_of, query_of

router = APIRouter(prefix="/api/memories", tags=["memories"])

MemoryId = Annotated[str, Path(description="the memory's id; of one learned from a ticket, that ticket's")]


class MemoryListQuery(PageQuery):
    """What can be asked of the list of memories."""

    q: search.Query | None = Field(
        default=None,
        description="as for tickets; a memory has the fields `category team tag number created updated`",
    )


@router.post(
    "",
    status_code=201,
    summary="Write a memory",
    responses=answers("MemoryOut", 400, 403, 413, 415, 422, status=201, etag=True, location=True),
    openapi_extra={"parameters": [IDEMPOTENCY_KEY], "requestBody": body_of("MemoryDraft", "application/json")},
)
async def add_memory(request: Request) -> Response:
    """For agents: what no ticket taught. `team` keeps it from agents of other teams."""
    ports, caller = await enter(request)
    draft = await forms.read_draft(request, MemoryDraft)
    promise = await once(request, ports, caller, draft.model_dump(mode="json"), _created)
    return _created(await memories.add_memory(ports, caller, draft, promise))


@router.get(
    "",
    summary="List and search memories",
    responses=answers("MemoryPage", 400, 403, 422),
    openapi_extra=query_of("MemoryListQuery"),
)
async def list_memories(request: Request) -> Response:
    """For agents. Newest first, or the best matches of `q` first; of the token's teams or of none."""
    ports, caller = await enter(request)
    asked = asked_of(request, MemoryListQuery)
    found = search.understand(asked.q or "", caller.address)
    return page_answer(await memories.list_memories(ports, caller, found, asked.limit, asked.cursor), memory_body)


@router.get(
    "/{memory_id}", summary="Read a memory", responses=answers("MemoryOut", 403, 404, etag=True, not_modified=True)
)
async def get_memory(request: Request, memory_id: MemoryId) -> Response:
    """For agents. As its Markdown file in MEMORY_DIR has it now; the `ETag` is a digest of that."""
    ports, caller = await enter(request)
    memory = await memories.get_memory(ports, caller, memory_id)
    if none_match(request, _etag(memory)):
        return Response(status_code=304, headers={"etag": _etag(memory)})
    return _answer(memory)


@router.put(
    "/{memory_id}",
    summary="Rewrite a memory",
    responses=answers("MemoryOut", 400, 403, 404, 412, 413, 415, 422, etag=True),
    openapi_extra={"parameters": [IF_MATCH], "requestBody": body_of("MemoryDraft", "application/json")},
)
async def replace_memory(request: Request, memory_id: MemoryId) -> Response:
    """For agents. The whole of it: what is left out becomes empty. Without `If-Match` the last one wins."""
    ports, caller = await enter(request)
    draft = await forms.read_draft(request, MemoryDraft)
    return _answer(await memories.replace_memory(ports, caller, memory_id, draft, if_digest(request)))


@router.delete(
    "/{memory_id}",
    status_code=204,
    summary="Forget a memory",
    responses=answers(None, 400, 403, 404, 412, 422, status=204),
    openapi_extra={"parameters": [IF_MATCH]},
)
async def remove_memory(request: Request, memory_id: MemoryId) -> Response:
    """For agents. Its file is removed."""
    ports, caller = await enter(request)
    await memories.remove_memory(ports, caller, memory_id, if_digest(request))
    return Response(status_code=204)


@router.post(
    "/{memory_id}/feedback",
    summary="Say whether a memory helped",
    responses=answers("MemoryOut", 400, 403, 404, 413, 415, 422, etag=True),
    openapi_extra={"parameters": [IDEMPOTENCY_KEY], "requestBody": body_of("FeedbackDraft", "application/json")},
)
async def rate_memory(request: Request, memory_id: MemoryId) -> Response:
    """For agents. Counted in the file's front matter."""
    ports, caller = await enter(request)
    draft = await forms.read_draft(request, FeedbackDraft)
    promise = await once(request, ports, caller, draft.model_dump(mode="json"), _answer)
    return _answer(await memories.rate_memory(ports, caller, memory_id, draft, promise))


def _etag(memory: Memory) -> str:
    return f'"{memory.digest}"'


def _answer(memory: Memory, status: int = 200, **headers: Any) -> Response:
    return json_answer(memory_body(memory), status, {"etag": _etag(memory), **headers})


def _created(memory: Memory) -> Response:
    return _answer(memory, 201, location=f"/api/memories/{memory.id}")
