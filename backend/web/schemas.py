"""The shapes of answers, for the documentation. `web/answers.py` makes the bodies; tests hold the two together."""

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from backend.domain.access import Role
from backend.domain.tickets import Severity, Status
from backend.web.link_schemas import GoesOnOut, LinkOut, ParticipantOut

Item = TypeVar("Item")
_ID = "01KBX5Z9N0QW3E4R5T6Y7V8A9B"
_AT = "2026-11-22T10:00:00.000000Z"
_FILE = {
    "id": _ID,
    "name": "screenshot.png",
    "content_type": "image/png",
    "size": 48_213,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "uploader": "Grace",
    "created_at": _AT,
    "comment_id": _ID,
    "internal": False,
    "url": f"/api/tickets/{_ID}/attachments/{_ID}",
}


def example(**values: Any) -> ConfigDict:
    """The settings of a shape with this example."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [values]})


class TicketOut(BaseModel):
    """A ticket."""

    model_config = example(
        id=_ID,
        number=42,
        title="The printer on floor 2 prints blank pages",
        description="Since this morning. The toner is new.",
        severity="medium",
        category="Hardware",
        status="open",
        requester="grace@example.org",
        assignee=None,
        team=None,
        tags=["printer"],
        watchers=["lin@example.org"],
        links=[{"kind": "related", "ticket_id": _ID}],
        resolution=None,
        created_at=_AT,
        updated_at=_AT,
        resolved_at=None,
        first_response_due_at=_AT,
        first_responded_at=None,
        due_at=_AT,
        paused_at=None,
        promised_from=None,
        version=1,
        participants=[],
    )

    id: str = Field(description="ULID: sorts by time")
    number: int = Field(description="counts up from 1; what people say")
    title: str
    description: str
    severity: Severity
    category: str
    status: Status
    requester: str
    assignee: str | None
    team: str | None
    tags: list[str]
    watchers: list[str] = Field(
        description="addresses that are told of changes; it widens nobody's sight. Requesters see only their own"
    )
    links: list[LinkOut] = Field(
        description="ties to other tickets, kept on both; only to those that the caller may see"
    )
    resolution: str | None
    created_at: str = Field(description="RFC 3339, UTC, as every time here")
    updated_at: str = Field(description="when it last changed, for requesters in a way that they are told of")
    resolved_at: str | None
    first_response_due_at: str | None = Field(description="until when a first answer is promised")
    first_responded_at: str | None = Field(description="an agent's first public comment, or its resolution")
    due_at: str | None = Field(description="until when a resolution is promised")
    paused_at: str | None = Field(description="since when it waits for the requester, which stops that clock")
    promised_from: str | None = Field(
        description="what the promises count from, where no longer created_at: moved on by waiting and reopening"
    )
    version: int = Field(description="counts its changes, for requesters those that they are told of; in the ETag")
    deleted_at: str | None = Field(default=None, description="only in the trash")
    participants: list[ParticipantOut] = Field(
        description="whose tickets were merged into this one: they may read it and answer on it. Requesters see only "
        "themselves"
    )
    merged_into: GoesOnOut | None = Field(
        default=None, description="only of one ticket that was merged: which one goes on, at the end of all merges"
    )


class CommentOut(BaseModel):
    """Something said about a ticket."""

    model_config = example(
        id=_ID,
        ticket_id=_ID,
        author="Ada",
        body="Have you tried the other tray?",
        internal=False,
        created_at=_AT,
        attachments=[_FILE],
    )

    id: str
    ticket_id: str = Field(
        description="where it is; after a requester's answer perhaps another one than was written to"
    )
    author: str
    body: str
    internal: bool = Field(description="a note, which requesters never see, nor its files")
    created_at: str
    attachments: list["AttachmentOut"] = Field(description="the files that came with it")


class Change(BaseModel):
    """One field's value before and after."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    before: Any = Field(alias="from")
    after: Any = Field(alias="to")


class EventOut(BaseModel):
    """Who changed what, when."""

    model_config = example(
        id=_ID,
        at=_AT,
        actor="Ada",
        role="agent",
        kind="changed",
        changes={"status": {"from": "open", "to": "in_progress"}},
        internal=False,
    )

    id: str
    at: str
    actor: str
    role: str
    kind: str = Field(
        description="created, changed, commented, attached, detached, resolved, reopened (with a `reason` where it was "
        "answered or another one was merged into it), followed (answered too late for that: a new ticket), deleted, "
        "restored, watched, unwatched, linked, unlinked, merged, absorbed (took in a merged one), split (gave one "
        "back, with what was sent on it as `moved`), triaged (as an assistant suggested)"
    )
    changes: dict[str, Change]
    internal: bool


class AttachmentOut(BaseModel):
    """A file of a ticket."""

    model_config = example(**_FILE)

    id: str
    name: str
    content_type: str = Field(description="by content, not by name")
    size: int = Field(description="bytes")
    sha256: str
    uploader: str
    created_at: str
    comment_id: str | None = Field(description="the comment that it came with; null for a file of the ticket itself")
    internal: bool = Field(description="such as a file of an internal note; requesters never see it")
    url: str


class MemoryOut(BaseModel):
    """What was learned from a resolved ticket."""

    model_config = example(
        id=_ID,
        title="The printer on floor 2 prints blank pages",
        body="## Problem\n\nSince this morning.\n\n## Resolution\n\nThe drum's protective film was still on.\n",
        category="Hardware",
        tags=["printer"],
        ticket_id=_ID,
        ticket_number=42,
        team=None,
        author="Ada",
        helpful=3,
        unhelpful=0,
        created_at=_AT,
        updated_at=_AT,
    )

    id: str
    title: str
    body: str = Field(description="Markdown")
    category: str | None
    tags: list[str]
    ticket_id: str | None
    ticket_number: int | None
    team: str | None = Field(description="whose it is; agents of other teams don't see it")
    author: str
    helpful: int = Field(description="how often somebody said so")
    unhelpful: int
    created_at: str
    updated_at: str


class PieceOut(BaseModel):
    """Some of a text."""

    model_config = ConfigDict(extra="forbid")

    text: str
    match: bool = Field(description="whether it is what was searched for")


class HitOut(BaseModel):
    """Something that a search found."""

    model_config = example(
        kind="ticket",
        id=_ID,
        title="The printer on floor 2 prints blank pages",
        ticket_id=_ID,
        ticket_number=42,
        author=None,
        internal=False,
        created_at=_AT,
        field="description",
        excerpt=[{"text": "Since this morning. The ", "match": False}, {"text": "toner", "match": True}],
    )

    kind: str = Field(description="ticket, comment or memory")
    id: str
    title: str = Field(description="of a comment, its ticket's")
    ticket_id: str | None
    ticket_number: int | None
    author: str | None = Field(description="of a comment or memory")
    internal: bool = Field(description="a note that requesters never see")
    created_at: str
    field: str = Field(description="where the excerpt comes from: title, description, resolution or body")
    excerpt: list[PieceOut] = Field(description="plain text in pieces; put together they read as one")


class TokenOut(BaseModel):
    """A token, without its secret."""

    model_config = example(
        id=_ID,
        name="Ada",
        role="agent",
        email="ada@example.org",
        teams=[],
        created_at=_AT,
        expires_at=None,
        rate_limit=None,
        last_used_at=_AT,
    )

    id: str
    name: str
    role: Role
    email: str | None
    teams: list[str] = Field(description="whose tickets exist for this agent; all, if empty")
    created_at: str
    expires_at: str | None
    rate_limit: int | None = Field(description="requests a minute; RATE_LIMIT_PER_MINUTE, if null")
    last_used_at: str | None = Field(description="to the hour; null if never")


class NewTokenOut(TokenOut):
    """A new token; the only time its secret is shown."""

    model_config = example(
        id=_ID,
        name="Ada",
        role="agent",
        email="ada@example.org",
        teams=[],
        created_at=_AT,
        expires_at=None,
        rate_limit=None,
        last_used_at=None,
        token="tb_…",  # noqa: S106 - an example
    )

    token: str


class ActOut(BaseModel):
    """An administrative act, a sign-in on the page, or a lock-out."""

    model_config = example(
        id=_ID,
        at=_AT,
        actor="admin",
        token_id="environment",  # noqa: S106 - an id
        action="token.created",
        target=_ID,
        details={"name": "Ada", "role": "agent", "teams": []},
    )

    id: str
    at: str
    actor: str
    token_id: str | None = Field(description="the token it was done with; null for a lock-out, which is nobody's")
    action: str = Field(description="such as token.created, token.revoked, session.started, address.locked_out")
    target: str
    details: dict[str, Any] = Field(description="never a secret")


class CallerOut(BaseModel):
    """Who is asking."""

    model_config = example(name="Ada", role="agent", address="ada@example.org", teams=[])

    name: str
    role: Role
    address: str = Field(description="what a ticket's `requester` or `assignee` holds")
    teams: list[str] = Field(description="whose tickets exist for this agent; all, if empty")


class PageOut(BaseModel, Generic[Item]):
    """A page of a list."""

    model_config = ConfigDict(extra="forbid")

    items: list[Item]
    next_cursor: str | None = Field(description="for the next page; null at the end")


class ItemsOut(BaseModel, Generic[Item]):
    """A list that has no pages."""

    model_config = ConfigDict(extra="forbid")

    items: list[Item]


class TicketPage(PageOut[TicketOut]):
    """A page of tickets."""


class CommentPage(PageOut[CommentOut]):
    """A page of comments."""


class EventPage(PageOut[EventOut]):
    """A page of a history."""


class MemoryPage(PageOut[MemoryOut]):
    """A page of memories."""


class ActPage(PageOut[ActOut]):
    """A page of the audit log."""


class HitPage(PageOut[HitOut]):
    """A page of what a search found."""


class AttachmentList(ItemsOut[AttachmentOut]):
    """A ticket's files."""


class TokenList(ItemsOut[TokenOut]):
    """All tokens."""


class LiveOut(BaseModel):
    """That the process answers."""

    status: str


class PortOut(BaseModel):
    """How a port answered."""

    adapter: str
    status: str
    latency_ms: float
    reason: str | None = None


class HealthOut(BaseModel):
    """Whether every port works."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "ok",
                    "version": "0.1.0",
                    "ports": {"tickets": {"adapter": "sqlite", "status": "ok", "latency_ms": 1.2}},
                }
            ]
        }
    )

    status: str = Field(description="ok, degraded or unavailable")
    version: str
    ports: dict[str, PortOut]


class FieldProblem(BaseModel):
    """A field, and what is wrong with it."""

    field: str
    message: str


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] | None = None


ANSWERS: tuple[type[BaseModel], ...] = (
    TicketOut,
    TicketPage,
    CommentOut,
    CommentPage,
    EventPage,
    AttachmentOut,
    AttachmentList,
    MemoryOut,
    MemoryPage,
    HitOut,
    HitPage,
    TokenOut,
    TokenList,
    NewTokenOut,
    CallerOut,
    ActOut,
    ActPage,
    HealthOut,
    LiveOut,
    Problem,
)
