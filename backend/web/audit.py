"""The audit log over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from backend.domain.values import Name
from backend.usecases import access
from backend.web.answers import act_body, page_answer
from backend.web.deps import PageQuery, asked_of, enter
from backend.web.openapi import answers, query_of

router = APIRouter(prefix="/api/audit", tags=["audit"])


class AuditQuery(PageQuery):
    """The parameters of the audit log."""

    action: Annotated[Name | None, Field(description="only this, such as token.created")] = None
    actor: Annotated[Name | None, Field(description="only by somebody of this name")] = None


@router.get(
    "",
    summary="Read the audit log",
    responses=answers("ActPage", 400, 403, 422),
    openapi_extra=query_of("AuditQuery"),
)
async def list_acts(request: Request) -> Response:
    """For administrators. What was set up, by whom and when, sign-ins on the page, and lock-outs; newest first."""
    ports, caller = await enter(request)
    asked = asked_of(request, AuditQuery)
    page = await access.list_acts(ports, caller, asked.limit, asked.cursor, asked.action, asked.actor)
    return page_answer(page, act_body)
