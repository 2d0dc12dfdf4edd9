"""Search over everything, over HTTP."""

from typing import Annotated, Any, ClassVar

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from backend.domain import search as language
from backend.errors import Unprocessable
from backend.usecases import search
from backend.usecases.search import Hit, SearchKind
from backend.web.answers import page_answer
from backend.web.deps import PageQuery, asked_of, enter
from backend.web.openapi import answers, query_of

router = APIRouter(prefix="/api/search", tags=["search"])


class SearchQuery(PageQuery):
    """What can be asked of the search."""

    lists: ClassVar[frozenset[str]] = frozenset({"kind"})

    q: Annotated[language.Query, Field(min_length=1, description=language.HELP)]
    kind: list[str] = Field(
        default=[],
        max_length=10,
        description="`ticket`, `comment`, `memory`, several with commas or given several times; all, if left out",
    )

    def kinds(self) -> list[SearchKind]:
        """Raises Unprocessable."""
        names = [name.strip() for one in self.kind for name in one.split(",")]
        unknown = [name for name in names if name not in set(SearchKind)]
        if unknown:
            allowed = f"takes {', '.join(SearchKind)}, not {unknown[0][:50]!r}"
            raise Unprocessable("There is no such kind to search for.", [("kind", allowed)])
        return [SearchKind(name) for name in names]


@router.get(
    "",
    summary="Search tickets, comments and memories",
    responses=answers("HitPage", 400, 403, 422),
    openapi_extra=query_of("SearchQuery"),
)
async def find(request: Request) -> Response:
    """The best matches of each kind in turn. Requesters find their own tickets and the public comments on them.

    `excerpt` is plain text in pieces, those that match marked: nothing in it is markup.
    """
    ports, caller = await enter(request)
    asked = asked_of(request, SearchQuery)
    found = language.understand(asked.q, caller.address)
    return page_answer(await search.search(ports, caller, found, asked.kinds(), asked.limit, asked.cursor), _body)


def _body(hit: Hit) -> dict[str, Any]:
    return {
        "kind": hit.kind,
        "id": hit.id,
        "title": hit.title,
        "ticket_id": hit.ticket_id,
        "ticket_number": hit.ticket_number,
        "author": hit.author,
        "internal": hit.internal,
        "created_at": hit.created_at,
        "field": hit.field,
        "excerpt": [{"text": piece.text, "match": piece.match} for piece in hit.excerpt],
    }
