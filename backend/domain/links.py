"""Ties between two tickets, kept on both: links, merging duplicates, and splitting them again."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field, field_validator

from backend.domain.access import Role
from backend.domain.edits import Desk, Versions, must_be_at
from backend.domain.tickets import (
    COUNTERPART,
    MOST_WATCHERS,
    EditMany,
    Link,
    LinkKind,
    Status,
    Ticket,
    Written,
    must_be_present,
    must_see,
)
from backend.errors import Conflict, LinkNotFound

MOST_LINKS = 100
_BY_MERGING = frozenset({LinkKind.MERGED_INTO, LinkKind.MERGED_FROM})
_EXAMPLE = "01KBX5Z9N0QW3E4R5T6Y7V8A9B"


class MergeDraft(BaseModel):
    """Which ticket goes on in place of this one."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [{"into": _EXAMPLE}]})

    into: str = Field(max_length=64, description="the id of the ticket that goes on")


class LinkDraft(BaseModel):
    """A tie to another ticket."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"kind": "duplicate_of", "ticket_id": _EXAMPLE}]},
    )

    kind: LinkKind = Field(description="related, duplicate_of or duplicated_by; the others come from merging")
    ticket_id: str = Field(max_length=64)

    @field_validator("kind")
    @classmethod
    def _made_by_hand(cls, kind: LinkKind) -> LinkKind:
        if kind in _BY_MERGING:
            raise ValueError("comes from merging alone: POST …/merge")
        return kind


def merge(desk: Desk, if_version: Versions) -> EditMany:
    """Close the first ticket in favour of the second, whose watchers then are those of both and the requester."""
    desk.caller.must_be(Role.AGENT)

    def edit(found: Sequence[Ticket]) -> Sequence[Written]:
        one, other = found
        desk.may_change(one, if_version)
        _must_be_open_to(desk, other)
        watchers = dict.fromkeys((*other.watchers, *one.watchers, one.requester))
        watchers.pop(other.requester, None)
        if len(watchers) > MOST_WATCHERS:
            raise Conflict(f"The ticket {other.id} would have more than {MOST_WATCHERS} watchers; remove some first.")
        closed = {"status": Status.CLOSED, "links": _tied(one, LinkKind.MERGED_INTO, other)}
        taken = {"watchers": tuple(watchers), "links": _tied(other, LinkKind.MERGED_FROM, one)}
        return _both(desk.written(one, "merged", closed), desk.written(other, "absorbed", taken))

    return edit


def split(desk: Desk, if_version: Versions) -> EditMany:
    """Undo a merge: the first ticket is open again, and the second goes on without it."""

    def edit(found: Sequence[Ticket]) -> Sequence[Written]:
        one, other = found
        must_be_present(desk.caller, one)
        must_see(desk.caller, other)
        must_be_at(one, if_version)
        if one.merged_into != other.id:
            raise Conflict("The ticket is no longer merged into that one; read it again.")
        opened = {"status": Status.OPEN, "links": _untied(one, other)}
        return _both(
            desk.written(one, "reopened", opened), desk.written(other, "split", {"links": _untied(other, one)})
        )

    return edit


def link(desk: Desk, kind: LinkKind, if_version: Versions) -> EditMany:
    """Tie two tickets, in place of what tied them before."""
    desk.caller.must_be(Role.AGENT)

    def edit(found: Sequence[Ticket]) -> Sequence[Written]:
        one, other = found
        desk.may_change(one, if_version)
        if Link(kind, other.id) in one.links:
            return ()
        if any(tie.ticket_id == other.id and tie.kind in _BY_MERGING for tie in one.links):
            raise Conflict(f"The ticket {other.id} was merged into this one; reopen it first to split it off again.")
        _must_be_open_to(desk, other)
        return _both(
            desk.written(one, "linked", {"links": _tied(one, kind, other)}),
            desk.written(other, "linked", {"links": _tied(other, COUNTERPART[kind], one)}),
        )

    return edit


def unlink(desk: Desk, if_version: Versions) -> EditMany:
    """Untie two tickets, also where the other one is in the trash."""
    desk.caller.must_be(Role.AGENT)

    def edit(found: Sequence[Ticket]) -> Sequence[Written]:
        one, other = found
        desk.may_change(one, if_version)
        must_see(desk.caller, other)
        tie = next((tie for tie in one.links if tie.ticket_id == other.id), None)
        if tie is None:
            raise LinkNotFound(other.id)
        if tie.kind in _BY_MERGING:
            raise Conflict("These tickets were merged; reopen the one that was merged to split them again.")
        return _both(
            desk.written(one, "unlinked", {"links": _untied(one, other)}),
            desk.written(other, "unlinked", {"links": _untied(other, one)}),
        )

    return edit


def _must_be_open_to(desk: Desk, other: Ticket) -> None:
    """Raises TicketNotFound, and Conflict that names the other ticket where it is in the trash or was merged."""
    must_see(desk.caller, other)
    if other.deleted_at is not None:
        raise Conflict(f"The ticket {other.id} is in the trash; restore it first.")
    if other.merged_into is not None:
        raise Conflict(
            f"The ticket {other.id} was merged into {desk.shown(other).merged_into or 'another one'} itself."
        )


def _tied(ticket: Ticket, kind: LinkKind, other: Ticket) -> tuple[Link, ...]:
    links = (*_untied(ticket, other), Link(kind, other.id))
    if len(links) > MOST_LINKS:
        raise Conflict(f"The ticket {ticket.id} has {MOST_LINKS} links already, the most it may have.")
    return links


def _untied(ticket: Ticket, other: Ticket) -> tuple[Link, ...]:
    return tuple(link for link in ticket.links if link.ticket_id != other.id)


def _both(*written: Written | None) -> Sequence[Written]:
    return tuple(one for one in written if one)
