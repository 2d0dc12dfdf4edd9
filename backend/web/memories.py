"""Memories over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import Field
from starlette.responses import Response

from backend.domain import search
from backend.domain.values import PROSE
from backend.usecases import memories
from backend.web.answers import json_answer, memory_body, page_answer
from backend.web.deps import PageQuery, asked_of, enter
from backend.web.openapi import answers, query_of

router = APIRouter(prefix="/api/memories", tags=["memories"])


class MemoryListQuery(PageQuery):
    """What can be asked of the list of memories."""

    q: str | None = Field(
        default=None,
        max_length=search.LONGEST_QUERY,
        pattern=PROSE,
        description='full text: `word`, `"a phrase"`, `prefix*`, `-not`; the best matches first',
    )


@router.get(
    "",
    summary="List and search memories",
    responses=answers("MemoryPage", 400, 403, 422),
    openapi_extra=query_of("MemoryListQuery"),
)
async def list_memories(request: Request) -> Response:
    """For agents. Newest first, or the best matches of `q` first."""
    ports, caller = await enter(request)
    asked = asked_of(request, MemoryListQuery)
    terms = None if asked.q is None or not asked.q.strip() else search.parse(asked.q)
    return page_answer(await memories.list_memories(ports, caller, terms, asked.limit, asked.cursor), memory_body)


@router.get("/{memory_id}", summary="Read a memory", responses=answers("MemoryOut", 403, 404))
async def get_memory(
    request: Request, memory_id: Annotated[str, Path(description="the id of the ticket it was learned from")]
) -> Response:
    """For agents. As its Markdown file in MEMORY_DIR has it now."""
    ports, caller = await enter(request)
    return json_answer(memory_body(await memories.get_memory(ports, caller, memory_id)))
