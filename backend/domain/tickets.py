"""Tickets, their comments and history, and the rules about them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from backend.domain.access import Caller, Role
from backend.domain.text import folded
from backend.domain.values import Address, Instant, Name, Prose, Tag, Title, new_id
from backend.errors import Conflict, NotAllowed, TicketNotFound


class Severity(StrEnum):
    """How bad it is."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Status(StrEnum):
    """Where a ticket stands."""

    OPEN = "open"
    IN_PROGRESS = "in_progress"
    WAITING = "waiting"
    RESOLVED = "resolved"
    CLOSED = "closed"


ACTIVE = frozenset({Status.OPEN, Status.IN_PROGRESS, Status.WAITING})
TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    **{status: (ACTIVE | {Status.RESOLVED, Status.CLOSED}) - {status} for status in ACTIVE},
    Status.RESOLVED: frozenset({Status.OPEN, Status.IN_PROGRESS, Status.CLOSED}),
    Status.CLOSED: frozenset({Status.OPEN, Status.IN_PROGRESS}),
}


class LinkKind(StrEnum):
    """What one ticket is to another; each kind has its counterpart on the other ticket (see COUNTERPART)."""

    RELATED = "related"
    DUPLICATE_OF = "duplicate_of"
    DUPLICATED_BY = "duplicated_by"
    MERGED_INTO = "merged_into"
    MERGED_FROM = "merged_from"
    FOLLOWS = "follows"
    FOLLOWED_BY = "followed_by"


COUNTERPART: Mapping[LinkKind, LinkKind] = {
    LinkKind.RELATED: LinkKind.RELATED,
    LinkKind.DUPLICATE_OF: LinkKind.DUPLICATED_BY,
    LinkKind.DUPLICATED_BY: LinkKind.DUPLICATE_OF,
    LinkKind.MERGED_INTO: LinkKind.MERGED_FROM,
    LinkKind.MERGED_FROM: LinkKind.MERGED_INTO,
    LinkKind.FOLLOWS: LinkKind.FOLLOWED_BY,
    LinkKind.FOLLOWED_BY: LinkKind.FOLLOWS,
}


class Link(NamedTuple):
    """A ticket's tie to another one, kept on both."""

    kind: LinkKind
    ticket_id: str


class Participant(NamedTuple):
    """Somebody whose own ticket was merged into this one, directly or through others, and that ticket."""

    ticket_id: str
    address: str


class Ticket(NamedTuple):
    """One ticket, whole. `version` counts its changes and is its ETag.

    `public_version` and `public_updated_at` are what requesters are told in their place: they stay where a change is
    none of theirs, such as an internal note (see `written`).

    `due_at` and `first_response_due_at` are what was promised (domain/sla.py); `paused_at` is since when it waits for
    the requester, which stops that clock; `promised_from` is what the promises count from, once that is no longer
    `created_at`. `watchers` are told of changes; what they may see does not change. `participants` may read it as its
    requester does, for as long as their tickets are merged into it.

    A named tuple, since a list makes hundreds of them: a frozen dataclass takes six times as long to make.
    """

    id: str
    number: int
    title: str
    description: str
    severity: Severity
    category: str
    status: Status
    requester: str
    assignee: str | None
    team: str | None
    tags: tuple[str, ...]
    watchers: tuple[str, ...]
    links: tuple[Link, ...]
    resolution: str | None
    created_at: Instant
    updated_at: Instant
    resolved_at: Instant | None
    first_response_due_at: Instant | None
    first_responded_at: Instant | None
    due_at: Instant | None
    paused_at: Instant | None
    promised_from: Instant | None
    version: int
    public_version: int
    public_updated_at: Instant
    deleted_at: Instant | None = None
    participants: tuple[Participant, ...] = ()

    @property
    def participating(self) -> tuple[str, ...]:
        """The addresses of the participants, each once."""
        return tuple(dict.fromkeys(participant.address for participant in self.participants))

    @property
    def merged_into(self) -> str | None:
        """The id of the ticket that goes on in place of this one."""
        return next((link.ticket_id for link in self.links if link.kind is LinkKind.MERGED_INTO), None)


@dataclass(frozen=True, slots=True)
class Comment:
    """Something said about a ticket. An internal one is never shown to requesters.

    `via` is the merged ticket that its writer sent it on; a split gives it back to that one (domain/takes.py).
    """

    id: str
    ticket_id: str
    author: str
    body: str
    internal: bool
    created_at: Instant
    via: str | None = None


@dataclass(frozen=True, slots=True)
class FoundComment:
    """A comment that a search found, and what names its ticket."""

    comment: Comment
    ticket_number: int
    ticket_title: str


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a ticket's history. `changes` maps a field to its value before and after."""

    id: str
    ticket_id: str
    at: Instant
    actor: str
    role: str
    kind: str
    changes: Mapping[str, tuple[Any, Any]]
    internal: bool = False


MOST_WATCHERS = 50
MOST_TAGS = 20


def _no_repeats(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))


def each_once(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Of tags that fold alike, the first."""
    found: dict[str, str] = {}
    for tag in tags:
        found.setdefault(folded(tag), tag)
    return tuple(found.values())


Tags = Annotated[tuple[Tag, ...], Field(max_length=MOST_TAGS), AfterValidator(each_once)]
Watchers = Annotated[tuple[Address, ...], Field(max_length=MOST_WATCHERS), AfterValidator(_no_repeats)]
_NullEmpties = BeforeValidator(lambda words: () if words is None else words)


@dataclass(frozen=True, slots=True)
class Position:
    """An event in the order of commits over all tickets, and what decides who may see it.

    `number` counts up without repeats; whoever has seen it need only ask for greater ones.
    """

    number: int
    event: Event
    ticket_number: int
    requester: str
    team: str | None
    deleted: bool
    participants: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()
    """The ids of the tickets that the participants are there for."""


Written = tuple[Ticket, Event]
Edit = Callable[[Ticket], Written | None]
"""From a ticket as it is stored to what it becomes and the line of history; None where nothing changes. May raise any
RequestError, and may be called again where somebody else's write came between: it must only depend on its argument."""
EditMany = Callable[[Sequence[Ticket]], Sequence[Written]]
"""The same for several tickets that change together or not at all."""


class TicketDraft(BaseModel):
    """What a person says of a new ticket."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "title": "The printer on floor 2 prints blank pages",
                    "description": "Since this morning. The toner is new.",
                    "severity": "medium",
                    "category": "Hardware",
                    "requester": "grace@example.org",
                    "tags": ["printer"],
                }
            ]
        },
    )

    title: Title
    description: Prose
    severity: Severity
    category: Name
    requester: Address | None = Field(default=None, description="whoever the token belongs to, if left out")
    assignee: Address | None = None
    team: Name | None = None
    tags: Tags = ()


class TicketChange(BaseModel):
    """A JSON merge patch (RFC 7396) of a ticket: only what is named changes, null empties."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"status": "in_progress", "assignee": "ada@example.org"}]},
    )

    # None as a default only marks "not named": a null for these is refused, since their type has no None.
    title: Title = None  # type: ignore[assignment]
    description: Prose = None  # type: ignore[assignment]
    severity: Severity = None  # type: ignore[assignment]
    category: Name = None  # type: ignore[assignment]
    status: Status = None  # type: ignore[assignment]
    requester: Address = None  # type: ignore[assignment]
    assignee: Address | None = None
    team: Name | None = None
    tags: Annotated[Tags, _NullEmpties] = ()
    watchers: Annotated[Watchers, _NullEmpties] = ()

    def named(self) -> dict[str, Any]:
        """The fields that the patch names, with their new values."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class CommentDraft(BaseModel):
    """What a person says about a ticket."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"body": "Have you tried the other tray?", "internal": False}]},
    )

    body: Prose
    internal: bool = Field(default=False, description="a note that requesters never see")


class ResolutionDraft(BaseModel):
    """How a ticket was resolved."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"resolution": "The drum's protective film was still on.", "remember": True}]},
    )

    resolution: Prose
    remember: bool = Field(default=True, description="keep it as a memory for the next ticket like this")


# What a requester may write of a ticket of their own; the rest is for agents.
REQUESTER_FIELDS = frozenset({"title", "description", "severity", "category", "tags"})
# What requesters are not told of: who else watches, which other tickets there are (see edits.Desk.shown), and whose
# idea a change was.
AGENT_ONLY = frozenset({"watchers", "links", "assistant", "via"})


def may_see(
    caller: Caller, requester: str, team: str | None, participants: Sequence[str] = (), *, deleted: bool
) -> bool:
    """Whether the caller may know of such a ticket. `TicketFilter.seen_by` says the same to a list."""
    if caller.is_at_least(Role.AGENT):
        return caller.works_for(team)
    return caller.address in (requester, *participants) and not deleted


def must_see(caller: Caller, ticket: Ticket) -> None:
    """Raises TicketNotFound unless the caller may know of the ticket: absent and forbidden look the same."""
    deleted = ticket.deleted_at is not None
    if not may_see(caller, ticket.requester, ticket.team, ticket.participating, deleted=deleted):
        raise TicketNotFound(ticket.id)


def must_be_present(caller: Caller, ticket: Ticket) -> None:
    """Raises TicketNotFound where the caller may not know of it, Conflict where it is in the trash."""
    must_see(caller, ticket)
    if ticket.deleted_at is not None:
        raise Conflict("The ticket is in the trash; restore it first.")


def may_write(caller: Caller, names: set[str]) -> None:
    """Raises NotAllowed where a requester names a field that is for agents."""
    beyond = sorted(names - REQUESTER_FIELDS)
    if beyond and not caller.is_at_least(Role.AGENT):
        raise NotAllowed(f"Only agents may set {', '.join(beyond)}.")


_NO_TIMES = ("resolved_at", "first_response_due_at", "first_responded_at", "due_at", "paused_at", "promised_from")
_FIRST = {"number": 0, "status": Status.OPEN, "watchers": (), "resolution": None, "version": 1, "public_version": 1}
JUST_FILED: Mapping[str, Any] = _FIRST | dict.fromkeys(_NO_TIMES)
"""What every new ticket begins with; see `Ticket`."""


def new_ticket(caller: Caller, draft: TicketDraft, at: Instant) -> Ticket:
    """The draft as a ticket. Its number, 0 here, is the store's to give."""
    requester = draft.requester or caller.address
    beyond = {name for name in ("assignee", "team") if getattr(draft, name) is not None}
    if requester != caller.address:
        beyond.add("requester")
    may_write(caller, beyond)
    return Ticket(
        **JUST_FILED,
        id=new_id(),
        title=draft.title,
        description=draft.description,
        severity=draft.severity,
        category=draft.category,
        requester=requester,
        assignee=draft.assignee,
        team=draft.team,
        tags=draft.tags,
        links=(),
        created_at=at,
        updated_at=at,
        public_updated_at=at,
    )


def _either(status: Status) -> str:
    """What a ticket of this status may become, in the order of a ticket's life."""
    return " or ".join(after for after in Status if after in TRANSITIONS[status])


def changed(ticket: Ticket, at: Instant, **values: Any) -> Ticket:
    """The ticket with new values and its next version, for requesters too. A change of status follows TRANSITIONS."""
    status = values.get("status", ticket.status)
    if status != ticket.status:
        if status not in TRANSITIONS[ticket.status]:
            raise Conflict(f"A ticket that is {ticket.status} can't become {status}, only {_either(ticket.status)}.")
        if status in ACTIVE:
            values["resolved_at"] = None
        elif ticket.resolved_at is None:
            values["resolved_at"] = at
    return ticket._replace(
        **values,
        updated_at=at,
        version=ticket.version + 1,
        public_updated_at=at,
        public_version=ticket.public_version + 1,
    )


def written(before: Ticket, after: Ticket, line: Event) -> Written:
    """What is written: a line that requesters are not told of leaves alone what tells them that something changed."""
    if line.internal:
        after = after._replace(public_version=before.public_version, public_updated_at=before.public_updated_at)
    return after, line


def seen_by(caller: Caller, ticket: Ticket) -> Ticket:
    """The ticket with the version and the time of its last change that the caller is told."""
    if caller.is_at_least(Role.AGENT):
        return ticket
    return ticket._replace(version=ticket.public_version, updated_at=ticket.public_updated_at)


# What follows from other changes, or changes with each.
_BOOKKEEPING = frozenset({"version", "updated_at", "public_version", "public_updated_at", "participants"})
_FIELDS = tuple(name for name in Ticket._fields if name not in _BOOKKEEPING)


def differences(before: Ticket, after: Ticket) -> dict[str, tuple[Any, Any]]:
    """The fields that differ, each with its value before and after."""
    pairs = ((name, getattr(before, name), getattr(after, name)) for name in _FIELDS)
    changes = {name: (old, new) for name, old, new in pairs if old != new}
    if "links" in changes:
        changes["links"] = (_plain(before.links), _plain(after.links))
    return changes


def _plain(links: Sequence[Link]) -> list[dict[str, str]]:
    return [link._asdict() for link in links]


def event(
    caller: Caller,
    ticket_id: str,
    at: Instant,
    kind: str,
    changes: Mapping[str, tuple[Any, Any]] | None = None,
    *,
    internal: bool = False,
) -> Event:
    """A line of history by this caller. One that tells nothing but what is for agents is internal."""
    internal = internal or bool(changes and changes.keys() <= AGENT_ONLY)
    return Event(new_id(), ticket_id, at, caller.name, caller.role, kind, changes or {}, internal)
