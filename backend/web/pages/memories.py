"""What was learned from resolved tickets."""

import secrets
from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import Response

from backend.domain import search
from backend.domain.memories import FeedbackDraft
from backend.usecases import memories
from backend.web.pages import posted
from backend.web.pages.clocks import clock_of
from backend.web.pages.rendering import go, show, show_long
from backend.web.pages.routes import entered, router

router_ = router()

_SHOWN = 30


@router_.get("/memories")
async def listed(request: Request) -> Response:
    """Newest first, or the best matches first."""
    ports, caller = await entered(request)
    asked = request.query_params.get("q", "").strip()
    cursor = request.query_params.get("cursor") or None
    found = search.understand(search.being_typed(asked), caller.address, clock_of(request).zone)
    page = await memories.list_memories(ports, caller, found, _SHOWN, cursor)
    following = urlencode({"q": asked, "cursor": page.next_cursor}) if page.next_cursor else None
    return await show(request, caller, "memories.html", memories=page.items, q=asked, next=following)


@router_.get("/memories/{memory_id}")
async def memory(request: Request, memory_id: str) -> Response:
    """One of them."""
    ports, caller = await entered(request)
    found = await memories.get_memory(ports, caller, memory_id)
    values = {"memory": found, "once": secrets.token_urlsafe(12)}
    return await show_long(request, caller, "memory.html", len(found.body), values)


@router_.post("/memories/{memory_id}/feedback")
async def rate(request: Request, memory_id: str) -> Response:
    """Whether it helped."""
    ports, caller = await entered(request)
    fields = await posted.read(request)
    draft = FeedbackDraft(helpful=fields.one("helpful") == "yes")
    once = await posted.promise(request, ports, caller, fields, lambda _: f"/memories/{memory_id}")
    await memories.rate_memory(ports, caller, memory_id, draft, once)
    return go(f"/memories/{memory_id}")
