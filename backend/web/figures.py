"""Figures over HTTP."""

from dataclasses import asdict

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from backend.domain.figures import MOST_DAYS
from backend.usecases import figures
from backend.web.answers import json_answer
from backend.web.deps import Query, asked_of, enter
from backend.web.openapi import answers, query_of

router = APIRouter(prefix="/api/stats", tags=["administration"])


class StatsQuery(Query):
    """What period the figures are of."""

    days: int = Field(default=30, ge=1, le=MOST_DAYS, description="so many days, the last of them today")
    tz: str = Field(default="UTC", max_length=100, description="whose days: a name such as `Europe/Zurich`")


@router.get(
    "",
    summary="Read the figures",
    responses=answers("StatsOut", 403, 422),
    openapi_extra=query_of("StatsQuery"),
)
async def get_stats(request: Request) -> Response:
    """For agents; one with teams gets the figures of these. Tickets as they are now, without the trash: one that was
    reopened counts as never resolved. Times are in seconds."""
    ports, caller = await enter(request)
    asked = asked_of(request, StatsQuery)
    period, found = await figures.get_figures(ports, caller, asked.days, asked.tz)
    return json_answer({"tz": asked.tz, "from": period.start, "to": period.at, **asdict(found)})
