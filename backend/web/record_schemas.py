"""The shapes of answers about what people set up, and about many tickets at once; see web/schemas.py."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from backend.domain.pages import TicketQuestion
from backend.domain.sla import SlaDraft
from backend.domain.tickets import Status
from backend.web.schemas import ItemsOut, Problem, TicketOut

_ID = "01KBX5Z9N0QW3E4R5T6Y7V8A9B"
_AT = "2026-11-22T10:00:00.000000Z"


def _example(**values: Any) -> ConfigDict:
    kept = {"id": _ID, **values, "version": 1, "created_at": _AT, "updated_at": _AT}
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [kept]})


class RecordOut(BaseModel):
    """What every record has."""

    id: str
    version: int = Field(description="counts its changes; the ETag")
    created_at: str
    updated_at: str


class TeamOut(RecordOut):
    """A team."""

    model_config = _example(name="Network", description="Cables and VPN", active=True)

    name: str
    description: str
    active: bool


class CategoryOut(TeamOut):
    """A category."""

    model_config = _example(name="Hardware", description="", active=True, team="Workplace", assignee=None)

    team: str | None = Field(description="who gets a ticket that is filed without a team")
    assignee: str | None = Field(description="who gets a ticket that is filed without an assignee")


class ReplyOut(RecordOut):
    """A canned reply."""

    model_config = _example(title="Turned off and on", body="Hello {{requester}}, please restart it. {{agent}}")

    title: str
    body: str


class FilledReplyOut(BaseModel):
    """A canned reply, filled in for a ticket."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"body": "Hello grace@example.org, …"}]})

    body: str


class ViewOut(RecordOut):
    """A saved view."""

    model_config = _example(
        name="Urgent and open",
        shared=True,
        query={"status": ["open"], "severity": ["critical"]},
        owner="ada@example.org",
        url="/api/tickets?status=open&severity=critical",
    )

    name: str
    shared: bool
    query: TicketQuestion
    owner: str
    url: str = Field(description="the list it asks for")


class CategoryList(ItemsOut[CategoryOut]):
    """All categories."""


class TeamList(ItemsOut[TeamOut]):
    """All teams."""


class ReplyList(ItemsOut[ReplyOut]):
    """All canned replies."""


class ViewList(ItemsOut[ViewOut]):
    """The views that the caller sees."""


class TagOut(BaseModel):
    """A tag."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "VPN", "tickets": 12}]})

    name: str
    tickets: int = Field(description="how many have it; no more than 1,000 are counted")


class TagList(ItemsOut[TagOut]):
    """Tags in use."""


class SlaOut(SlaDraft):
    """What is promised."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "time_zone": "Europe/Berlin",
                    "hours": {"monday": ["09:00-17:00"]},
                    "holidays": ["2026-12-25"],
                    "promises": {"high": {"first_response_minutes": 60, "resolution_minutes": 480}},
                    "version": 1,
                    "updated_at": _AT,
                }
            ]
        }
    )

    version: int = Field(description="counts its changes, 0 before the first; the ETag")
    updated_at: str | None


class StatusOut(BaseModel):
    """What one status may become."""

    status: Status
    active: bool = Field(description="whether the ticket is being worked on")
    next: list[Status]


class WorkflowOut(BaseModel):
    """Every status."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"statuses": [{"status": "closed", "active": False, "next": ["open"]}]}]}
    )

    statuses: list[StatusOut]


class BulkItemOut(BaseModel):
    """What became of one ticket."""

    id: str
    status: int = Field(description="what a call for it alone would have answered")
    ticket: TicketOut | None
    problem: Problem | None


class BulkOut(BaseModel):
    """What became of each, in the order given."""

    items: list[BulkItemOut]


ANSWERS: tuple[type[BaseModel], ...] = (
    CategoryOut,
    CategoryList,
    TeamOut,
    TeamList,
    ReplyOut,
    ReplyList,
    FilledReplyOut,
    ViewOut,
    ViewList,
    TagList,
    SlaOut,
    WorkflowOut,
    BulkOut,
)
