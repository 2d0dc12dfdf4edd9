"""Tags in use, over HTTP: what may be filled in for a beginning."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field, StringConstraints
from starlette.responses import Response

from backend.domain.labels import LabelKind
from backend.domain.values import TEXT, Line
from backend.usecases import labels
from backend.web.answers import json_answer
from backend.web.deps import Query, asked_of, enter
from backend.web.openapi import answers, query_of

router = APIRouter(prefix="/api/tags", tags=["tickets"])


class TagQuery(Query):
    """What tags are asked for."""

    prefix: Annotated[str, StringConstraints(max_length=50, pattern=TEXT), Line] = Field(
        default="", description="only tags that begin so, whatever the case"
    )
    limit: int = Field(default=20, ge=1, le=50, description="most tags in the answer")


@router.get("", summary="List tags in use", responses=answers("TagList", 422), openapi_extra=query_of("TagQuery"))
async def list_tags(request: Request) -> Response:
    """For completion: tags that begin with `prefix`, first those on the newest tickets. `tickets` counts up to 1,000.

    Agents of every team see all tags; everybody else those on the newest 200 tickets that they may see.
    """
    ports, caller = await enter(request)
    asked = asked_of(request, TagQuery)
    found = await labels.complete(ports, caller, LabelKind.TAG, asked.prefix, asked.limit)
    return json_answer({"items": [{"name": one.name, "tickets": one.tickets} for one in found]})
